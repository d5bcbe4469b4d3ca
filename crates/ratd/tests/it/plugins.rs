//! Plugins that are configured and are not there: nothing opens by that.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::sys::signal::Signal;
use rat_store::{PluginStatus, Store};

use crate::support::{Daemon, Home, get, ratd, send, text, wait};

fn plugin(slot: &str, on_down: &str) -> String {
    format!(
        "  {slot}: {{image: 'registry/x/{slot}-one:1', address: 'unix:/nowhere/{slot}.sock', \
         on_down: {on_down}}}\n"
    )
}

fn home(plugins: &[(&str, &str)]) -> Home {
    let plugins: String = plugins
        .iter()
        .map(|(slot, on_down)| plugin(slot, on_down))
        .collect();
    Home::new().with(&format!("plugins:\n{plugins}"))
}

/// A ratd that answers, and the file of its log.
fn start_logged(home: &Home) -> (Daemon, std::path::PathBuf) {
    let log = home.path().join("log");
    let mut command = home.command();
    command
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap());
    let daemon = Daemon::of(command.spawn().unwrap());
    daemon.wait_for("ratd answers", || {
        // The file is there a moment before anybody listens.
        UnixStream::connect(home.public()).is_ok()
            && get(&home.public(), "/health/live").starts_with("HTTP/1.1 200")
    });
    (daemon, log)
}

/// Waits until the first check of the plugin has found it gone.
fn wait_until_down(daemon: &Daemon, home: &Home, plugin: &str) {
    let down = format!("\"{plugin}\":\"down\"");
    daemon.wait_for("the plugin is found down", || {
        get(&home.public(), "/health").contains(&down)
    });
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[test]
fn an_auth_plugin_that_is_not_there_lets_nobody_in() {
    // `null` is what a file that says nothing means: deny.
    for on_down in ["null", "deny"] {
        let home = home(&[("auth", on_down)]);
        let key = home.path().join("key");
        fs::write(&key, "correct-horse-battery-staple").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let home = home.with(&format!("auth: {{api_key_file: {}}}\n", key.display()));
        let daemon = home.start();
        for token in [None, Some("correct-horse-battery-staple"), Some("wrong")] {
            for path in ["/api/v1/namespaces", "/api/v1/me", "/api/v1/plugins"] {
                let answer = send(&home.public(), "GET", path, token, "");
                assert_eq!(status(&answer), "503", "{path}: {answer}");
                assert!(
                    answer.contains("\"AUTHENTICATION_UNAVAILABLE\""),
                    "{answer}"
                );
                assert!(answer.contains("auth-one"), "{answer}");
            }
            let body = r#"{"sql":"SELECT 1"}"#;
            let answer = send(&home.public(), "POST", "/api/v1/query", token, body);
            assert_eq!(status(&answer), "503", "{answer}");
            let answer = send(&home.public(), "GET", "/iceberg/v1/config", token, "");
            assert_eq!(status(&answer), "503", "{answer}");
            assert!(
                answer.contains("\"ServiceUnavailableException\""),
                "{answer}"
            );
        }
        assert!(get(&home.public(), "/features").contains("\"auth\":false"));
        wait_until_down(&daemon, &home, "auth-one");
        assert_eq!(status(&get(&home.public(), "/api/v1/me")), "503");
    }
}

#[test]
fn an_enforcement_plugin_that_is_not_there_allows_nothing() {
    let home = home(&[("enforcement", "null")]);
    let _daemon = home.start();
    for path in ["/api/v1/namespaces", "/api/v1/tables", "/api/v1/plugins"] {
        let answer = get(&home.public(), path);
        assert_eq!(status(&answer), "503", "{path}: {answer}");
        assert!(
            answer.contains("\"ACCESS_CONTROL_UNAVAILABLE\""),
            "{answer}"
        );
    }
    let body = r#"{"sql":"SELECT 1"}"#;
    let answer = send(&home.public(), "POST", "/api/v1/query", None, body);
    assert_eq!(status(&answer), "503", "{answer}");
    assert!(
        answer.contains("\"ACCESS_CONTROL_UNAVAILABLE\""),
        "{answer}"
    );
    assert_eq!(
        status(&get(&home.public(), "/iceberg/v1/namespaces")),
        "503"
    );
    assert_eq!(status(&get(&home.public(), "/api/v1/me")), "200");
    assert!(get(&home.public(), "/features").contains("\"enforcement\":false"));
}

#[test]
fn a_built_in_takes_over_where_the_settings_say_so_and_the_log_says_it() {
    let slots = ["auth", "enforcement", "executor", "sharing", "cloud"];
    let home = home(&slots.map(|slot| (slot, "builtin")));
    let (daemon, log) = start_logged(&home);
    let list = get(&home.public(), "/api/v1/plugins");
    assert_eq!(status(&list), "200", "{list}");
    assert!(list.contains("\"total\":5"), "{list}");
    for slot in slots {
        wait_until_down(&daemon, &home, &format!("{slot}-one"));
    }
    let list = get(&home.public(), "/api/v1/plugins");
    let told = "failed to connect to unix:/nowhere/cloud.sock: No such file or directory";
    assert!(list.contains(told), "{list}");
    let log = fs::read_to_string(log).unwrap();
    for slot in slots {
        let said = |line: &&str| {
            line.contains("WARN")
                && line.contains("the plugin's status changed")
                && line.contains(&format!("\"plugin\":\"{slot}-one\""))
                && line.contains(&format!("unix:/nowhere/{slot}.sock"))
                && line.contains("\"on_down\":\"builtin\"")
        };
        assert_eq!(log.lines().filter(said).count(), 1, "{slot}: {log}");
    }
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn rows_follow_the_settings() {
    let home = home(&[("cloud", "builtin"), ("sharing", "builtin")]);
    let rows = |home: &Home| {
        let daemon = home.start();
        let store = wait(Store::open(&home.database())).unwrap();
        let mut rows = Vec::new();
        daemon.wait_for("the plugins are checked", || {
            rows = wait(store.plugins().list()).unwrap();
            rows.iter().all(|row| row.last_health.is_some())
        });
        wait(store.close());
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.ended().code(), Some(0));
        rows
    };
    let before = rows(&home);
    let names: Vec<&str> = before.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["cloud-one", "sharing-one"]);
    assert_eq!(before[0].address, "unix:/nowhere/cloud.sock");
    for row in &before {
        assert_eq!(row.status, PluginStatus::Down);
        assert!(row.message.contains(&row.address), "{}", row.message);
        assert_eq!(row.latency_us, None);
    }
    let text = fs::read_to_string(home.config()).unwrap();
    let text = text.replace(&plugin("sharing", "builtin"), "");
    fs::write(home.config(), text).unwrap();
    let after = rows(&home);
    assert_eq!(after.len(), 1);
    assert_eq!(
        (after[0].name.as_str(), after[0].created_at),
        ("cloud-one", before[0].created_at)
    );
}

