//! Grants, and giving things away.

use std::sync::{Arc, Mutex};

use chrono::DateTime;
use futures::future::BoxFuture;
use rat_api::{
    Grant, GrantFilter, GrantPermission, Grantee, Holder, NewGrant, Resource, Sharing, SlotError,
};
use rat_config::Slot;
use rat_types::{Identity, Kind};
use serde_json::json;

use crate::people::Shop;
use crate::slots::rack;
use crate::support::Setup;

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
    // Whether somebody owns anything is nobody else's business.
    let nothing = json!({"from": "carla", "to": "ben"});
    let of_ana = shop.post("carl", path, all.clone()).await;
    let of_nobody = shop.post("carl", path, nothing).await;
    assert_eq!(
        of_ana.refused(403, "FORBIDDEN"),
        of_nobody.refused(403, "FORBIDDEN")
    );
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
    // Nor is it told of what there is not.
    for missing in ["pipelines/default/gold/none", "landing-zones/default/none"] {
        let path = format!("/api/v1/{missing}");
        api.put(&path, json!({"owner": "ben"}))
            .await
            .refused(404, "NOT_FOUND");
    }
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
