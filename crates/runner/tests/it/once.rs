use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use rat_types::{RunOutcome, RunState};

use crate::support::request;

fn once(folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rat-runner"))
        .args(["once", "--request", "run.json", "--result", "outcome.json"])
        .current_dir(folder)
        .env_remove("RAT_CONFIG")
        .env("RAT_RUNNER_TEMP_DIR", folder)
        .output()
        .unwrap()
}

#[test]
fn the_outcome_of_a_run_that_failed_is_a_private_file_and_the_exit_code_is_1() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = request("wrong", "unix:/nowhere/ratd.sock".to_owned());
    run.sources
        .insert("pipeline.sql".to_owned(), "SELECT {{ colour }}".to_owned());
    std::fs::write(
        folder.path().join("run.json"),
        serde_json::to_vec(&run).unwrap(),
    )
    .unwrap();
    let output = once(folder.path());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(" error TEMPLATE_INVALID: pipeline.sql:1: "),
        "{stderr}"
    );
    assert!(!stderr.contains("rat_run_secret"), "{stderr}");

    let path = folder.path().join("outcome.json");
    let outcome: RunOutcome = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        (outcome.run_id, outcome.state),
        (run.run_id, RunState::Failed)
    );
    assert_eq!(outcome.failure.unwrap().code, "TEMPLATE_INVALID");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_request_that_is_none_leaves_no_result() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run.json"), "{\"run_id\": 7}").unwrap();
    let output = once(folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("is not a run request")
    );
    assert!(!folder.path().join("outcome.json").exists());
}