#[test]
fn runs_wait_for_an_executor_that_holds_them() {
    let home = home(&[("executor", "hold")]);
    let (_daemon, log) = start_logged(&home);
    let create = r#"{"namespace":"default","layer":"bronze","name":"a","source":"SELECT 1 AS x"}"#;
    let answer = send(&home.public(), "POST", "/api/v1/pipelines", None, create);
    assert_eq!(status(&answer), "201", "{answer}");
    let start = r#"{"namespace":"default","layer":"bronze","pipeline":"a"}"#;
    let answer = send(&home.public(), "POST", "/api/v1/runs", None, start);
    assert_eq!(status(&answer), "202", "{answer}");
    // This home has no runner: an attempt to hand the run over would fail at once, and be logged.
    for _ in 0..20 {
        let runs = get(&home.public(), "/api/v1/runs");
        assert!(runs.contains("\"status\":\"pending\""), "{runs}");
        assert!(runs.contains("\"source_hash\":null"), "{runs}");
    }
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("\"on_down\":\"hold\""), "{log}");
    assert!(!log.contains("executor warm-pool"), "{log}");
}

#[test]
fn a_run_fails_where_an_executor_is_down_and_must_not_be_replaced() {
    let home = home(&[("executor", "deny")]);
    let daemon = home.start();
    wait_until_down(&daemon, &home, "executor-one");
    let create = r#"{"namespace":"default","layer":"bronze","name":"a","source":"SELECT 1 AS x"}"#;
    let answer = send(&home.public(), "POST", "/api/v1/pipelines", None, create);
    assert_eq!(status(&answer), "201", "{answer}");
    let start = r#"{"namespace":"default","layer":"bronze","pipeline":"a"}"#;
    let answer = send(&home.public(), "POST", "/api/v1/runs", None, start);
    assert_eq!(status(&answer), "202", "{answer}");
    let mut runs = String::new();
    daemon.wait_for("the run fails", || {
        runs = get(&home.public(), "/api/v1/runs");
        runs.contains("\"status\":\"failed\"")
    });
    assert!(runs.contains("EXECUTOR_REJECTED"), "{runs}");
    assert!(runs.contains("executor-one"), "{runs}");
}

#[test]
fn a_hangup_reads_the_plugins_again_and_a_broken_file_changes_nothing() {
    let home = home(&[("sharing", "builtin")]);
    let (daemon, log) = start_logged(&home);
    assert_eq!(status(&get(&home.public(), "/api/v1/me")), "200");
    let before = fs::read_to_string(home.config()).unwrap();

    fs::write(home.config(), format!("{before}{}", plugin("auth", "deny"))).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for("the new plugin is asked for", || {
        status(&get(&home.public(), "/api/v1/me")) == "503"
    });

    fs::write(home.config(), format!("{before}  auth: {{image: 7}}\n")).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for("the broken file is reported", || {
        let log = fs::read_to_string(&log).unwrap();
        log.contains("plugins stay as they are") && log.contains("plugins.auth")
    });
    assert_eq!(status(&get(&home.public(), "/api/v1/me")), "503");

    fs::write(home.config(), &before).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for("the plugin is gone again", || {
        status(&get(&home.public(), "/api/v1/me")) == "200"
    });
    let list = get(&home.public(), "/api/v1/plugins");
    assert!(list.contains("\"total\":1"), "{list}");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn the_check_tells_what_a_file_opens() {
    let home = home(&[("auth", "builtin"), ("enforcement", "deny")]);
    let text_of_file = fs::read_to_string(home.config()).unwrap();
    let listen = format!("listen: unix:{}/public.sock", home.path().display());
    let exposed = text_of_file.replace(&listen, "listen: 0.0.0.0:8080");
    fs::write(home.config(), exposed).unwrap();
    let output = ratd()
        .arg("check-config")
        .arg(home.config())
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.ends_with("rat.yaml: valid\n"), "{stdout}");
    for said in [
        "server.listen: listens beyond this machine",
        "plugins.auth.on_down: while the auth plugin is down",
    ] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
}
