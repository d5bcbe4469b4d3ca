//! The program itself: command line, settings, signals, health.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rat_config::Address;
use rat_service::grpc;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::LIMIT;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratq"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAT_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn text(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn settings(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("rat.yaml");
    let text = format!("ratq:\n  address: unix:{}/ratq.sock\n", folder.display());
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn bad_settings_end_with_78_and_show_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rat.yaml");
    std::fs::write(&file, "ratq:\n  timeout: soon\n").unwrap();
    let (code, err) = text(&program().arg("--config").arg(&file).output().unwrap());
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("rat.yaml:2"), "{err}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    assert_eq!(text(&program().arg("--nope").output().unwrap()).0, Some(2));
}

#[tokio::test]
async fn it_is_serving_until_it_is_asked_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::from(program());
    command
        .arg("--config")
        .arg(settings(folder.path()))
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().unwrap();
    let address = Address::Unix(folder.path().join("ratq.sock"));
    let mut health = HealthClient::new(grpc::channel(&address).unwrap());
    let serving = async {
        loop {
            let request = HealthCheckRequest {
                service: "rat.query.v1.QueryService".to_owned(),
            };
            if let Ok(answer) = health.check(request).await {
                return answer.into_inner().status();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let status = tokio::time::timeout(LIMIT, serving)
        .await
        .expect("it serves in time");
    assert_eq!(status, ServingStatus::Serving);
    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("/bin/sh")
            .args(["-c", &format!("kill -TERM {pid}")])
            .status()
            .unwrap()
            .success()
    );
    let output = tokio::time::timeout(LIMIT, child.wait_with_output())
        .await
        .expect("it ends in time");
    let (code, err) = text(&output.unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(
        !folder.path().join("ratq.sock").exists(),
        "its socket is gone"
    );
}
