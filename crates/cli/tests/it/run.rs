//! `rat run` against a server whose runs end as the test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::{Answer, Request, Server, error, ok};

/// Ids of runs are made from the number of the run.
fn id(number: usize) -> String {
    format!("019a0000-0000-7000-8000-{number:012}")
}

/// A server with the pipelines a → b → c and x, in namespace n; `bad` ones fail.
fn server(bad: &'static [&'static str], slow: bool) -> Server {
    let runs: Arc<Mutex<Vec<String>>> = Arc::default();
    let looks: Arc<Mutex<BTreeMap<usize, usize>>> = Arc::default();
    Server::start(move |request| answer(request, bad, slow, LONG_AGO, &runs, &looks))
}

/// Before and after the last success of x.
const LONG_AGO: &str = "2025-12-31T00:00:00Z";
const LATELY: &str = "2026-01-02T00:00:00Z";

/// The server, where x reads a landing zone whose newest file landed then.
fn server_with_file(landed: &'static str) -> Server {
    let (runs, looks) = (Arc::default(), Arc::default());
    Server::start(move |request| answer(request, &[], false, landed, &runs, &looks))
}

fn answer(
    request: &Request,
    bad: &[&str],
    slow: bool,
    landed: &str,
    runs: &Mutex<Vec<String>>,
    looks: &Mutex<BTreeMap<usize, usize>>,
) -> Answer {
    let pipeline = |name: &str, depends: &[&str]| json!({"namespace": "n", "layer": "gold", "name": name, "depends_on": depends, "source_hash": "h"});
    match request.route() {
        ("GET", "/api/v1/pipelines") => ok(json!({"pipelines": [
            pipeline("a", &[]), pipeline("b", &["n.gold.a"]), pipeline("c", &["n.gold.b"]),
            pipeline("x", &[])], "total": 4})),
        ("POST", "/api/v1/runs") if !bad.contains(&"refuse") => {
            let mut runs = runs.lock().unwrap();
            runs.push(request.json()["pipeline"].as_str().unwrap().to_owned());
            ok(json!({"run_id": id(runs.len()), "status": "pending"}))
        }
        ("GET", "/api/v1/runs") if request.query.contains("pipeline=x") => {
            ok(json!({"runs": [run(&json!("x"), 9, "success")], "total": 1}))
        }
        ("GET", "/api/v1/runs") => ok(json!({"runs": [], "total": 0})),
        ("GET", "/api/v1/files/n/pipelines/gold/x/pipeline.sql") => {
            ok(json!({"content": "SELECT * FROM read_csv('{{ landing_zone('z') }}')"}))
        }
        ("GET", "/api/v1/landing-zones/n/z/files") => ok(json!({"files": [{"id": "1",
            "filename": "a.csv", "uploaded_at": landed}], "total": 1})),
        ("GET", path) if path.starts_with("/api/v1/files/") => error(404, "NOT_FOUND", "no file"),
        ("GET", path) if path.starts_with("/api/v1/namespaces/") => {
            error(404, "NOT_FOUND", "namespace nope does not exist")
        }
        ("POST", "/api/v1/runs") if bad.contains(&"refuse") => {
            error(400, "INVALID_ARGUMENT", "dependency cycle")
        }
        ("GET", path) => {
            let number: usize = path.rsplit('-').next().unwrap().parse().unwrap();
            let name = runs.lock().unwrap()[number - 1].clone();
            let mut looks = looks.lock().unwrap();
            let look = looks.entry(number).or_default();
            *look += 1;
            let status = match (slow, *look, bad.contains(&name.as_str())) {
                (true, ..) => "running",
                (false, 1, _) => "running",
                (false, _, true) => "failed",
                (false, _, false) => "success",
            };
            ok(run(&json!(name), number, status))
        }
        ("POST", _) => error(409, "ALREADY_EXISTS", "not cancellable"),
        _ => error(404, "NOT_FOUND", "what?"),
    }
}

