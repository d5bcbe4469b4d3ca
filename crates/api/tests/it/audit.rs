//! The audit log in the database.

use http::Method;
use serde_json::{Value, json};

use crate::people::{Shop, table};
use crate::support::{request, wait_for, with};

/// The audit log as an administrator reads it, once it has `count` entries that match.
async fn entries(shop: &Shop, filter: &str, count: usize) -> Vec<Value> {
    let path = format!("/api/v1/audit?{filter}");
    let read = async || {
        let list = shop.get("root", &path).await.expect(200);
        assert!(list["total"].as_u64() >= Some(list["entries"].as_array().unwrap().len() as u64));
        list["entries"].as_array().unwrap().clone()
    };
    wait_for("the entries are stored", async || {
        read().await.len() >= count
    })
    .await;
    read().await
}

fn texts<'a>(entry: &'a Value, fields: &[&str]) -> Vec<&'a str> {
    let text = |field: &&str| entry[*field].as_str().expect("a text");
    fields.iter().map(text).collect()
}

const WHAT: [&str; 5] = ["user_id", "action", "resource", "outcome", "detail"];

#[tokio::test]
async fn a_change_is_recorded_with_who_what_and_how_it_ended() {
    let shop = Shop::of_ana().await;
    let name = json!({"name": "shop"});
    shop.post("ana", "/api/v1/namespaces", name)
        .await
        .expect(409);
    let of_shop = entries(&shop, "user=ana&resource=shop", 2).await;
    assert_eq!(
        texts(&of_shop[0], &WHAT),
        [
            "ana",
            "namespace.create",
            "shop",
            "refused",
            "POST /api/v1/namespaces: namespace shop already exists"
        ]
    );
    assert_eq!(
        texts(&of_shop[1], &WHAT),
        [
            "ana",
            "namespace.create",
            "shop",
            "done",
            "POST /api/v1/namespaces"
        ]
    );
    assert_eq!(
        (&of_shop[0]["status"], &of_shop[1]["status"]),
        (&json!(409), &json!(201))
    );
    assert_eq!(of_shop[0]["ip"], "127.0.0.1");
    assert_eq!(of_shop[0]["request_id"].as_str().unwrap().len(), 36);
    assert!(of_shop[0]["created_at"].as_str().unwrap().ends_with('Z'));

    let created = entries(&shop, "action=pipeline.create", 2).await;
    assert_eq!(created[1]["resource"], "shop.gold.orders");
    let run = json!({"namespace": "shop", "layer": "gold", "pipeline": "orders"});
    shop.post("ana", "/api/v1/runs", run).await.expect(202);
    let runs = entries(&shop, "action=pipeline.run", 1).await;
    assert_eq!(runs[0]["resource"], "shop.gold.orders");
    // The catalog's clients are users too.
    let catalog = entries(&shop, "action=catalog.post", 1).await;
    assert_eq!(catalog[0]["user_id"], "ana");
}

#[tokio::test]
async fn what_was_denied_is_recorded_with_the_reason() {
    let shop = Shop::of_ana().await;
    shop.get("ben", "/api/v1/tables/shop/gold/orders")
        .await
        .expect(403);
    shop.delete("ben", "/api/v1/pipelines/shop/gold/orders")
        .await
        .expect(403);
    let orders = "/iceberg/v1/namespaces/shop%1Fgold/tables/orders";
    shop.get("ben", orders).await.expect(404);
    let tables = "/iceberg/v1/namespaces/shop%1Fgold/tables";
    shop.post("ben", tables, table("x")).await.expect(404);
    shop.post("ben", "/api/v1/admin/plugins/reload", json!({}))
        .await
        .expect(403);
    let mut denied = entries(&shop, "user=ben", 5).await;
    denied.reverse();
    let seen: Vec<Vec<&str>> = denied
        .iter()
        .map(|entry| texts(entry, &["action", "resource", "outcome", "detail"]))
        .collect();
    let reason = "owned by \"ana\"";
    assert_eq!(
        seen,
        [
            [
                "table.read",
                "shop.gold.orders",
                "denied",
                &format!("GET /api/v1/tables/shop/gold/orders: {reason}")
            ],
            [
                "pipeline.delete",
                "shop.gold.orders",
                "denied",
                &format!("DELETE /api/v1/pipelines/shop/gold/orders: {reason}")
            ],
            [
                "table.read",
                "shop.gold.orders",
                "denied",
                &format!("GET {orders}: {reason}")
            ],
            // To the caller the namespace is not there; the log knows better.
            [
                "namespace.read",
                "shop",
                "refused",
                &format!("POST {tables}: {reason}")
            ],
            [
                "plugins.reload",
                "",
                "denied",
                "POST /api/v1/admin/plugins/reload: needs the role admin"
            ],
        ]
    );
}

#[tokio::test]
async fn a_flood_of_refused_credentials_is_counted_and_not_stored() {
    let shop = Shop::of_ana().await;
    for _ in 0..50 {
        let attack = with(request(Method::GET, "/api/v1/me"), "x-api-key", "nobody");
        shop.api.send(attack).await.refused(401, "UNAUTHENTICATED");
    }
    let refused = entries(&shop, "action=authenticate&limit=200", 10).await;
    assert_eq!(refused.len(), 10);
    assert_eq!(
        texts(&refused[0], &WHAT),
        [
            "",
            "authenticate",
            "",
            "denied",
            "GET /api/v1/me: the credential is not valid"
        ]
    );
    assert_eq!(refused[0]["status"], 401);
    let metrics = shop.get("root", "/metrics").await;
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(text.contains("rat_audit_summarised_total 40\n"), "{text}");

    // The end of the process tells how many there were.
    shop.api.shutdown.cancel();
    let log = shop.api.store.audit_log();
    let filter = rat_store::AuditFilter {
        action: Some("authenticate".to_owned()),
        ..rat_store::AuditFilter::default()
    };
    wait_for("the rest is stored", async || {
        log.list(&filter).await.unwrap().total == 11
    })
    .await;
    let last = log.list(&filter).await.unwrap().items.remove(0);
    assert_eq!(
        last.detail,
        "40 more refused authentications within a minute; the log has each"
    );
}

#[tokio::test]
async fn the_log_is_for_those_who_may_read_it_and_filtered() {
    let shop = Shop::of_ana().await;
    entries(&shop, "user=ana", 5).await;
    let refused = shop.get("ana", "/api/v1/audit").await;
    let message = refused.refused(403, "FORBIDDEN");
    assert_eq!(message, "ana does not have the permission audit.read");
    let none = shop
        .get("root", "/api/v1/audit?since=2999-01-01T00:00:00Z")
        .await
        .expect(200);
    assert_eq!(none, json!({"entries": [], "total": 0}));
    let page = shop
        .get("root", "/api/v1/audit?user=ana&limit=1&offset=1")
        .await
        .expect(200);
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
    assert_eq!(page["total"], 5);
    for wrong in ["since=yesterday", "limit=0", "who=ana"] {
        let path = format!("/api/v1/audit?{wrong}");
        shop.get("root", &path)
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
}
