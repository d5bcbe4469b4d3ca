//! What an operator sees: events, counters, rows.

use rat_api::Holder;
use rat_config::Slot;
use rat_store::PluginStatus;

use crate::support::plugin::{Script, Served};
use crate::support::{Rig, one};

#[tokio::test]
async fn a_change_is_an_event_once_and_is_counted() {
    let rig = Rig::new().await;
    let mut events = rig.host.events();
    let socket = rig.socket("auth.sock");
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until_message(Slot::Auth, "No such file").await;
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.until(Slot::Auth, Holder::Plugin).await;
    let seen = [events.recv().await.unwrap(), events.recv().await.unwrap()];
    let changes = seen.map(|event| {
        assert_eq!(
            (event.plugin.as_str(), event.slot),
            ("auth-one", Slot::Auth)
        );
        (event.from, event.to, event.message)
    });
    assert_eq!(
        (changes[0].0, changes[0].1),
        (PluginStatus::Unknown, PluginStatus::Down)
    );
    assert!(changes[0].2.contains("No such file"), "{changes:?}");
    assert_eq!(
        (changes[1].0, changes[1].1),
        (PluginStatus::Down, PluginStatus::Healthy)
    );
    assert_eq!(changes[1].2, "all well");
    assert!(events.try_recv().is_err());

    rig.authenticate("good").await.unwrap();
    script.fail(tonic::Status::unauthenticated("no"));
    assert!(rig.authenticate("bad").await.is_err());
    let metrics = rig.host.plugins().metrics();
    for line in [
        "rat_plugin_status{slot=\"auth\",plugin=\"auth-one\",status=\"healthy\"} 1",
        "rat_plugin_status{slot=\"auth\",plugin=\"auth-one\",status=\"down\"} 0",
        "rat_plugin_status_changes_total{slot=\"auth\",plugin=\"auth-one\",status=\"healthy\"} 1",
        "rat_plugin_calls_total{slot=\"auth\",plugin=\"auth-one\",method=\"Authenticate\",code=\"ok\"} 1",
        "rat_plugin_calls_total{slot=\"auth\",plugin=\"auth-one\",method=\"Authenticate\",\
         code=\"unauthenticated\"} 1",
        "rat_plugin_call_duration_seconds_count{slot=\"auth\",plugin=\"auth-one\",\
         method=\"Authenticate\"} 2",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_plugin_that_is_not_configured_any_more_leaves_the_table_at_the_start() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until_row("auth-one", |row| row.status == PluginStatus::Down)
        .await;
    rig.load("plugins: {}").await;
    assert!(rig.row("auth-one").await.is_none());
}
