//! Plugins.

use rat_store::{NewPlugin, PluginHealth, PluginStatus, Store};
use rat_types::Kind;

use crate::support::{at, is_recent};

fn keycloak() -> NewPlugin {
    NewPlugin {
        name: "auth-keycloak".to_owned(),
        slot: "auth".to_owned(),
        image: "registry/auth-keycloak:1".to_owned(),
        address: "unix:/run/rat/auth.sock".to_owned(),
    }
}

pub(crate) async fn a_plugin_is_configured_asked_and_forgotten(store: Store) {
    assert_eq!(store.plugins().list().await.unwrap(), []);
    store.plugins().upsert(&keycloak()).await.unwrap();
    let fresh = store.plugins().get("auth-keycloak").await.unwrap().unwrap();
    assert_eq!(
        (fresh.status, fresh.last_health),
        (PluginStatus::Unknown, None)
    );
    assert_eq!(
        (&fresh.slot, &fresh.address),
        (&keycloak().slot, &keycloak().address)
    );
    assert!(is_recent(fresh.created_at));

    let mut health = PluginHealth {
        status: PluginStatus::Degraded,
        message: "slow".to_owned(),
        version: Some("1.2".to_owned()),
        latency_us: Some(1234),
        at: at(5),
    };
    store
        .plugins()
        .set_status("auth-keycloak", &health)
        .await
        .unwrap();
    health = PluginHealth {
        status: PluginStatus::Down,
        version: None,
        latency_us: None,
        ..health
    };
    store
        .plugins()
        .set_status("auth-keycloak", &health)
        .await
        .unwrap();
    let down = store.plugins().get("auth-keycloak").await.unwrap().unwrap();
    assert_eq!(
        (down.status, down.version.as_str()),
        (PluginStatus::Down, "1.2")
    );
    assert_eq!((down.latency_us, down.last_health), (None, Some(at(5))));

    let moved = NewPlugin {
        address: "127.0.0.1:50060".to_owned(),
        ..keycloak()
    };
    store.plugins().upsert(&moved).await.unwrap();
    let list = store.plugins().list().await.unwrap();
    assert_eq!(
        (list.len(), list[0].address.as_str()),
        (1, "127.0.0.1:50060")
    );
    assert_eq!(
        (list[0].status, list[0].created_at),
        (PluginStatus::Unknown, fresh.created_at)
    );
    store
        .plugins()
        .explain("auth-keycloak", "not asked yet")
        .await
        .unwrap();
    let explained = store.plugins().get("auth-keycloak").await.unwrap().unwrap();
    assert_eq!(
        (explained.status, explained.message.as_str()),
        (PluginStatus::Unknown, "not asked yet")
    );
    assert_eq!(explained.last_health, list[0].last_health);

    store.plugins().delete("auth-keycloak").await.unwrap();
    for error in [
        store.plugins().delete("auth-keycloak").await.unwrap_err(),
        store
            .plugins()
            .set_status("auth-keycloak", &health)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::NotFound);
    }
    assert_eq!(store.plugins().get("auth-keycloak").await.unwrap(), None);
}
