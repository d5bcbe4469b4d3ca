//! What stands in each slot while its plugin is away, and that it is back as soon as the plugin
//! is.

use chrono::Utc;
use rat_api::{
    AccessError, Action, AuthenticationError, CredentialsRequest, GrantFilter, Holder, Permission,
    Resource, SlotError,
};
use rat_config::{OnDown, Slot};
use rat_plugin_host::Options;
use rat_types::{Identity, RunId};

use crate::executor::request;
use crate::support::plugin::{Script, Served};
use crate::support::{Rig, fast, one, user};

/// What somebody hears who needs the slot.
async fn ask(rig: &Rig, slot: Slot) -> String {
    let ada = user("ada");
    let resource = Resource::namespace(&"shop".parse().unwrap());
    match slot {
        Slot::Auth => match rig.authenticate("good").await {
            Ok(verified) => format!("{} by {}", verified.identity.user_id, verified.by.as_str()),
            Err(AuthenticationError::Unavailable(_)) => "unavailable".to_owned(),
            Err(error) => error.to_string(),
        },
        Slot::Enforcement => {
            let enforcer = rig.host.enforcer();
            let one = enforcer.check(&ada, &resource, Action::Read).await;
            let many = enforcer.filter(&ada, &[resource], Action::Read).await;
            match (one, many) {
                (Ok(()), Ok(all)) if all == [true] => "allowed".to_owned(),
                (Err(AccessError::Denied { .. }), Ok(all)) if all == [false] => "denied".to_owned(),
                (Err(AccessError::Unavailable(_)), Err(_)) => "unavailable".to_owned(),
                other => format!("{other:?}"),
            }
        }
        Slot::Sharing => {
            let sharing = rig.host.sharing();
            outcome(sharing.list(&ada, &GrantFilter::default()).await)
        }
        Slot::Cloud => {
            let cloud = rig.host.cloud();
            let request = CredentialsRequest {
                provider: "aws".to_owned(),
                resource: "s3://lake".to_owned(),
                namespace: "shop".parse().unwrap(),
                owner: String::new(),
            };
            outcome(cloud.get(&ada, &request).await)
        }
        Slot::Executor => {
            let executor = rig.executors.current();
            let submitted = executor.submit(&request(RunId::new_at(Utc::now()))).await;
            let name = executor.name();
            match submitted {
                Ok(_) => format!("taken by {name}"),
                Err(error) => format!("{} by {name}", error.reason()),
            }
        }
    }
}

