//! Exit codes, errors and completions.

use crate::support::{Server, error, ok, rat, run};

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in [
        &["no-such-command"][..],
        &["run"],
        &["run", "--all", "a.gold.b"],
        &["run", "not a name"],
        &["run", "platinum.x"],
        &["query", "SELECT 1", "--limit", "0"],
        &["runs", "--status", "sleeping"],
        &["logs", "not-a-run"],
        &["--server", "ftp://x", "health"],
        &["dev", "--scale", "1"],
        &["dev", "--listen", "foo"],
        &["dev", "--demo", "tpch", "--scale", "0"],
        &["upload", "zone"],
        &["upload", "Bad Zone", "file"],
    ] {
        let (code, out, err) = run(rat()
            .args(["--server", "http://127.0.0.1:1"])
            .args(arguments));
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.starts_with("error:"), "{arguments:?}: {err}");
    }
}

#[test]
fn nobody_there_ends_with_1_and_says_where_it_was_looked_for() {
    let (code, out, err) = run(rat().args(["--server", "http://127.0.0.1:1", "tables"]));
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.starts_with("error: cannot reach ratd at http://127.0.0.1:1; is it running"),
        "{err}"
    );
}

#[test]
fn an_error_of_the_server_is_shown_with_code_and_request_id() {
    let server = Server::start(|_| error(404, "NOT_FOUND", "table a.gold.b does not exist"));
    let (code, _, err) = server.rat(&["tables", "a.gold.b"]);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "error: table a.gold.b does not exist (NOT_FOUND, request id 0199-test)\n"
    );
}

#[test]
fn a_get_is_repeated_and_a_post_is_not() {
    let server = Server::start(|_| error(503, "UNAVAILABLE", "later"));
    assert_eq!(server.rat(&["tables"]).0, 1);
    assert_eq!(server.seen().len(), 3);
    let server = Server::start(|_| error(503, "UNAVAILABLE", "later"));
    assert_eq!(server.rat(&["run", "a.gold.b"]).0, 1);
    assert_eq!(server.seen(), ["POST /api/v1/runs"]);
}

#[test]
fn a_request_over_the_rate_limit_is_sent_again_when_the_server_says() {
    let refused = std::sync::atomic::AtomicBool::new(false);
    let server = Server::start(move |_| {
        if !refused.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return (429, "retry-after: 0\r\n", String::new());
        }
        ok(
            serde_json::json!({"run_id": "019a0000-0000-7000-8000-000000000000", "status": "pending"}),
        )
    });
    let (code, out, err) = server.rat(&["run", "a.gold.b"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "019a0000-0000-7000-8000-000000000000\n"),
        "{err}"
    );
}

#[test]
fn the_api_key_is_sent_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "s3cret\n").unwrap();
    let server = Server::start(|_| error(401, "UNAUTHENTICATED", "no"));
    let (_, out, err) = server.rat(&["--api-key-file", file.to_str().unwrap(), "tables"]);
    assert_eq!(
        server.requests()[0].headers["authorization"],
        "Bearer s3cret"
    );
    assert!(!format!("{out}{err}").contains("s3cret"));
}

#[test]
fn a_missing_key_file_is_named() {
    let (code, _, err) = run(rat().args(["--api-key-file", "/nonexistent/key", "tables"]));
    assert_eq!(code, 1);
    assert!(
        err.starts_with("error: cannot read the API key from /nonexistent/key: "),
        "{err}"
    );
}

#[test]
fn health_ends_with_1_unless_all_is_well() {
    let health = |status: &'static str| {
        let server = Server::start(move |_| {
            ok(serde_json::json!({"status": status, "services": {"runner": "down"}, "plugins": {}}))
        });
        server.rat(&["health"])
    };
    assert_eq!(health("ok").0, 0);
    let (code, out, _) = health("degraded");
    assert_eq!(code, 1);
    assert!(
        out.contains("is degraded") && out.contains("runner"),
        "{out}"
    );
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, out, _) = run(rat().args(["completions", shell]));
        assert_eq!(code, 0, "{shell}");
        assert!(out.contains("apply") && out.contains("prune"), "{shell}");
        assert!(!out.contains("dev-child"), "{shell} shows a hidden command");
    }
}

#[test]
fn the_version_is_printed() {
    let (code, out, _) = run(rat().arg("version"));
    assert_eq!(code, 0);
    assert!(
        out.starts_with(concat!("rat ", env!("CARGO_PKG_VERSION"))),
        "{out}"
    );
}

