use chrono::Utc;
use nix::sys::signal::Signal;
use rat_store::{NewPipeline, NewRun, RunRecord, RunStart, Store};
use rat_types::{RunFailure, RunId, RunOutcome, RunState, RunStatus};
use sha2::{Digest, Sha256};

use crate::support::{Home, send, send_part, wait};

/// A text with the form of a run's token.
fn token() -> String {
    format!("rat_run_{}", "0".repeat(64))
}

#[test]
fn without_a_good_token_nothing_is_answered() {
    let home = Home::new();
    let daemon = home.start();
    let outcome = "/internal/v1/runs/0190a000-0000-7000-8000-000000000001/outcome";
    let token = token();
    let invalid = "the token is not valid (its run or query may have ended)";
    for (token, message) in [
        (None, "no "),
        (Some("nonsense"), invalid),
        (Some(token.as_str()), invalid),
    ] {
        for (method, path) in [
            ("GET", "/iceberg/v1/config"),
            ("GET", "/iceberg/v1/namespaces"),
        ] {
            let answer = send(&home.internal(), method, path, token, "");
            assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
            // The words of the catalog's protocol.
            assert!(answer.contains("\"code\":401"), "{path}: {answer}");
            let said = answer.contains(&format!("\"message\":\"{message}"));
            assert!(said, "{path}: {answer}");
        }
        let answer = send(&home.internal(), "POST", outcome, token, "{}");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("\"type\":\"AUTHENTICATION\""), "{answer}");
        assert!(
            answer.contains(&format!("\"message\":\"{message}")),
            "{answer}"
        );
    }
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn the_two_listeners_serve_different_things() {
    let home = Home::new();
    let _daemon = home.start();
    for path in ["/api/v1/namespaces", "/health", "/features"] {
        let answer = send(&home.internal(), "GET", path, None, "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let path = "/internal/v1/runs/0190a000-0000-7000-8000-000000000001/outcome";
    let answer = send(&home.public(), "POST", path, Some(&token()), "{}");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

/// A run that is with the warm pool, and that only the database knows: its token is [`token`].
async fn running(store: &Store) -> RunId {
    let pipeline: rat_types::TableIdent = "default.bronze.orders".parse().unwrap();
    let (description, owner) = (String::new(), "anonymous".to_owned());
    let new = NewPipeline {
        ident: pipeline.clone(),
        kind: "sql".into(),
        description,
        owner,
    };
    store.pipelines().create(&new).await.unwrap();
    let id = RunId::new_at(Utc::now());
    let (trigger, created_by) = ("manual".to_owned(), "anonymous".to_owned());
    store
        .runs()
        .create(&NewRun {
            id,
            pipeline,
            trigger,
            created_by,
            created_by_roles: Vec::new(),
        })
        .await
        .unwrap();
    let start = RunStart {
        executor: "warm-pool".into(),
        token_hash: hex::encode(Sha256::digest(token())),
        attempt: 1,
        source_hash: "0".repeat(64),
        readable: vec!["default.bronze.people".parse().unwrap()],
    };
    assert!(store.runs().mark_running(id, &start).await.unwrap());
    id
}

fn failed(run_id: RunId) -> RunOutcome {
    let failure = RunFailure::new("SQL_INVALID", "no such column");
    RunOutcome::without_rows(run_id, RunState::Failed, Some(failure), Utc::now())
}

/// The row once the run has ended.
async fn ended(store: &Store, id: RunId) -> RunRecord {
    let begun = std::time::Instant::now();
    loop {
        let run = store.runs().get(id).await.unwrap().unwrap();
        if run.status.is_terminal() {
            return run;
        }
        assert!(
            begun.elapsed() < crate::support::LIMIT,
            "the run does not end: {run:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[test]
fn a_run_reports_its_own_end_and_no_other() {
    let home = Home::new();
    let daemon = home.start();
    let store = wait(Store::open(&home.database())).unwrap();
    let id = wait(running(&store));
    let token = token();
    let path = |id: RunId| format!("/internal/v1/runs/{id}/outcome");
    let post = |path: &str, body: &str| {
        let answer = send(&home.internal(), "POST", path, Some(&token), body);
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let other = RunId::new_at(Utc::now());
    let body = |id: RunId| serde_json::to_string(&failed(id)).unwrap();
    assert_eq!(post(&path(other), &body(other)), "403");
    assert_eq!(post("/internal/v1/runs/nonsense/outcome", &body(id)), "403");
    assert_eq!(post(&path(id), "{}"), "400");
    assert_eq!(post(&path(id), &body(other)), "400");
    let mut active = failed(id);
    active.state = RunState::Running;
    assert_eq!(
        post(&path(id), &serde_json::to_string(&active).unwrap()),
        "400"
    );
    assert_eq!(post(&path(id), &"x".repeat(5 << 20)), "413");
    let run = wait(store.runs().get(id)).unwrap().unwrap();
    assert_eq!((run.status, run.outcome), (RunStatus::Running, None));

    assert_eq!(post(&path(id), &body(id)), "204");
    let run = wait(ended(&store, id));
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.unwrap().code, "SQL_INVALID");
    // The token died with the run.
    assert_eq!(post(&path(id), &body(id)), "401");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn a_runs_token_opens_what_its_pipeline_names() {
    let home = Home::new();
    let _daemon = home.start();
    let store = wait(Store::open(&home.database())).unwrap();
    wait(running(&store));
    let token = token();
    let status = |path: &str| {
        let answer = send(&home.internal(), "GET", path, Some(&token), "");
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let table = |name: &str| format!("/iceberg/v1/namespaces/default%1Fbronze/tables/{name}");
    assert_eq!(status("/iceberg/v1/config"), "200");
    // Its own and those that it names: they are not there, which it may know.
    assert_eq!(status(&table("orders")), "404");
    assert_eq!(status(&table("people")), "404");
    assert_eq!(status(&table("secrets")), "403");
    // On the public listener it is not a credential; there everybody is the administrator.
    let answer = send(&home.public(), "GET", &table("secrets"), Some(&token), "");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_without_end() {
    let home = Home::new();
    let _daemon = home.start_as(home.command().env("RAT_REQUEST_TIMEOUT", "1s"));
    let store = wait(Store::open(&home.database())).unwrap();
    let id = wait(running(&store));
    let begin = |path: &str| {
        let token = token();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: 100\r\n\r\n{{"
        );
        send_part(&home.internal(), &head)
    };
    let answer = begin(&format!("/internal/v1/runs/{id}/outcome"));
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(
        answer.contains("\"code\":\"DEADLINE_EXCEEDED\""),
        "{answer}"
    );
    let answer = begin("/iceberg/v1/namespaces/default%1Fbronze/tables/orders");
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    // The words of the catalog's protocol.
    assert!(answer.contains("GatewayTimeoutException"), "{answer}");
}
