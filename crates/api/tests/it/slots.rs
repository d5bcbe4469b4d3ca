//! The slots that only the API asks, and what it says about all of them.

use std::sync::Arc;

use chrono::DateTime;
use futures::future::BoxFuture;
use http::Method;
use rat_api::{
    CloudCredentials, Credentials, CredentialsRequest, Holder, Plugins, ReloadError, Reloaded,
    SlotError, SlotState,
};
use rat_config::{OnDown, Slot};
use rat_store::{NewPlugin, PluginHealth, PluginStatus};
use rat_types::{Identity, Kind, Secret};
use serde_json::{Value, json};

use crate::people::Shop;
use crate::sharing::Grants;
use crate::support::{Setup, api};

/// Hands the same credential to everybody, or fails.
struct Vault(Result<(), SlotError>);

impl CloudCredentials for Vault {
    fn get<'a>(
        &'a self,
        caller: &'a Identity,
        request: &'a CredentialsRequest,
    ) -> BoxFuture<'a, Result<Credentials, SlotError>> {
        let about = format!("{} {} {}", caller.user_id, request.owner, request.resource);
        let answer = self.0.clone().map(|()| Credentials {
            values: [("AWS_SECRET_ACCESS_KEY".to_owned(), Secret::new(about))].into(),
            expires_at: DateTime::from_timestamp(1_700_000_000, 0),
        });
        Box::pin(std::future::ready(answer))
    }

    fn is_active(&self) -> bool {
        self.0.is_ok()
    }
}

/// Slots as they are said to be.
pub(crate) struct Rack {
    filled: Vec<(Slot, Holder)>,
    reload: Result<Reloaded, ReloadError>,
}