#[test]
fn diagnostics_are_shown_to_whoever_asks_and_on_standard_error() {
    let server = Server::start(|_| ok(serde_json::json!({"status": "ok"})));
    let health = |log: Option<&str>| {
        let mut command = rat();
        command.args(["--server", &server.url, "health", "-o", "json"]);
        log.map(|log| command.env("RAT_LOG", log));
        run(&mut command)
    };
    let (code, out, err) = health(None);
    assert_eq!((code, err.as_str()), (0, ""));
    let (code, same, err) = health(Some("debug"));
    assert_eq!((code, &same), (0, &out));
    assert!(err.contains("DEBUG"), "{err}");
    let (code, same, err) = health(Some("loud=very"));
    assert_eq!((code, &same), (0, &out));
    assert!(err.starts_with("RAT_LOG is ignored: "), "{err}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let command = format!("{} completions bash | head -1", env!("CARGO_BIN_EXE_rat"));
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", &command])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn an_empty_list_of_an_unknown_namespace_is_an_error() {
    let server = Server::start(|request| match request.path.as_str() {
        "/api/v1/namespaces/nope" => error(404, "NOT_FOUND", "namespace nope does not exist"),
        "/api/v1/namespaces/shop" => ok(serde_json::json!({"name": "shop"})),
        _ => ok(serde_json::json!({"tables": [], "pipelines": [], "zones": [], "total": 0})),
    });
    for command in ["tables", "pipelines", "zones"] {
        for format in ["table", "json", "csv"] {
            let (code, out, err) = server.rat(&[command, "--namespace", "nope", "-o", format]);
            assert_eq!((code, out.as_str()), (1, ""), "{command} {format}");
            assert!(err.contains("namespace nope does not exist"), "{err}");
        }
        assert_eq!(server.rat(&[command, "--namespace", "shop"]).0, 0);
    }
}

#[test]
fn no_runs_of_a_pipeline_that_does_not_exist_is_an_error() {
    let server = Server::start(|request| match request.path.as_str() {
        "/api/v1/runs" => ok(serde_json::json!({"runs": [], "total": 0})),
        "/api/v1/pipelines/shop/gold/new" => ok(serde_json::json!({"name": "new"})),
        _ => error(404, "NOT_FOUND", "pipeline shop.gold.nope does not exist"),
    });
    let runs = |name| server.rat(&["runs", "--namespace", "shop", "--pipeline", name]);
    let (code, _, err) = runs("gold.nope");
    assert_eq!(code, 1);
    assert!(err.contains("does not exist"), "{err}");
    assert_eq!(runs("gold.new"), (0, String::new(), "No runs.\n".into()));
}

#[test]
fn a_list_that_the_api_gives_in_pages_is_shown_as_one() {
    let zone = |number: usize| {
        let name = format!("zone_{number}");
        serde_json::json!({"namespace": "n", "name": name, "file_count": number, "total_bytes": 0})
    };
    let server = Server::start(move |request| {
        let offset = request.query.split("offset=").nth(1).unwrap();
        let offset: usize = offset.split('&').next().unwrap().parse().unwrap();
        let zones: Vec<_> = (offset..450.min(offset + 200)).map(zone).collect();
        ok(serde_json::json!({"zones": zones, "total": 450}))
    });
    let (code, out, err) = server.rat(&["zones"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out.lines().count(), 2 + 450);
    assert!(out.contains(" n.zone_449 │   449 │"), "{out}");
    assert_eq!(
        server.rat(&["zones", "-o", "csv"]).1.lines().count(),
        1 + 450
    );
    let (_, out, _) = server.rat(&["zones", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["total"], 450);
    let zones: Vec<_> = (0..450).map(zone).collect();
    assert_eq!(json["zones"], serde_json::Value::from(zones));
}

#[test]
fn a_check_of_plugins_that_does_not_exist_is_a_usage_error() {
    let arguments = ["plugin", "check", "127.0.0.1:1", "--only", "auth.nope"];
    let (code, _, err) = run(rat().args(arguments));
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("there is no check auth.nope"), "{err}");
}

#[test]
fn a_plugin_that_is_not_there_fails_its_checks_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/none.sock", folder.path().display());
    let (code, out, err) = run(rat().args(["plugin", "check", &address, "--only", "health"]));
    assert_eq!(code, 1, "{err}");
    assert!(
        out.contains("FAIL") && out.contains("No such file"),
        "{out}"
    );
    assert!(
        err.contains("1 failed") || err.contains("2 failed"),
        "{err}"
    );
}

#[test]
fn every_check_of_plugins_can_be_explained_without_a_plugin() {
    let (code, out, err) = run(rat().args(["plugin", "check", "--explain", "-o", "json"]));
    assert_eq!((code, err.as_str()), (0, ""));
    let checks: serde_json::Value = serde_json::from_str(&out).unwrap();
    let checks = checks.as_array().unwrap();
    assert!(checks.len() > 50);
    for check in checks {
        assert!(
            check["sentence"]
                .as_str()
                .is_some_and(|text| text.ends_with('.')),
            "{check}"
        );
    }
}
