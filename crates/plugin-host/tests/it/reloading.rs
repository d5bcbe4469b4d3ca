//! The settings are read again.

use rat_api::{Holder, Plugins as _, ReloadError, Reloaded};
use rat_config::Slot;

use crate::support::plugin::{Script, Served};
use crate::support::{Rig, line, one};

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn what_is_new_changed_gone_and_as_before_is_told_and_done() {
    let rig = Rig::new().await;
    let script = Script::new();
    let socket = |slot: Slot| rig.socket(&format!("{slot}.sock"));
    let _served = Slot::ALL.map(|slot| Served::unix(&socket(slot), &script));
    let at = |slot: Slot, more: &str| {
        let address = format!("unix:{}", socket(slot).display());
        line(slot, &address, more)
    };
    let before = [
        at(Slot::Auth, ""),
        at(Slot::Sharing, ""),
        at(Slot::Cloud, ""),
    ];
    rig.load(&format!("plugins:\n{}", before.concat())).await;
    for slot in [Slot::Auth, Slot::Sharing, Slot::Cloud] {
        rig.until(slot, Holder::Plugin).await;
    }
    assert_eq!(script.configurations().len(), 3);

    let after = [
        at(Slot::Auth, ""),
        at(Slot::Sharing, ", config: {a: 1}"),
        at(Slot::Enforcement, ""),
    ];
    rig.write(&format!("plugins:\n{}", after.concat()));
    let reloaded = rig.host.reload().await.unwrap();
    assert_eq!(
        reloaded,
        Reloaded {
            added: names(&["enforcement-one"]),
            changed: names(&["sharing-one"]),
            removed: names(&["cloud-one"]),
            unchanged: names(&["auth-one"]),
        }
    );
    // Nothing has to be waited for: what is new was checked before it took its place.
    for slot in [Slot::Auth, Slot::Sharing, Slot::Enforcement] {
        assert_eq!(rig.slot(slot).holder, Holder::Plugin, "{slot}");
    }
    assert_eq!(rig.slot(Slot::Cloud).holder, Holder::Builtin);
    // One connection each for what is new or changed, none for what stayed.
    assert_eq!(script.configurations().len(), 5);
    assert_eq!(
        script.configurations()[3..]
            .iter()
            .filter(|sent| *sent == r#"{"a":1}"#)
            .count(),
        1
    );
    let rows = rig.store.plugins().list().await.unwrap();
    let rows: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(rows, ["auth-one", "enforcement-one", "sharing-one"]);
    let metrics = rig.host.metrics().encode();
    assert!(!metrics.contains("status{slot=\"cloud\""), "{metrics}");

    let again = rig.host.reload().await.unwrap();
    assert_eq!(again.unchanged.len(), 3);
    assert!(again.added.is_empty() && again.changed.is_empty() && again.removed.is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_is_wrong_changes_nothing() {
    let rig = Rig::new().await;
    let socket = rig.socket("one.sock");
    let _served = Served::unix(&socket, &Script::new());
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.write("plugins: {auth: {image: 7}, sharing: {image: x, address: 'unix:/x'}}");
    let refused = rig.host.reload().await.unwrap_err();
    let ReloadError::Invalid(message) = refused else {
        panic!("{refused:?}");
    };
    assert!(message.contains("plugins.auth"), "{message}");
    rig.authenticate("good").await.unwrap();
    assert_eq!(rig.slot(Slot::Sharing).holder, Holder::Builtin);
    assert_eq!(rig.store.plugins().list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn callers_notice_nothing_of_a_reload() {
    let rig = Rig::new().await;
    let socket = rig.socket("one.sock");
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let reloads = async {
        for number in 0..20 {
            rig.write(&one(
                Slot::Auth,
                &socket,
                &format!(", config: {{a: {number}}}"),
            ));
            rig.host.reload().await.unwrap();
        }
    };
    let calls = async {
        for _ in 0..500 {
            let verified = rig.authenticate("good").await.unwrap();
            assert_eq!(verified.identity.user_id, "user-of-good");
        }
    };
    tokio::join!(reloads, calls);
}

#[tokio::test]
async fn a_plugin_under_another_name_is_another_plugin() {
    let rig = Rig::new().await;
    let socket = rig.socket("one.sock");
    let _served = Served::unix(&socket, &Script::new());
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.write(&one(Slot::Auth, &socket, ", name: two"));
    let reloaded = rig.host.reload().await.unwrap();
    assert_eq!(reloaded.added, ["two"]);
    assert_eq!(reloaded.removed, ["auth-one"]);
    assert_eq!(rig.slot(Slot::Auth).plugin.as_deref(), Some("two"));
    rig.until_row("two", |row| row.last_health.is_some()).await;
    assert!(rig.row("auth-one").await.is_none());
}
