//! Logins, against a provider and a ratd of the tests' own.

mod provider;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{run, wait_for};
use provider::World;

const ENDED: &str = "has ended";

#[test]
fn a_login_is_kept_and_sent_until_the_logout() {
    let world = World::start();
    let (code, out, err) = world.log_in(&[], |browser| browser.comes_back());
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    let last = format!("Logged in at {} as Anna Analyst.\n", world.url());
    assert!(err.ends_with(&last), "{err}");
    assert_eq!(world.sent(), "Bearer access-1");

    let folder = world.logins();
    let files: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
    assert_eq!(files.len(), 2, "a login and its lock");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    world.now(|fake| fake.seen.clear());
    let (code, out, _) = world.rat(&["whoami", "-o", "csv"]);
    let wanted =
        "user_id,display_name,email,roles\nu-1,Anna Analyst,anna@example.com,/demo:analyst\n";
    assert_eq!((code, out.as_str()), (0, wanted));
    let (_, out, _) = world.rat(&["whoami", "-o", "json"]);
    let me: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(me["user_id"], "u-1");
    assert_eq!(world.rat(&["pipelines"]).0, 0);
    assert_eq!(world.sent(), "Bearer access-1");

    // Another server is another login.
    let other = World::start();
    let (code, _, err) = run(world.command().args(["--server", other.url(), "whoami"]));
    assert_eq!(code, 1);
    assert!(err.contains("rat login"), "{err}");

    let (code, out, err) = world.rat(&["logout", "-o", "json"]);
    let done: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(done["revoked"], true);
    assert_eq!(world.now(|fake| fake.revoked.clone()), ["refresh-1"]);
    let (code, _, err) = world.rat(&["whoami"]);
    assert_eq!(code, 1);
    assert!(err.contains("; log in with rat login"), "{err}");
    assert_eq!(world.sent(), "");
    let (code, _, err) = world.rat(&["logout"]);
    assert_eq!(
        (code, err),
        (0, format!("Nobody was logged in at {}.\n", world.url()))
    );
}

#[test]
fn no_token_is_shown_however_much_is_logged() {
    let world = World::start();
    let loud = |arguments: &[&str]| {
        let mut command = world.command();
        command
            .env("RAT_LOG", "trace")
            .args(["--server", world.url()]);
        run(command.args(arguments).args(["-o", "json"]))
    };
    let outputs = [
        world.log_in_as(world.command().env("RAT_LOG", "trace"), &[], |browser| {
            browser.comes_back()
        }),
        loud(&["whoami"]),
        loud(&["logout"]),
    ];
    for (code, out, err) in outputs {
        assert_eq!(code, 0, "{err}");
        for secret in ["access-1", "refresh-1", "code-of-the-provider", "verifier"] {
            assert!(
                !out.contains(secret) && !err.contains(secret),
                "{secret}: {out} {err}"
            );
        }
    }
}

#[test]
fn an_answer_to_another_question_is_refused() {
    let foreign = "the browser brought the answer to another login";
    for (change, wanted) in [
        (
            "iss=http://evil.example.org",
            format!("{foreign} (the issuer differs)"),
        ),
        ("iss", format!("{foreign} (the issuer is missing)")),
        ("code", format!("{foreign} (there is no code)")),
        (
            "code=of-somebody-else",
            "the login provider refused: invalid_grant".to_owned(),
        ),
        ("error=access_denied", "the login was denied".to_owned()),
        (
            "error=server_error",
            "the login provider refused: server_error".to_owned(),
        ),
    ] {
        let world = World::start();
        let (code, out, err) = world.log_in(&[], |browser| {
            let page = browser.comes_back_with(change);
            assert!(page.contains("The login failed."), "{change}: {page}");
        });
        assert_eq!((code, out.as_str()), (1, ""), "{change}: {err}");
        assert!(err.contains(&format!("error: {wanted}")), "{change}: {err}");
        assert!(!world.is_logged_in(), "{change}");
    }
    let world = World::start();
    let (code, _, err) = world.log_in(&[], |browser| {
        browser.comes_back_with("code=twice&code=twice");
    });
    assert_eq!(code, 1);
    assert!(err.contains("a parameter comes twice"), "{err}");
}

