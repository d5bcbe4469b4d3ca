//! A plugin without a fault.

use rat_config::{Protocol, Slot};
use rat_plugin_check::{CHECKS, Options, Verdict};

use crate::fake::{Fake, Fault, options, target};

#[tokio::test]
async fn a_good_plugin_passes_every_check_that_needs_no_restart() {
    let fake = Fake::start(Fault::default());
    let report = fake.judge(options(&[])).await;
    for finding in &report.checks {
        let expected = match finding.check.id.starts_with("restart.") {
            true => Verdict::NotChecked,
            false => Verdict::Pass,
        };
        assert_eq!(
            finding.verdict, expected,
            "{}: {}",
            finding.check.id, finding.detail
        );
    }
    assert_eq!(report.checks.len(), CHECKS.len());
    assert_eq!(report.summary.not_checked, 3);
    assert!(report.is_success(true));
    assert_eq!(report.slots, Slot::ALL.map(Slot::as_str));
    assert_eq!(report.name.as_deref(), Some("fake"));
}

#[tokio::test]
async fn a_good_plugin_passes_over_connect_as_well() {
    let fake = Fake::start(Fault::default());
    let over_connect = Options {
        protocol: Protocol::Connect,
        ..options(&[])
    };
    let report = fake.judge(over_connect).await;
    for finding in &report.checks {
        let id = finding.check.id;
        let expected = match id.starts_with("restart.") || id == "standard.reflection" {
            true => Verdict::NotChecked,
            false => Verdict::Pass,
        };
        assert_eq!(finding.verdict, expected, "{id}: {}", finding.detail);
    }
    assert_eq!(report.checks.len(), CHECKS.len());
}

#[tokio::test]
async fn without_a_token_and_a_configuration_what_needs_them_is_not_checked() {
    let fake = Fake::start(Fault::default());
    let only = ["auth.identity", "auth.near-miss", "configure.idempotent"];
    let without = Options {
        token: None,
        config: None,
        ..options(&only)
    };
    let report = fake.judge(without).await;
    assert_eq!(report.summary.not_checked, 3);
    for finding in &report.checks {
        assert!(finding.detail.contains("--"), "{}", finding.detail);
    }
}

#[tokio::test]
async fn only_the_wanted_checks_are_done() {
    let fake = Fake::start(Fault::default());
    let report = fake
        .judge(options(&["health", "auth.bad-token.long", "conn"]))
        .await;
    let ids: Vec<_> = report.checks.iter().map(|found| found.check.id).collect();
    assert_eq!(
        ids,
        [
            "health.answers",
            "health.status-word",
            "health.time-limit",
            "health.message",
            "auth.bad-token.long"
        ]
    );
}

#[tokio::test]
async fn only_the_checks_of_the_wanted_slot_are_done() {
    let fake = Fake::start(Fault::default());
    let wanted = Options {
        slots: vec![Slot::Sharing],
        ..options(&["sharing", "auth", "slot"])
    };
    let report = fake.judge(wanted).await;
    assert!(report.finding("sharing.unknown-grant").is_some());
    assert!(report.finding("auth.bad-token.empty").is_none());
    assert_eq!(
        report.finding("slot.served").unwrap().detail,
        "rat.sharing.v1.SharingService"
    );
}

#[tokio::test]
async fn nobody_at_the_address_is_a_failure_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let target = target(&folder.path().join("none.sock"));
    let report = rat_plugin_check::run(target, options(&[]), &rat_plugin_check::Silent)
        .await
        .unwrap();
    assert!(!report.is_success(false));
    let reachable = report.finding("connection.reachable").unwrap();
    assert_eq!(reachable.verdict, Verdict::Fail);
    assert!(
        reachable.detail.contains("No such file"),
        "{}",
        reachable.detail
    );
    let passed: Vec<_> = report
        .checks
        .iter()
        .filter(|found| found.verdict == Verdict::Pass)
        .map(|found| found.check.id)
        .collect();
    assert!(passed.is_empty(), "{passed:?}");
}
