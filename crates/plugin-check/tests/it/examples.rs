//! The examples of this repository as the processes that they are.

use std::path::{Path, PathBuf};

use rat_config::Slot;
use rat_plugin_check::{Limits, Options, Report, Silent, Verdict};
use rat_types::Secret;

use crate::fake::target;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/plugins");

/// Says that something was left out, which a gate does not accept.
#[expect(clippy::print_stderr, reason = "whoever runs the tests has to see it")]
fn skip(what: &str, why: &str) {
    assert!(
        std::env::var_os("RAT_REQUIRE_ALL").is_none(),
        "{what}: {why}"
    );
    eprintln!("SKIPPED: {what}: {why}");
}

/// A program that was built beside this test.
fn program(name: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("RAT_TEST_BINARIES") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_exe()
            .unwrap()
            .ancestors()
            .nth(2)?
            .to_owned(),
    };
    let program = folder.join(name);
    program.is_file().then_some(program)
}

async fn judge(folder: &Path, token: &str, config: Option<String>, command: &str) -> Report {
    let socket = folder.join("plugin.sock");
    let options = Options {
        slots: vec![Slot::Auth],
        token: Some(Secret::new(token)),
        config: config.map(Secret::new),
        start: Some(format!("{command} --listen unix:{}", socket.display())),
        limits: Limits::default(),
        ..Options::default()
    };
    rat_plugin_check::run(target(&socket), options, &Silent)
        .await
        .unwrap()
}

/// Checks without the given verdicts, for people.
fn others(report: &Report, fine: &[Verdict]) -> Vec<String> {
    let others = report
        .checks
        .iter()
        .filter(|found| !fine.contains(&found.verdict));
    others
        .map(|found| format!("{}: {}", found.check.id, found.detail))
        .collect()
}

#[tokio::test]
async fn the_rust_example_passes_every_check() {
    let Some(plugin) = program("rat-plugin-auth-static") else {
        return skip("the Rust example", "rat-plugin-auth-static is not built");
    };
    let folder = tempfile::tempdir().unwrap();
    let config = "{\"tokens\": {\"let-me-in\": {\"user_id\": \"alice\", \"roles\": [\"admin\"]}}}";
    let file = folder.path().join("config.json");
    std::fs::write(&file, config).unwrap();
    let command = format!("'{}' --config '{}'", plugin.display(), file.display());
    let report = judge(
        folder.path(),
        "let-me-in",
        Some(config.to_owned()),
        &command,
    )
    .await;
    assert_eq!(others(&report, &[Verdict::Pass]), [""; 0]);
}

#[tokio::test]
async fn the_python_example_keeps_the_contract_and_lacks_only_connect() {
    let Some(python) = std::env::var_os("RAT_TEST_PYTHON").map(PathBuf::from) else {
        return skip("the Python example", "RAT_TEST_PYTHON is not set");
    };
    let folder = tempfile::tempdir().unwrap();
    let command = format!(
        "'{}' '{EXAMPLES}/auth-static-python/auth_static.py'",
        python.display()
    );
    let report = judge(folder.path(), "alice-token", None, &command).await;
    let lacking = others(&report, &[Verdict::Pass, Verdict::NotChecked]);
    let expected = ["connect.json", "connect.binary", "connect.error"];
    for (found, expected) in lacking.iter().zip(expected) {
        assert!(found.starts_with(expected), "{lacking:#?}");
    }
    assert_eq!(lacking.len(), expected.len(), "{lacking:#?}");
    assert!(report.is_success(false));
    let unchecked = report.summary.not_checked;
    assert_eq!(unchecked, 3, "those of Configure: {report:#?}");
}

#[tokio::test]
async fn a_plugin_of_another_slot_is_told_apart() {
    let Some(plugin) = program("rat-plugin-auth-static") else {
        return skip("the Rust example", "rat-plugin-auth-static is not built");
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("plugin.sock");
    let options = Options {
        slots: vec![Slot::Cloud],
        only: vec!["slot".to_owned(), "cloud".to_owned()],
        start: Some(format!(
            "'{}' --listen unix:{}",
            plugin.display(),
            socket.display()
        )),
        ..Options::default()
    };
    let report = rat_plugin_check::run(target(&socket), options, &Silent)
        .await
        .unwrap();
    let served = report.finding("slot.served").unwrap();
    assert_eq!(served.verdict, Verdict::Fail);
    assert_eq!(
        served.detail,
        "there is no rat.cloud.v1.CloudService, only rat.auth.v1.AuthService"
    );
}