#[test]
fn an_answer_with_another_state_does_not_end_a_login() {
    let world = World::start();
    let (code, out, err) = world.log_in(&[], |browser| {
        for change in ["state=other", "state=", "state", "state=twice&state=twice"] {
            let page = browser.comes_back_with(change);
            assert!(page.contains("another login"), "{change}: {page}");
            assert!(!world.is_logged_in(), "{change}");
        }
        browser.comes_back();
    });
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(world.is_logged_in());
}

#[test]
fn an_id_token_of_another_login_is_refused() {
    for (claim, value, wanted) in [
        ("nonce", json!("other"), "it is of another login"),
        (
            "iss",
            json!("http://evil.example.org"),
            "it is of another issuer",
        ),
        ("aud", json!("rat-ui"), "it is for another client"),
    ] {
        let world = World::start();
        world.now(|fake| fake.claims = json!({claim: value}));
        let (code, _, err) = world.log_in(&[], |browser| {
            browser.comes_back_with("");
        });
        assert_eq!(code, 1);
        assert!(err.contains(wanted), "{err}");
        assert!(!world.is_logged_in());
    }
}

#[test]
fn a_login_that_ratd_does_not_accept_is_given_back() {
    let world = World::start();
    world.now(|fake| fake.accepted = "something else".to_owned());
    let (code, _, err) = world.log_in(&[], |browser| browser.comes_back());
    assert_eq!(code, 1);
    assert!(err.contains("ratd does not accept its token"), "{err}");
    assert!(!world.is_logged_in());
    assert_eq!(world.now(|fake| fake.revoked.clone()), ["refresh-1"]);
}

#[test]
fn a_login_is_renewed_once_however_many_want_it() {
    let world = World::start();
    world.now(|fake| fake.lifetime = 2);
    assert_eq!(world.log_in(&[], |browser| browser.comes_back()).0, 0);
    world.now(|fake| fake.lifetime = 300);
    world.waits_until_the_token_is_old();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let commands: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| world.rat(&["whoami"])))
            .collect();
        commands
            .into_iter()
            .map(|command| command.join().unwrap())
            .collect()
    });
    for (code, _, err) in answers {
        assert_eq!(code, 0, "{err}");
    }
    assert_eq!(world.now(|fake| fake.refreshed), 1);
    assert_eq!(world.sent(), "Bearer access-2");
    // The new refresh token is the one that is given back.
    assert_eq!(world.rat(&["logout"]).0, 0);
    assert_eq!(world.now(|fake| fake.revoked.clone()), ["refresh-2"]);
}

#[test]
fn a_login_that_cannot_be_renewed_has_ended() {
    let world = World::start();
    world.now(|fake| fake.lifetime = 2);
    assert_eq!(world.log_in(&[], |browser| browser.comes_back()).0, 0);
    world.waits_until_the_token_is_old();
    world.now(|fake| fake.refresh_token = "none is good any more".to_owned());
    let (code, _, err) = wait_for("the token ends", || {
        let answer = world.rat(&["whoami"]);
        (answer.0 != 0).then_some(answer)
    });
    assert_eq!(code, 1);
    assert!(
        err.contains(ENDED) && err.contains("invalid_grant"),
        "{err}"
    );
    assert!(
        err.contains("; run rat login") || err.contains("run rat login"),
        "{err}"
    );
    // The next login needs to be told nothing again.
    world.now(|fake| fake.says_where = false);
    let (code, _, err) = world.log_in(&[], |browser| browser.comes_back());
    assert_eq!(code, 0, "{err}");
}