impl Plugins for Rack {
    fn slots(&self) -> Vec<SlotState> {
        let state = |slot| {
            let found = self.filled.iter().find(|(filled, _)| *filled == slot);
            SlotState {
                slot,
                plugin: found.map(|(slot, _)| format!("{slot}-plugin")),
                on_down: found.map(|_| OnDown::Deny),
                holder: found.map_or(Holder::Builtin, |(_, holder)| *holder),
                message: match found {
                    Some((_, Holder::Denied)) => "connection refused".to_owned(),
                    _ => String::new(),
                },
            }
        };
        Slot::ALL.into_iter().map(state).collect()
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadError>> {
        Box::pin(std::future::ready(self.reload.clone()))
    }

    fn metrics(&self) -> String {
        "rat_plugin_up 1\n# EOF\n".to_owned()
    }
}

pub(crate) fn rack(filled: &[(Slot, Holder)]) -> Arc<Rack> {
    Arc::new(Rack {
        filled: filled.to_vec(),
        reload: Ok(Reloaded {
            added: vec!["auth-plugin".to_owned()],
            ..Reloaded::default()
        }),
    })
}

#[tokio::test]
async fn without_a_plugin_nothing_is_shared_or_handed_out() {
    let api = api().await;
    api.pipeline("default.gold.a", "SELECT 1 AS a").await;
    let grant = json!({
        "grantee_id": "ben", "permission": "read",
        "resource_type": "pipeline", "resource_id": "default.gold.a",
    });
    let share = api.post("/api/v1/sharing", grant).await;
    let answers = [
        share,
        api.get("/api/v1/sharing").await,
        api.delete("/api/v1/sharing/g1").await,
        api.get("/api/v1/cloud/credentials?namespace=default&provider=aws")
            .await,
    ];
    for answer in answers {
        let json = answer.expect(501);
        assert_eq!(json["error"]["code"], "NOT_IMPLEMENTED", "{json}");
        assert_eq!(json["error"]["reason"], "SLOT_NOT_FILLED", "{json}");
    }
}

#[tokio::test]
async fn cloud_credentials_are_handed_out_and_never_kept() {
    let shop = Shop::start(Setup {
        cloud: Arc::new(Vault(Ok(()))),
        ..Setup::default()
    })
    .await;
    let path = "/api/v1/cloud/credentials?namespace=default&provider=aws&resource=s3://x";
    shop.get("ben", path).await.refused(403, "FORBIDDEN");
    let answer = shop.get("root", path).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(
        answer.expect(200),
        json!({
            "namespace": "default", "provider": "aws", "resource": "s3://x",
            "credentials": {"AWS_SECRET_ACCESS_KEY": "root anonymous s3://x"},
            "expires_at": "2023-11-14T22:13:20.000000Z",
        })
    );
    for wrong in [
        "",
        "?namespace=default",
        "?namespace=X&provider=aws",
        "?namespace=default&provider=",
    ] {
        let path = format!("/api/v1/cloud/credentials{wrong}");
        shop.get("root", &path)
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
    for (failure, status, code) in [
        (
            SlotError::Unavailable {
                slot: "cloud",
                message: "down".to_owned(),
            },
            503,
            "UNAVAILABLE",
        ),
        (
            SlotError::Failed {
                slot: "cloud",
                message: "odd".to_owned(),
            },
            502,
            "UPSTREAM_ERROR",
        ),
        (
            SlotError::Refused {
                kind: Kind::PermissionDenied,
                message: "no".to_owned(),
            },
            403,
            "FORBIDDEN",
        ),
        (
            SlotError::Refused {
                kind: Kind::InvalidArgument,
                message: "no".to_owned(),
            },
            400,
            "INVALID_ARGUMENT",
        ),
    ] {
        let shop = Shop::start(Setup {
            cloud: Arc::new(Vault(Err(failure))),
            ..Setup::default()
        })
        .await;
        shop.get("root", path).await.refused(status, code);
    }
}

#[tokio::test]
async fn a_flag_is_true_while_what_it_names_works() {
    let flags = async |setup: Setup| {
        let api = setup.start().await;
        let mut features = api.get("/features").await.expect(200);
        let edition = features["edition"].take();
        let object = features.as_object().unwrap().clone();
        let on = object.into_iter().filter(|(_, value)| *value == true);
        (edition, on.map(|(name, _)| name).collect::<Vec<_>>())
    };
    let (edition, on) = flags(Setup::default()).await;
    assert_eq!((edition, on), (json!("community"), vec![]));

    let all = [
        (Slot::Auth, Holder::Plugin),
        (Slot::Executor, Holder::Plugin),
        (Slot::Sharing, Holder::Plugin),
        (Slot::Cloud, Holder::Plugin),
    ];
    let working = Setup {
        key: Some("key"),
        plugins: rack(&all),
        sharing: Arc::new(Grants::default()),
        cloud: Arc::new(Vault(Ok(()))),
        enforcer: Arc::new(crate::support::Recorder::default()),
        ..Setup::default()
    };
    let (edition, on) = flags(working).await;
    assert_eq!(edition, "pro");
    let works = [
        "auth",
        "cloud_aws",
        "container_executor",
        "enforcement",
        "sharing",
    ];
    assert_eq!(on, works);

    let down = Setup {
        key: Some("key"),
        plugins: rack(&[(Slot::Auth, Holder::Denied), (Slot::Executor, Holder::Held)]),
        ..Setup::default()
    };
    let (edition, on) = flags(down).await;
    assert_eq!((edition, on), (json!("pro"), vec![]));
}

#[tokio::test]
async fn a_plugin_is_shown_with_its_place() {
    let api = Setup {
        plugins: rack(&[(Slot::Auth, Holder::Denied)]),
        ..Setup::default()
    }
    .start()
    .await;
    for (name, slot) in [("auth-plugin", "auth"), ("left-over", "cloud")] {
        let new = NewPlugin {
            name: name.to_owned(),
            slot: slot.to_owned(),
            image: "registry/x:1".to_owned(),
            address: "unix:/run/rat/x.sock".to_owned(),
        };
        api.store.plugins().upsert(&new).await.unwrap();
    }
    let health = PluginHealth {
        status: PluginStatus::Down,
        message: "no route".to_owned(),
        version: Some("1.2".to_owned()),
        latency_us: None,
        at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    };
    let plugins = api.store.plugins();
    plugins.set_status("auth-plugin", &health).await.unwrap();

    let shown = api.get("/api/v1/plugins/auth-plugin").await.expect(200);
    for (field, value) in [
        ("slot", "auth"),
        ("status", "down"),
        ("message", "no route"),
        ("version", "1.2"),
        ("last_health", "2023-11-14T22:13:20.000000Z"),
        ("on_down", "deny"),
        ("holder", "denied"),
        ("holder_reason", "connection refused"),
    ] {
        assert_eq!(shown[field], value, "{shown}");
    }
    let list = api.get("/api/v1/plugins").await.expect(200);
    assert_eq!(list["total"], 2);
    assert_eq!(list["plugins"][0], shown);
    // No slot holds it, or waits for it.
    assert_eq!(list["plugins"][1]["holder"], Value::Null);
    api.get("/api/v1/plugins/none")
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn only_who_may_reads_the_configuration_again() {
    let path = "/api/v1/admin/plugins/reload";
    let setup = |reload| Setup {
        plugins: Arc::new(Rack {
            filled: Vec::new(),
            reload,
        }),
        ..Setup::default()
    };
    let changed = Reloaded {
        added: vec!["auth-plugin".to_owned()],
        ..Reloaded::default()
    };
    let shop = Shop::start(setup(Ok(changed))).await;
    shop.post("ben", path, json!({}))
        .await
        .refused(403, "FORBIDDEN");
    let reloaded = shop.post("root", path, json!({})).await.expect(200);
    assert_eq!(
        reloaded,
        json!({"added": ["auth-plugin"], "changed": [], "removed": [], "unchanged": []})
    );
    for (error, status, code, reason) in [
        (
            ReloadError::Invalid("plugins.auth: x".to_owned()),
            400,
            "INVALID_ARGUMENT",
            "CONFIGURATION_INVALID",
        ),
        (
            ReloadError::Failed("gone".to_owned()),
            503,
            "UNAVAILABLE",
            "RELOAD_FAILED",
        ),
    ] {
        let shop = Shop::start(setup(Err(error))).await;
        let json = shop.post("root", path, json!({})).await.expect(status);
        assert_eq!(
            (&json["error"]["code"], &json["error"]["reason"]),
            (&json!(code), &json!(reason))
        );
    }
}

#[tokio::test]
async fn metrics_are_for_those_who_have_a_credential() {
    let shop = Shop::start(Setup {
        plugins: rack(&[]),
        ..Setup::default()
    })
    .await;
    for path in ["/metrics", "/api/v1/metrics"] {
        assert_eq!(shop.api.get(path).await.status, 401);
        let answer = shop.send("ben", Method::GET, path, Value::Null).await;
        assert!(
            answer
                .header("content-type")
                .starts_with("application/openmetrics-text")
        );
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains("rat_audit_stored_total "), "{text}");
        assert!(text.ends_with("rat_plugin_up 1\n# EOF\n"), "{text}");
    }
}