fn run(name: &Value, number: usize, status: &str) -> Value {
    let problem =
        (status == "failed").then(|| json!({"code": "SQL_INVALID", "message": "no such column"}));
    json!({"id": id(number), "namespace": "n", "layer": "gold", "pipeline": name, "status": status,
        "duration_ms": 1500, "rows_written": 1234, "error": problem, "source_hash": "h",
        "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01Z"})
}

fn started(server: &Server) -> Vec<String> {
    let posts = server
        .requests()
        .into_iter()
        .filter(|r| r.route() == ("POST", "/api/v1/runs"));
    posts
        .map(|r| r.json()["pipeline"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn one_pipeline_is_only_started_and_its_run_printed() {
    let server = server(&[], false);
    let (code, out, _) = server.rat(&["run", "gold.a", "--namespace", "n"]);
    assert_eq!((code, out), (0, format!("{}\n", id(1))));
    assert_eq!(server.seen(), ["POST /api/v1/runs"]);
}

#[test]
fn waiting_tells_how_it_ended() {
    let (code, out, err) = server(&[], false).rat(&["run", "n.gold.a", "--wait"]);
    assert_eq!(code, 0);
    expect![[r#"
         pipeline │ run                                  │ status  │ rows │ duration_ms
        ──────────┼──────────────────────────────────────┼─────────┼──────┼─────────────
         n.gold.a │ 019a0000-0000-7000-8000-000000000001 │ success │ 1234 │        1500
    "#]]
    .assert_eq(&out);
    expect![[r#"
        n.gold.a                             success           1,234 rows      1.5 s
        1 succeeded
    "#]]
    .assert_eq(&err);
}

#[test]
fn all_run_in_order_and_what_depends_on_a_failure_is_skipped() {
    let server = server(&["b"], false);
    let (code, out, err) = server.rat(&["run", "--all", "--jobs", "1", "-o", "csv"]);
    assert_eq!(code, 1);
    assert_eq!(started(&server), ["a", "b", "x"]);
    expect![[r#"
        pipeline,run,status,rows,duration_ms
        n.gold.a,019a0000-0000-7000-8000-000000000001,success,1234,1500
        n.gold.b,019a0000-0000-7000-8000-000000000002,failed,1234,1500
        n.gold.c,,skipped,,
        n.gold.x,019a0000-0000-7000-8000-000000000003,success,1234,1500
    "#]]
    .assert_eq(&out);
    assert!(
        err.contains("no such column (SQL_INVALID)") && err.contains("n.gold.b did not succeed"),
        "{err}"
    );
}

#[test]
fn json_holds_what_the_api_said_of_each_run() {
    let (code, out, _) = server(&[], false).rat(&["run", "n.gold.a", "n.gold.x", "-o", "json"]);
    assert_eq!(code, 0);
    let runs: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(runs.as_array().unwrap().len(), 2);
    assert_eq!(runs[0]["rows_written"], 1234);
}

#[test]
fn fresh_pipelines_are_left_out_when_only_stale_ones_are_wanted() {
    let server = server(&[], false);
    let (code, _, err) = server.rat(&["run", "--all", "--stale", "--jobs", "1"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(started(&server), ["a", "b", "c"]);
    assert!(err.contains("1 up to date"), "{err}");
}

#[test]
fn an_unknown_pipeline_is_named_before_anything_starts() {
    let server = server(&[], false);
    let (code, _, err) = server.rat(&["run", "n.gold.a", "n.gold.nope", "n.gold.nada"]);
    assert_eq!(code, 1);
    assert_eq!(err, "error: no such pipeline: n.gold.nada, n.gold.nope\n");
    assert_eq!(started(&server), Vec::<String>::new());
}

#[test]
fn ctrl_c_asks_to_cancel_and_a_second_one_leaves() {
    use nix::sys::signal::{Signal, kill};
    let server = server(&[], true);
    let mut command = crate::support::rat();
    command.args(["--server", &server.url, "run", "--all"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    crate::support::wait_for("the runs to be watched", || {
        let looks = server
            .seen()
            .iter()
            .filter(|line| line.starts_with("GET /api/v1/runs/"))
            .count();
        (looks > 3).then_some(())
    });
    kill(pid, Signal::SIGINT).unwrap();
    crate::support::wait_for("both runs to be cancelled", || {
        let cancels = server
            .changes()
            .iter()
            .filter(|line| line.ends_with("/cancel"))
            .count();
        (cancels == 2).then_some(())
    });
    kill(pid, Signal::SIGINT).unwrap();
    let (code, _, err) = crate::support::text(&child.wait_with_output().unwrap());
    assert_eq!(code, 1, "{err}");
    let mut started = started(&server);
    started.sort();
    assert_eq!(started, ["a", "x"], "nothing more was started");
}

#[test]
fn a_pipeline_whose_zone_got_a_file_since_its_last_success_is_stale() {
    let server = server_with_file(LATELY);
    let (code, _, err) = server.rat(&["run", "n.gold.x", "--stale"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(started(&server), ["x"]);
    let server = server_with_file(LONG_AGO);
    let (code, _, err) = server.rat(&["run", "n.gold.x", "--stale"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(started(&server), Vec::<String>::new());
    assert!(err.contains("1 up to date"), "{err}");
}

#[test]
fn an_unknown_namespace_is_an_error_and_not_an_empty_result() {
    let server = server(&[], false);
    let expected = "error: namespace nope does not exist (NOT_FOUND, request id 0199-test)\n";
    for arguments in [
        &["run", "--all", "--namespace", "nope"][..],
        &["runs", "--namespace", "nope"],
    ] {
        let (code, out, err) = server.rat(arguments);
        assert_eq!((code, out.as_str(), err.as_str()), (1, "", expected));
    }
}

#[test]
fn a_run_that_ratd_refuses_to_start_is_refused_and_not_lost() {
    let server = server(&["refuse"], false);
    let (code, out, err) = server.rat(&["run", "n.gold.a", "n.gold.b", "-o", "csv"]);
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "pipeline,run,status,rows,duration_ms\nn.gold.a,,refused,,\nn.gold.b,,skipped,,\n"
    );
    assert!(err.contains("dependency cycle (INVALID_ARGUMENT"), "{err}");
    let (_, out, err) = server.rat(&["run", "n.gold.a", "n.gold.b", "-o", "json"]);
    let runs: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(runs[0]["status"], "refused", "{out} {err}");
    assert_eq!(runs[1]["status"], "skipped");
    let (code, _, err) = server.rat(&["run", "n.gold.a", "--wait"]);
    assert_eq!(code, 1);
    assert!(err.ends_with("\n1 refused\n"), "{err}");
}

#[test]
fn a_started_run_is_told_with_its_status_in_every_format() {
    let server = server(&[], false);
    let (_, out, _) = server.rat(&["run", "n.gold.a", "-o", "json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told, json!({"run_id": id(1), "status": "pending"}));
    let (_, out, _) = server.rat(&["run", "n.gold.a", "-o", "csv"]);
    assert_eq!(
        out,
        format!(
            "pipeline,run,status,rows,duration_ms\nn.gold.a,{},pending,,\n",
            id(2)
        )
    );
}

#[test]
fn into_a_pipe_long_texts_are_written_whole() {
    let long = "a long text ".repeat(20);
    let text = long.clone();
    let server = Server::start(move |request| {
        let failed = json!({"id": id(1), "namespace": "n", "layer": "gold", "pipeline": "a",
            "status": "failed", "error": {"code": "SQL_INVALID", "message": text}});
        match request.path.as_str() {
            "/api/v1/runs" => ok(json!({"runs": [failed], "total": 1})),
            _ => ok(
                json!({"pipelines": [{"namespace": "n", "layer": "gold", "name": "a",
                "description": text}], "total": 1}),
            ),
        }
    });
    for command in ["runs", "pipelines"] {
        let (code, out, err) = server.rat(&[command]);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains(long.trim()), "{command}: {out}");
    }
}

#[test]
fn pipelines_that_read_each_other_are_named_and_nothing_is_started() {
    let pipeline = |namespace: &str, name: &str, on: &[&str]| json!({"namespace": namespace, "layer": "gold", "name": name, "depends_on": on});
    let listed = json!({"pipelines": [
        pipeline("n", "a", &["n.gold.c"]), pipeline("n", "b", &["n.gold.a"]),
        pipeline("n", "c", &["n.gold.b"]), pipeline("n", "d", &["n.gold.c"]),
        pipeline("n", "x", &[]), pipeline("m", "y", &[])], "total": 6});
    let server = Server::start(move |request| match request.route() {
        ("GET", "/api/v1/pipelines") => ok(listed.clone()),
        _ => error(500, "INTERNAL", "nothing else is asked for"),
    });
    let cycle = "error: nothing was started, because none of these pipelines can be the first: \
                 dependency cycle: n.gold.a → n.gold.c → n.gold.b → n.gold.a\n";
    for selection in [
        &["--all"][..],
        &["--all", "--namespace", "n", "-o", "json"],
        &["--all", "--stale"],
        &["n.gold.x", "n.gold.a", "n.gold.b", "n.gold.c"],
    ] {
        let (code, out, err) = server.rat(&[&["run"], selection].concat());
        assert_eq!((code, out.as_str(), err.as_str()), (1, "", cycle));
    }
    // With one of them left out, the others still wait for each other by way of it.
    let (code, _, err) = server.rat(&["run", "n.gold.a", "n.gold.b", "--wait"]);
    assert_eq!(code, 1);
    assert!(err.contains("n.gold.a → n.gold.b → n.gold.a"), "{err}");
    assert_eq!(server.changes(), Vec::<String>::new());
    // One that is not selected and not in between harms nobody.
    server.rat(&["run", "--all", "--namespace", "m"]);
    assert_eq!(server.changes(), ["POST /api/v1/runs"]);
}

#[test]
fn the_log_of_a_pipeline_is_that_of_its_latest_run() {
    let line = json!({"seq": 1, "timestamp": "2026-01-01T00:00:00Z", "level": "info",
        "message": "hello"});
    let server = Server::start(move |request| match request.path.as_str() {
        "/api/v1/runs"
            if request
                .query
                .contains("pipeline=a&sort=-created_at&limit=1") =>
        {
            ok(json!({"runs": [run(&json!("a"), 7, "success")], "total": 3}))
        }
        "/api/v1/runs" => ok(json!({"runs": [], "total": 0})),
        "/api/v1/pipelines/n/gold/new" => ok(json!({"name": "new"})),
        path if path.ends_with("-000000000007/logs") => {
            let lines = match request.query.contains("after=0") {
                true => vec![line.clone()],
                false => Vec::new(),
            };
            ok(json!({"logs": lines, "status": "success"}))
        }
        _ => error(404, "NOT_FOUND", "pipeline n.gold.nope does not exist"),
    });
    let (code, out, err) = server.rat(&["logs", "gold.a", "--namespace", "n"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.ends_with("info  hello\n"), "{out}");
    assert_eq!(err, format!("Latest run of n.gold.a: {}\n", id(7)));
    assert_eq!(server.rat(&["logs", &id(7)]).1, out);
    let (code, _, err) = server.rat(&["logs", "n.gold.new"]);
    assert_eq!(
        (code, err.as_str()),
        (1, "error: n.gold.new has not run yet\n")
    );
    let (code, _, err) = server.rat(&["logs", "n.gold.nope"]);
    assert_eq!(code, 1);
    assert!(err.contains("n.gold.nope does not exist"), "{err}");
}
