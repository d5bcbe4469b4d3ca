//! The slots that only the API asks, and what it says about all of them.

use std::sync::{Arc, Mutex};

use chrono::DateTime;
use futures::future::BoxFuture;
use http::Method;
use rat_api::{
    CloudCredentials, Credentials, CredentialsRequest, Grant, GrantFilter, GrantPermission,
    Grantee, Holder, NewGrant, Plugins, ReloadError, Reloaded, Resource, Sharing, SlotError,
    SlotState,
};
use rat_config::{OnDown, Slot};
use rat_store::{NewPlugin, PluginHealth, PluginStatus};
use rat_types::{Identity, Kind, Secret};
use serde_json::{Value, json};

use crate::people::Shop;
use crate::support::{Setup, api};

/// The grant that [`Grants::one`] has.
pub(crate) const GRANT: &str = "g1";

/// Keeps grants in memory.
#[derive(Default)]
pub(crate) struct Grants {
    kept: Mutex<Vec<Grant>>,
    /// Resource, former owner, next owner.
    pub(crate) transferred: Mutex<Vec<(String, String, String)>>,
    /// What a transfer answers.
    failure: Option<SlotError>,
}

impl Grants {
    /// With a grant on the pipeline `default.silver.a`.
    pub(crate) fn one() -> Self {
        let grants = Self::default();
        grants.kept.lock().unwrap().push(Grant {
            id: GRANT.to_owned(),
            grantee: Grantee::User("ben".to_owned()),
            resource_type: "pipeline".to_owned(),
            resource_id: "default.silver.a".to_owned(),
            permission: GrantPermission::Read,
            granted_by: "anonymous".to_owned(),
            granted_at: None,
        });
        grants
    }
}