fn outcome<T>(result: Result<T, SlotError>) -> String {
    match result {
        Ok(_) => "served".to_owned(),
        Err(SlotError::NotAvailable { .. }) => "not available".to_owned(),
        Err(SlotError::Unavailable { .. }) => "unavailable".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn expected(slot: Slot, on_down: OnDown) -> (Holder, &'static str) {
    match (slot, on_down) {
        (Slot::Auth, OnDown::Builtin) => (Holder::Fallback, "anonymous by open"),
        (Slot::Enforcement, OnDown::Builtin) => (Holder::Fallback, "allowed"),
        (Slot::Executor, OnDown::Builtin) => (Holder::Fallback, "taken by warm-pool"),
        (_, OnDown::Builtin) => (Holder::Fallback, "not available"),
        (Slot::Executor, OnDown::Deny) => (Holder::Denied, "EXECUTOR_REJECTED by executor-one"),
        (_, OnDown::Deny) => (Holder::Denied, "unavailable"),
        (_, OnDown::Hold) => (Holder::Held, "EXECUTOR_UNAVAILABLE by executor-one"),
    }
}

fn served(slot: Slot) -> &'static str {
    match slot {
        Slot::Auth => "user-of-good by plugin",
        Slot::Enforcement => "denied",
        Slot::Sharing | Slot::Cloud => "served",
        Slot::Executor => "taken by executor-one",
    }
}

#[tokio::test]
async fn every_slot_does_what_on_down_says_while_its_plugin_comes_and_goes() {
    for slot in Slot::ALL {
        for on_down in [OnDown::Deny, OnDown::Builtin, OnDown::Hold] {
            if on_down == OnDown::Hold && slot != Slot::Executor {
                continue;
            }
            let rig = Rig::new().await;
            let socket = rig.socket("one.sock");
            let more = format!(", on_down: {on_down}");
            rig.load(&one(slot, &socket, &more)).await;
            let (holder, away) = expected(slot, on_down);
            for _ in 0..2 {
                rig.until(slot, holder).await;
                assert_eq!(ask(&rig, slot).await, away, "{slot} {on_down}");
                let script = Script::new();
                let server = Served::unix(&socket, &script);
                rig.until(slot, Holder::Plugin).await;
                assert_eq!(ask(&rig, slot).await, served(slot), "{slot} {on_down}");
                // It says itself that it cannot work.
                script.be("down", "not now");
                rig.until(slot, holder).await;
                assert_eq!(ask(&rig, slot).await, away, "{slot} {on_down}");
                script.be("healthy", "");
                rig.until(slot, Holder::Plugin).await;
                // It dies.
                server.kill();
                std::fs::remove_file(&socket).unwrap();
            }
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn the_call_that_finds_the_plugin_dead_closes_or_opens_the_slot_at_once() {
    for on_down in [OnDown::Deny, OnDown::Builtin] {
        for slot in [Slot::Auth, Slot::Enforcement] {
            let rig = Rig::with(rat_plugin_host::Options {
                // No check comes in between.
                health_interval: std::time::Duration::from_secs(3600),
                ..fast()
            })
            .await;
            let socket = rig.socket("one.sock");
            let more = format!(", on_down: {on_down}");
            let server = Served::unix(&socket, &Script::new());
            rig.load(&one(slot, &socket, &more)).await;
            rig.until(slot, Holder::Plugin).await;
            server.kill();
            std::fs::remove_file(&socket).unwrap();
            let (holder, away) = expected(slot, on_down);
            assert_eq!(ask(&rig, slot).await, away, "{slot} {on_down}");
            assert_eq!(rig.slot(slot).holder, holder);
        }
    }
}

#[tokio::test]
async fn an_api_key_opens_nothing_while_the_plugin_is_denied_and_suffices_where_it_is_not() {
    for (on_down, opens) in [(OnDown::Deny, false), (OnDown::Builtin, true)] {
        let rig = Rig::with_key(fast(), Some("the-key")).await;
        let socket = rig.socket("nobody.sock");
        let more = format!(", on_down: {on_down}");
        rig.load(&one(Slot::Auth, &socket, &more)).await;
        rig.until_message(Slot::Auth, "No such file").await;
        assert!(rig.auth.is_required());
        assert_eq!(rig.authenticate("the-key").await.is_ok(), opens);
        assert!(rig.authenticate("another").await.is_err());
        assert!(rig.auth.authenticate(None).await.is_err());
    }
}

#[tokio::test]
async fn the_settings_say_which_roles_are_administrators() {
    let options = Options {
        admin_roles: vec!["/platform".to_owned()],
        ..fast()
    };
    let rig = Rig::with(options).await;
    let socket = rig.socket("auth.sock");
    let _server = Served::unix(&socket, &Script::new());
    let with_role = |role: &str| Identity {
        roles: vec![role.to_owned()],
        ..user("ada")
    };
    let may = async |who: &Identity| rig.auth.authorize(who, Permission::AuditRead).await;
    // Who presents the API key is one all the same.
    assert!(may(&Identity::api_key()).await.is_ok());
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    assert!(may(&with_role("/platform")).await.is_ok());
    let denied = may(&with_role("admin")).await.unwrap_err();
    assert!(
        matches!(&denied, AccessError::Denied { reason, .. } if reason == "needs the role /platform"),
        "{denied:?}"
    );
}

#[tokio::test]
async fn permissions_of_the_platform_are_the_plugins_to_give_where_it_can() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let server = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let (admin, ada) = (Identity::anonymous(), user("ada"));
    let may = async |who: &Identity| rig.auth.authorize(who, Permission::PluginsReload).await;
    // It does not know the method: the role decides.
    assert!(may(&admin).await.is_ok());
    assert!(matches!(may(&ada).await, Err(AccessError::Denied { .. })));
    // As Keycloak's groups are called; only the whole name counts.
    let with_role = |role: &str| Identity {
        roles: vec!["/demo:analyst".to_owned(), role.to_owned()],
        ..user("ada")
    };
    assert!(may(&with_role("/admin")).await.is_ok());
    for role in ["/Admin", "/x/admin", "/admin/x", "admins", ""] {
        let denied = may(&with_role(role)).await;
        assert!(matches!(denied, Err(AccessError::Denied { .. })), "{role}");
    }
    *script.authorize.lock().unwrap() = Ok(true);
    assert!(may(&ada).await.is_ok());
    *script.authorize.lock().unwrap() = Ok(false);
    let denied = may(&admin).await.unwrap_err();
    assert!(
        matches!(&denied, AccessError::Denied { reason, .. } if reason == "because"),
        "{denied:?}"
    );
    server.kill();
    rig.until(Slot::Auth, Holder::Denied).await;
    let unavailable = may(&admin).await;
    assert!(matches!(unavailable, Err(AccessError::Unavailable(_))));
}