#[test]
fn while_the_provider_is_away_a_login_is_good_until_it_ends() {
    let world = World::start();
    world.now(|fake| fake.lifetime = 6);
    assert_eq!(world.log_in(&[], |browser| browser.comes_back()).0, 0);
    world.waits_until_the_token_is_old();
    world.now(|fake| fake.is_away = true);
    let (code, _, err) = world.rat(&["whoami"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = wait_for("the token ends", || {
        let answer = world.rat(&["whoami"]);
        (answer.0 != 0).then_some(answer)
    });
    assert_eq!(code, 1);
    assert!(err.contains("does not describe a login provider"), "{err}");
    assert_eq!(world.rat(&["health"]).0, 0, "needs no login");
    let (code, _, err) = world.rat(&["logout"]);
    assert_eq!(code, 1);
    assert!(err.contains("may still take it for good"), "{err}");
    assert!(!world.is_logged_in());
    world.now(|fake| fake.is_away = false);
    assert_eq!(world.log_in(&[], |browser| browser.comes_back()).0, 0);
}

#[test]
fn a_code_is_typed_in_elsewhere() {
    let world = World::start();
    world.now(|fake| fake.device = vec!["authorization_pending", "authorization_pending", ""]);
    let (code, out, err) = world.rat(&["login", "--device", "-o", "csv"]);
    assert_eq!(code, 0, "{err}");
    let url = world.url();
    assert!(
        err.contains(&format!("Open {url}/device and enter the code ABCD-EFGH")),
        "{err}"
    );
    assert!(
        err.contains(&format!("or open {url}/device?user_code=ABCD-EFGH")),
        "{err}"
    );
    let wanted = format!("server,issuer,client_id,user_id\n{url},{url}/realms/rat,rat-cli,u-1\n");
    assert_eq!(out, wanted);
    assert!(world.is_logged_in());
    for (answer, wanted) in [
        ("access_denied", "error: the login was denied"),
        ("expired_token", "error: nobody logged in in time"),
        (
            "invalid_client",
            "error: the login provider refused: invalid_client",
        ),
    ] {
        let world = World::start();
        world.now(|fake| fake.device = vec!["authorization_pending", answer]);
        let (code, _, err) = world.rat(&["login", "--device"]);
        assert_eq!(code, 1);
        assert!(err.contains(wanted), "{err}");
        assert!(!world.is_logged_in());
    }
    // Nobody comes, and the provider does not say that it is over.
    let world = World::start();
    world.now(|fake| fake.device = vec!["authorization_pending"; 100]);
    let (code, _, err) = world.rat(&["login", "--device"]);
    assert_eq!(code, 1);
    assert!(err.contains("nobody logged in in time"), "{err}");
}

#[test]
fn an_api_key_goes_before_a_login() {
    let world = World::start();
    assert_eq!(world.log_in(&[], |browser| browser.comes_back()).0, 0);
    let key = world.folder().join("key");
    fs::write(&key, "the-key\n").unwrap();
    world.rat(&["--api-key-file", key.to_str().unwrap(), "whoami"]);
    assert_eq!(world.sent(), "Bearer the-key");
    run(world
        .command()
        .env("RAT_API_KEY_FILE", &key)
        .args(["--server", world.url(), "whoami"]));
    assert_eq!(world.sent(), "Bearer the-key");
    world.rat(&["whoami"]);
    assert_eq!(world.sent(), "Bearer access-1");
}

#[test]
fn where_to_log_in_is_said_by_options_or_ratd_or_nobody() {
    let world = World::start();
    world.now(|fake| fake.says_where = false);
    let (code, _, err) = world.rat(&["login"]);
    assert_eq!(code, 1);
    assert!(err.contains("name the provider with --issuer"), "{err}");
    let issuer = format!("{}/realms/rat", world.url());
    let options = [
        "--issuer",
        &issuer,
        "--client-id",
        "mine",
        "--scope",
        "groups",
    ];
    world.now(|fake| fake.claims = json!({"aud": "mine", "azp": "mine"}));
    let (code, _, err) = world.log_in(&options, |browser| {
        assert_eq!(browser.parameter("client_id"), "mine");
        assert_eq!(browser.parameter("scope"), "openid groups");
        assert_eq!(browser.parameter("code_challenge_method"), "S256");
        assert_eq!(browser.parameter("response_type"), "code");
        browser.comes_back();
    });
    assert_eq!(code, 0, "{err}");
    assert!(world.now(|fake| fake.revoked.is_empty()));
    // What was said once is remembered; what ratd says goes before it.
    let (code, _, err) = world.log_in(&[], |browser| {
        assert_eq!(browser.parameter("client_id"), "mine");
        browser.comes_back();
    });
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        world.now(|fake| fake.revoked.clone()),
        ["refresh-1"],
        "nobody uses it any more"
    );
    world.now(|fake| (fake.says_where, fake.claims) = (true, json!({})));
    let (code, _, err) = world.log_in(&[], |browser| {
        assert_eq!(browser.parameter("client_id"), "rat-cli");
        assert_eq!(browser.parameter("scope"), "openid profile");
        browser.comes_back();
    });
    assert_eq!(code, 0, "{err}");
    for wrong in [
        &["login", "--issuer", "a b"][..],
        &["login", "--scope", ""],
        &["login", "--device", "--no-browser"],
    ] {
        assert_eq!(world.rat(wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn what_is_no_provider_of_that_name_is_refused() {
    let world = World::start();
    let url = world.url();
    for (issuer, wanted) in [
        (format!("{url}/nothing"), "it answered 404"),
        (format!("{url}/realms/rat/"), "it names the issuer"),
        (format!("{url}/text"), "does not describe a login provider"),
        (
            "http://127.0.0.1:1/realms/rat".to_owned(),
            "cannot reach the login provider at",
        ),
        ("nonsense".to_owned(), "does not describe a login provider"),
    ] {
        let (code, _, err) = world.rat(&["login", "--issuer", &issuer]);
        assert_eq!(code, 1, "{issuer}: {err}");
        assert!(err.contains(wanted), "{issuer}: {err}");
    }
    world.now(|fake| fake.discovery = json!({"device_authorization_endpoint": null}));
    let (code, _, err) = world.rat(&["login", "--device"]);
    assert_eq!(code, 1);
    assert!(err.contains("no device authorization endpoint"), "{err}");
    world.now(|fake| fake.discovery = json!({"authorization_endpoint": null}));
    let (code, _, err) = world.rat(&["login"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("no authorization endpoint; use rat login --device"),
        "{err}"
    );
    world.now(|fake| fake.discovery = json!({"token_endpoint": "ftp://127.0.0.1/token"}));
    let (code, _, err) = world.rat(&["login"]);
    assert_eq!(code, 1);
    assert!(err.contains("without encryption"), "{err}");
}

#[test]
fn a_login_is_renewed_by_one_process_at_a_time() {
    let world = World::start();
    world.now(|fake| fake.lifetime = 2);
    assert_eq!(world.log_in(&[], |browser| browser.comes_back()).0, 0);
    let lock = fs::read_dir(world.logins()).unwrap().flatten();
    let lock = lock
        .map(|file| file.path())
        .find(|path| path.extension().unwrap() == "lock");
    let lock = fs::File::open(lock.unwrap()).unwrap();
    lock.lock().unwrap();
    world.waits_until_the_token_is_old();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| world.rat(&["whoami"]));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(
            world.now(|fake| fake.refreshed),
            0,
            "somebody else has the lock"
        );
        lock.unlock().unwrap();
        assert_eq!(waiting.join().unwrap().0, 0);
    });
    assert_eq!(world.now(|fake| fake.refreshed), 1);
}