impl Sharing for Grants {
    fn share<'a>(
        &'a self,
        grantor: &'a Identity,
        new: &'a NewGrant,
    ) -> BoxFuture<'a, Result<Grant, SlotError>> {
        let mut kept = self.kept.lock().unwrap();
        let grant = Grant {
            id: format!("g{}", kept.len() + 1),
            grantee: new.grantee.clone(),
            resource_type: new.resource.kind.as_str().to_owned(),
            resource_id: new.resource.id.clone(),
            permission: new.permission,
            granted_by: grantor.user_id.clone(),
            granted_at: DateTime::from_timestamp(1_700_000_000, 0),
        };
        let again = kept
            .iter()
            .any(|known| known.grantee == grant.grantee && known.resource_id == grant.resource_id);
        let answer = match again {
            true => Err(SlotError::Refused {
                kind: Kind::AlreadyExists,
                message: "they have that grant".to_owned(),
            }),
            false => {
                kept.push(grant.clone());
                Ok(grant)
            }
        };
        Box::pin(std::future::ready(answer))
    }

    fn revoke<'a>(
        &'a self,
        _: &'a Identity,
        id: &'a str,
    ) -> BoxFuture<'a, Result<bool, SlotError>> {
        let mut kept = self.kept.lock().unwrap();
        let before = kept.len();
        kept.retain(|grant| grant.id != id);
        let revoked = kept.len() < before;
        Box::pin(std::future::ready(Ok(revoked)))
    }

    fn list<'a>(
        &'a self,
        _: &'a Identity,
        filter: &'a GrantFilter,
    ) -> BoxFuture<'a, Result<Vec<Grant>, SlotError>> {
        let mut found = self.kept.lock().unwrap().clone();
        found.retain(|grant| {
            let resource = (grant.resource_type.clone(), grant.resource_id.clone());
            filter.id.as_ref().is_none_or(|id| *id == grant.id)
                && filter
                    .resource
                    .as_ref()
                    .is_none_or(|wanted| *wanted == resource)
        });
        Box::pin(std::future::ready(Ok(found)))
    }

    fn transfer<'a>(
        &'a self,
        _: &'a Identity,
        resource: &'a Resource,
        to: &'a str,
    ) -> BoxFuture<'a, Result<(), SlotError>> {
        let (id, owner) = (resource.id.clone(), resource.owner.clone());
        let mut transferred = self.transferred.lock().unwrap();
        transferred.push((id, owner, to.to_owned()));
        Box::pin(std::future::ready(self.failure.clone().map_or(Ok(()), Err)))
    }

    fn is_active(&self) -> bool {
        true
    }
}

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
struct Rack {
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

fn rack(filled: &[(Slot, Holder)]) -> Arc<Rack> {
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
async fn a_grant_is_given_listed_and_taken_back() {
    let shop = Shop::start(Setup {
        sharing: Arc::new(Grants::default()),
        ..Setup::default()
    })
    .await;
    shop.rules.grant("ana", "create", "namespace *");
    let namespace = json!({"name": "shop"});
    shop.post("ana", "/api/v1/namespaces", namespace)
        .await
        .expect(201);
    let grant = json!({
        "grantee_id": "analyst", "grantee_type": "role", "permission": "write",
        "resource_type": "namespace", "resource_id": "shop",
    });
    let path = "/api/v1/sharing";
    shop.post("ben", path, grant.clone())
        .await
        .refused(403, "FORBIDDEN");
    let given = shop.post("ana", path, grant.clone()).await.expect(201);
    assert_eq!(
        given,
        json!({
            "grant_id": "g1", "grantee_id": "analyst", "grantee_type": "role",
            "resource_type": "namespace", "resource_id": "shop", "permission": "write",
            "granted_by": "ana", "granted_at": "2023-11-14T22:13:20.000000Z",
        })
    );
    let again = shop.post("ana", path, grant.clone()).await;
    assert_eq!(again.refused(409, "ALREADY_EXISTS"), "they have that grant");

    let of_shop = "/api/v1/sharing?resource_type=namespace&resource_id=shop";
    shop.get("ben", of_shop).await.refused(403, "FORBIDDEN");
    let list = shop.get("ana", of_shop).await.expect(200);
    assert_eq!(list, json!({"grants": [given], "total": 1}));

    let one = "/api/v1/sharing/g1";
    shop.delete("ben", one).await.refused(403, "FORBIDDEN");
    assert_eq!(shop.delete("ana", one).await.status, 204);
    shop.delete("ana", one).await.refused(404, "NOT_FOUND");

    for (field, value) in [
        ("grantee_id", json!(" ")),
        ("permission", json!("own")),
        ("resource_type", json!("landing_zone")),
        ("resource_type", json!("plugin")),
        ("resource_id", json!("no/name")),
        ("grantee_type", json!("group")),
    ] {
        let mut wrong = grant.clone();
        wrong[field] = value;
        shop.post("ana", path, wrong)
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
    let mut missing = grant;
    missing["resource_id"] = json!("nothing");
    shop.post("root", path, missing)
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_thing_is_given_away_by_its_owner() {
    let shop = Shop::of_ana().await;
    let path = "/api/v1/sharing/transfer";
    let body = json!({
        "to": "ben", "resource_type": "pipeline", "resource_id": "shop.gold.orders",
    });
    shop.post("ben", path, body.clone())
        .await
        .refused(403, "FORBIDDEN");
    let done = shop.post("ana", path, body).await.expect(200);
    assert_eq!(
        done["transferred"],
        json!([{"resource_type": "pipeline", "resource_id": "shop.gold.orders"}])
    );
    let orders = "/api/v1/pipelines/shop/gold/orders";
    assert_eq!(shop.get("ben", orders).await.expect(200)["owner"], "ben");

    // All that is left of hers, by somebody who may.
    let all = json!({"from": "ana", "to": "ben"});
    shop.post("carl", path, all.clone())
        .await
        .refused(403, "FORBIDDEN");
    let done = shop.post("root", path, all).await.expect(200);
    let kinds: Vec<&str> = done["transferred"]
        .as_array()
        .unwrap()
        .iter()
        .map(|moved| moved["resource_type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["namespace", "pipeline", "landing_zone", "table"]);
    let left = shop.api.store.owners().of("ana").await.unwrap();
    assert_eq!(left, rat_store::Owned::default());

    for wrong in [
        json!({"to": "ben"}),
        json!({"to": "ben", "from": "a", "resource_type": "namespace", "resource_id": "a"}),
        json!({"to": "ben", "resource_type": "namespace"}),
        json!({"to": " ", "from": "a"}),
    ] {
        shop.post("root", path, wrong)
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
    let missing = json!({"to": "ben", "resource_type": "namespace", "resource_id": "nothing"});
    shop.post("root", path, missing)
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn the_sharing_plugin_hears_of_a_new_owner_first() {
    let grants = Arc::new(Grants::default());
    let api = Setup {
        sharing: grants.clone(),
        ..Setup::default()
    }
    .start()
    .await;
    api.pipeline("default.gold.a", "SELECT 1 AS a").await;
    let pipeline = "/api/v1/pipelines/default/gold/a";
    api.put(pipeline, json!({"owner": "ben"})).await.expect(200);
    let told = ("default.gold.a", "anonymous", "ben");
    let told = (told.0.to_owned(), told.1.to_owned(), told.2.to_owned());
    assert_eq!(*grants.transferred.lock().unwrap(), [told]);

    let refusing = Grants {
        failure: Some(SlotError::Failed {
            slot: "sharing",
            message: "no".to_owned(),
        }),
        ..Grants::default()
    };
    let refusing = Setup {
        sharing: Arc::new(refusing),
        ..Setup::default()
    };
    let api = refusing.start().await;
    api.pipeline("default.gold.a", "SELECT 1 AS a").await;
    api.put(pipeline, json!({"owner": "ben"}))
        .await
        .refused(502, "UPSTREAM_ERROR");
    assert_eq!(api.get(pipeline).await.expect(200)["owner"], "anonymous");

    // The built-in stands in for a plugin that is down, and cannot tell it.
    let fallback = Setup {
        plugins: rack(&[(Slot::Sharing, Holder::Fallback)]),
        ..Setup::default()
    };
    let api = fallback.start().await;
    api.pipeline("default.gold.a", "SELECT 1 AS a").await;
    api.put(pipeline, json!({"owner": "ben"}))
        .await
        .refused(503, "UNAVAILABLE");
    assert_eq!(api.get(pipeline).await.expect(200)["owner"], "anonymous");
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
