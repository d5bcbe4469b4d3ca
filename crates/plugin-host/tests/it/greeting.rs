//! What is said at the beginning of a connection.

use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering;

use rat_api::{Holder, Plugins as _};
use rat_config::Slot;
use rat_proto::plugin::v1::DescribeResponse;
use rat_store::PluginStatus;
use tonic::Status;

use crate::support::plugin::{Script, Served};
use crate::support::{Rig, one, wait_for};

const CONFIG: &str = ", config: {realm: rat, retries: 3, nested: {on: true}}";
const SENT: &str = r#"{"realm":"rat","retries":3,"nested":{"on":true}}"#;

fn same(sent: &[String], expected: &str, times: usize) {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(sent.len(), times, "{sent:?}");
    for one in sent {
        assert_eq!(parse(one), parse(expected));
    }
}

#[tokio::test]
async fn a_plugin_hears_its_configuration_once_a_connection_and_before_anything_else() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, CONFIG)).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let calls = (0..50).map(async |_| rig.authenticate("good").await.unwrap());
    futures::future::join_all(calls).await;
    let checks = script.checks();
    wait_for("more checks", || match script.checks() > checks + 3 {
        true => Ok(()),
        false => Err(String::new()),
    })
    .await;
    same(&script.configurations(), SENT, 1);

    // Another process on the same socket: it knows nothing of what the first one was told.
    served.kill();
    rig.until(Slot::Auth, Holder::Denied).await;
    let next = Script::new();
    let _served = Served::unix(&socket, &next);
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.authenticate("good").await.unwrap();
    same(&next.configurations(), SENT, 1);
    assert!(!next.asked_too_early.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_process_behind_a_socket_that_stays_open_is_configured_before_it_is_asked() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut script = Script::new();
    let mut served = Served::on(listener.try_clone().unwrap(), &script);
    rig.load(&one(Slot::Auth, &socket, CONFIG)).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    for _ in 0..20 {
        rig.authenticate("good").await.unwrap();
        let next = Script::new();
        served.kill();
        served = Served::on(listener.try_clone().unwrap(), &next);
        // Straight away: the first to find the new process may be a caller, or a check.
        let _ = rig.authenticate("good").await;
        rig.until(Slot::Auth, Holder::Plugin).await;
        rig.authenticate("good").await.unwrap();
        assert!(!next.asked_too_early.load(Ordering::SeqCst));
        script = next;
    }
    same(&script.configurations(), SENT, 1);
}

#[tokio::test]
async fn a_configuration_that_is_refused_keeps_the_plugin_down_with_its_words() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    *script.configure.lock().unwrap() = Some(Status::invalid_argument("realm: no such realm"));
    let served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, CONFIG)).await;
    let message = "it refused its configuration: realm: no such realm";
    rig.until_message(Slot::Auth, message).await;
    assert!(rig.authenticate("good").await.is_err());
    assert_eq!(script.calls(), 0);
    same(&script.configurations(), SENT, 1);
    // Its restart with another mind.
    served.kill();
    let _served = Served::unix(&socket, &Script::new());
    rig.until(Slot::Auth, Holder::Plugin).await;
}

#[tokio::test]
async fn a_plugin_may_take_its_configuration_from_elsewhere() {
    for answer in [Status::unimplemented("?"), Status::permission_denied("?")] {
        let rig = Rig::new().await;
        let socket = rig.socket("auth.sock");
        let script = Script::new();
        *script.configure.lock().unwrap() = Some(answer);
        let _served = Served::unix(&socket, &script);
        rig.load(&one(Slot::Auth, &socket, "")).await;
        rig.until(Slot::Auth, Holder::Plugin).await;
        same(&script.configurations(), "{}", 1);
    }
}

#[tokio::test]
async fn a_plugin_says_its_version() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    *script.describe.lock().unwrap() = Some(DescribeResponse {
        name: "auth-test".to_owned(),
        version: "1.2.3".to_owned(),
        slots: vec!["sharing".to_owned()],
        ..DescribeResponse::default()
    });
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.until_row("auth-one", |row| {
        row.version == "1.2.3" && row.status == PluginStatus::Healthy
    })
    .await;
    rig.until_row("auth-one", |row| {
        row.message
            .contains("it says that it fills sharing, and is configured for auth")
    })
    .await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_taken_now_is_sent_again() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    *script.configure.lock().unwrap() = Some(Status::unavailable("keycloak is not there yet"));
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, CONFIG)).await;
    let said =
        "it cannot be reached: Configure: it answered UNAVAILABLE: keycloak is not there yet";
    rig.until_row("auth-one", |row| row.message == said).await;
    *script.configure.lock().unwrap() = None;
    rig.until(Slot::Auth, Holder::Plugin).await;
}

#[tokio::test]
async fn a_refused_configuration_is_sent_again_when_the_settings_are_read_again() {
    let rig = Rig::with(rat_plugin_host::Options {
        health_interval: std::time::Duration::from_secs(3600),
        ..crate::support::fast()
    })
    .await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    *script.configure.lock().unwrap() = Some(Status::invalid_argument("realm: no such realm"));
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, CONFIG)).await;
    rig.until_row("auth-one", |row| row.message.contains("no such realm"))
        .await;
    *script.configure.lock().unwrap() = None;
    rig.host.reload().await.unwrap();
    rig.until(Slot::Auth, Holder::Plugin).await;
}
