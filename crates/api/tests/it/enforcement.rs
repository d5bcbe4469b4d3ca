//! Access control as its users meet it: what is denied, what lists show, and whose things are.

use http::Method;
use rat_scheduler::{ReadError, Reads, RunAccess as _};
use serde_json::{Value, json};

use crate::people::{Shop, table, user};
use crate::support::Answer;

/// The values of `field` in a list.
fn names(answer: Answer, list: &str, field: &str) -> (Vec<String>, Value) {
    let json = answer.expect(200);
    let items = json[list].as_array().expect("a list");
    let name = |item: &Value| item[field].as_str().expect("a name").to_owned();
    (items.iter().map(name).collect(), json["total"].clone())
}

#[track_caller]
fn denied(answer: Answer) {
    let json = answer.expect(403);
    assert_eq!(json["error"]["reason"], "ACCESS_DENIED", "{json}");
    // The plugin's reason is for the audit log.
    assert!(!json.to_string().contains("owned by"), "{json}");
}

#[tokio::test]
async fn who_is_not_the_owner_sees_and_changes_nothing() {
    let shop = Shop::of_ana().await;
    let pipeline = "/api/v1/pipelines/shop/gold/orders";
    let file = "/api/v1/files/shop/pipelines/gold/orders/pipeline.sql";
    for path in [
        "/api/v1/namespaces/shop",
        pipeline,
        file,
        "/api/v1/landing-zones/shop/raw",
        "/api/v1/landing-zones/shop/raw/files",
        "/api/v1/tables/shop/gold/orders",
        "/api/v1/tables/shop/gold/orders/preview",
    ] {
        assert!(shop.get("ana", path).await.status.is_success(), "{path}");
        denied(shop.get("ben", path).await);
    }
    let sql = json!({"content": "SELECT 2 AS a"});
    denied(shop.put("ben", file, sql).await);
    denied(shop.put("ben", pipeline, json!({"owner": "ben"})).await);
    denied(shop.delete("ben", pipeline).await);
    denied(shop.delete("ben", "/api/v1/tables/shop/gold/orders").await);
    let run = json!({"namespace": "shop", "layer": "gold", "pipeline": "orders"});
    denied(shop.post("ben", "/api/v1/runs", run).await);
    let kept = shop.get("ana", pipeline).await.expect(200);
    assert_eq!(kept["owner"], "ana");
    let kept = shop.get("ana", file).await.expect(200);
    assert_eq!(kept["content"], "SELECT 1 AS a");
}

#[tokio::test]
async fn what_does_not_exist_is_denied_alike() {
    let shop = Shop::of_ana().await;
    let there = shop.get("ben", "/api/v1/pipelines/shop/gold/orders").await;
    let not_there = shop.get("ben", "/api/v1/pipelines/shop/gold/nothing").await;
    let shape =
        |answer: Answer, name: &str| String::from_utf8(answer.body).unwrap().replace(name, "x");
    assert_eq!(shape(there, "orders"), shape(not_there, "nothing"));
}

#[tokio::test]
async fn things_are_created_where_the_caller_may() {
    let shop = Shop::of_ana().await;
    let pipeline = json!({"namespace": "shop", "layer": "gold", "name": "mine"});
    let zone = json!({"namespace": "shop", "name": "mine"});
    let namespace = json!({"name": "mine"});
    let tables = "/iceberg/v1/namespaces/shop%1Fgold/tables";
    denied(
        shop.post("ben", "/api/v1/namespaces", namespace.clone())
            .await,
    );
    denied(
        shop.post("ben", "/api/v1/pipelines", pipeline.clone())
            .await,
    );
    denied(
        shop.post("ben", "/api/v1/landing-zones", zone.clone())
            .await,
    );
    shop.post("ben", tables, table("mine")).await.expect(404);

    shop.rules.grant("ben", "create", "namespace *");
    shop.rules.grant("ben", "create", "namespace shop");
    shop.post("ben", "/api/v1/namespaces", namespace)
        .await
        .expect(201);
    shop.post("ben", "/api/v1/pipelines", pipeline)
        .await
        .expect(201);
    shop.post("ben", "/api/v1/landing-zones", zone)
        .await
        .expect(201);
    shop.post("ben", tables, table("mine")).await.expect(200);
    // And everything is the creator's.
    let of_ben = shop.api.store.owners().of("ben").await.unwrap();
    assert_eq!(of_ben.namespaces, ["mine".parse().unwrap()]);
    assert_eq!(of_ben.pipelines, ["shop.gold.mine".parse().unwrap()]);
    assert_eq!(of_ben.zones.len(), 1);
    assert_eq!(of_ben.tables, ["shop.gold.mine".parse().unwrap()]);
}

#[tokio::test]
async fn lists_show_and_count_what_may_be_read() {
    let shop = Shop::of_ana().await;
    let run = json!({"namespace": "shop", "layer": "gold", "pipeline": "orders"});
    shop.post("ana", "/api/v1/runs", run).await.expect(202);
    let lists = [
        ("/api/v1/namespaces", "namespaces", "name", vec!["shop"]),
        (
            "/api/v1/pipelines",
            "pipelines",
            "name",
            vec!["daily", "orders"],
        ),
        ("/api/v1/runs", "runs", "pipeline", vec!["orders"]),
        ("/api/v1/landing-zones", "zones", "name", vec!["raw"]),
        ("/api/v1/tables", "tables", "name", vec!["orders"]),
    ];
    for (path, list, field, expected) in &lists {
        let (seen, total) = names(shop.get("ana", path).await, list, field);
        assert_eq!(
            (&seen.len(), seen),
            (
                &expected.len(),
                expected.iter().map(ToString::to_string).collect()
            ),
            "{path}"
        );
        assert_eq!(total, expected.len(), "{path}");
        let (seen, total) = names(shop.get("ben", path).await, list, field);
        assert_eq!((seen, total), (vec![], json!(0)), "{path}");
    }
    let files = "/api/v1/files?prefix=shop/";
    let (seen, _) = names(shop.get("ana", files).await, "files", "path");
    assert_eq!(seen.len(), 2);
    let (seen, total) = names(shop.get("ben", files).await, "files", "path");
    assert_eq!((seen, total), (vec![], json!(0)));
    let schema = shop.get("ben", "/api/v1/schema").await.expect(200);
    assert_eq!(schema["tables"], json!([]));

    // One grant, and the namespace is there too.
    shop.rules.grant("ben", "read", "pipeline shop.gold.daily");
    let (seen, total) = names(
        shop.get("ben", "/api/v1/pipelines").await,
        "pipelines",
        "name",
    );
    assert_eq!((seen, total), (vec!["daily".to_owned()], json!(1)));
    let (seen, _) = names(shop.get("ben", files).await, "files", "path");
    assert_eq!(seen, ["shop/pipelines/gold/daily/pipeline.sql"]);
    let (seen, _) = names(
        shop.get("ben", "/api/v1/namespaces").await,
        "namespaces",
        "name",
    );
    assert_eq!(seen, ["shop"]);
    shop.get("ben", "/api/v1/namespaces/shop").await.expect(200);
    denied(shop.get("ben", "/api/v1/namespaces/default").await);
}

#[tokio::test]
async fn pages_are_those_of_what_may_be_read_and_decided_in_one_call() {
    let shop = Shop::of_ana().await;
    for number in 0..12 {
        let name = format!("p{number:02}");
        let body = json!({"namespace": "shop", "layer": "silver", "name": name});
        shop.post("ana", "/api/v1/pipelines", body)
            .await
            .expect(201);
        if number % 3 == 0 {
            let grant = format!("pipeline shop.silver.{name}");
            shop.rules.grant("ben", "read", &grant);
        }
    }
    shop.rules.filtered.lock().unwrap().clear();
    let path = "/api/v1/pipelines?sort=-name&limit=2&offset=1";
    let (seen, total) = names(shop.get("ben", path).await, "pipelines", "name");
    assert_eq!(
        (seen, total),
        (vec!["p06".to_owned(), "p03".to_owned()], json!(4))
    );
    assert_eq!(*shop.rules.filtered.lock().unwrap(), [14]);
    let (seen, total) = names(shop.get("root", path).await, "pipelines", "name");
    assert_eq!(
        (seen, total),
        (vec!["p10".to_owned(), "p09".to_owned()], json!(14))
    );
}

#[tokio::test]
async fn in_the_catalog_what_may_not_be_read_is_not_there() {
    let shop = Shop::of_ana().await;
    let namespaces = "/iceberg/v1/namespaces";
    let tables = "/iceberg/v1/namespaces/shop%1Fgold/tables";
    let orders = "/iceberg/v1/namespaces/shop%1Fgold/tables/orders";
    let all = shop.get("ana", namespaces).await.expect(200);
    assert_eq!(all["namespaces"], json!([["shop"]]));
    shop.get("ana", orders).await.expect(200);

    let none = shop.get("ben", namespaces).await.expect(200);
    assert_eq!(none["namespaces"], json!([]));
    let commit = json!({"requirements": [], "updates": []});
    for (method, path, kind) in [
        (
            Method::GET,
            "/iceberg/v1/namespaces/shop",
            "NoSuchNamespaceException",
        ),
        (
            Method::GET,
            "/iceberg/v1/namespaces?parent=shop",
            "NoSuchNamespaceException",
        ),
        (
            Method::DELETE,
            "/iceberg/v1/namespaces/shop",
            "NoSuchNamespaceException",
        ),
        (Method::GET, tables, "NoSuchNamespaceException"),
        (Method::GET, orders, "NoSuchTableException"),
        (Method::POST, orders, "NoSuchTableException"),
        (Method::DELETE, orders, "NoSuchTableException"),
    ] {
        let answer = shop.send("ben", method.clone(), path, commit.clone()).await;
        let json = answer.expect(404);
        assert_eq!(json["error"]["type"], kind, "{method} {path}: {json}");
    }
    let head = shop.send("ben", Method::HEAD, orders, Value::Null).await;
    assert_eq!(head.status, 404);

    shop.rules.grant("ben", "read", "table shop.gold.orders");
    let seen = shop.get("ben", namespaces).await.expect(200);
    assert_eq!(seen["namespaces"], json!([["shop"]]));
    let seen = shop.get("ben", tables).await.expect(200);
    assert_eq!(seen["identifiers"][0]["name"], "orders");
    shop.get("ben", orders).await.expect(200);
    // Now that they know of it, they are told what they may not.
    for (method, path) in [
        (Method::POST, orders),
        (Method::DELETE, orders),
        (Method::DELETE, "/iceberg/v1/namespaces/shop"),
        (Method::POST, "/iceberg/v1/namespaces/shop/properties"),
    ] {
        let answer = shop.send("ben", method.clone(), path, commit.clone()).await;
        let answer = match path.ends_with("properties") {
            true => shop.post("ben", path, json!({"updates": {"a": "b"}})).await,
            false => answer,
        };
        let json = answer.expect(403);
        assert_eq!(
            json["error"]["type"], "ForbiddenException",
            "{method} {path}"
        );
    }
    shop.get("ana", orders).await.expect(200);
}

#[tokio::test]
async fn a_table_made_anew_is_not_its_former_owners() {
    let shop = Shop::of_ana().await;
    shop.rules.grant("ben", "create", "namespace shop");
    let orders = "/iceberg/v1/namespaces/shop%1Fgold/tables/orders";
    assert_eq!(shop.delete("ana", orders).await.status, 204);
    let tables = "/iceberg/v1/namespaces/shop%1Fgold/tables";
    shop.post("ben", tables, table("orders")).await.expect(200);
    shop.get("ben", orders).await.expect(200);
    assert_eq!(shop.get("ana", orders).await.status, 404);
}

#[tokio::test]
async fn validation_does_not_tell_what_there_is() {
    let shop = Shop::of_ana().await;
    shop.rules.grant("ben", "create", "namespace default");
    let source = "SELECT * FROM {{ ref('shop.gold.orders') }} JOIN {{ ref('shop.gold.nothing') }}";
    let body = json!({"namespace": "default", "layer": "gold", "name": "spy", "source": source});
    shop.post("ben", "/api/v1/pipelines", body)
        .await
        .expect(201);
    let path = "/api/v1/pipelines/default/gold/spy/validate";
    let report = shop.post("ben", path, json!({})).await.expect(200);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{report}");
    for error in errors {
        let message = error["message"].as_str().unwrap();
        assert!(message.ends_with("or you may not read it"), "{message}");
    }
}

#[tokio::test]
async fn a_cycle_names_only_what_the_caller_may_read() {
    let shop = Shop::of_ana().await;
    shop.rules.grant("ben", "create", "namespace default");
    let source = "SELECT * FROM {{ ref('shop.gold.daily') }}";
    let body = json!({"namespace": "default", "layer": "gold", "name": "ring", "source": source});
    shop.post("ben", "/api/v1/pipelines", body)
        .await
        .expect(201);
    let back = json!({"content": "SELECT * FROM {{ ref('default.gold.ring') }}"});
    let file = "/api/v1/files/shop/pipelines/gold/daily/pipeline.sql";
    shop.put("ana", file, back).await.expect(200);
    let run = json!({"namespace": "default", "layer": "gold", "pipeline": "ring"});
    let refused = shop.post("ben", "/api/v1/runs", run).await.expect(400);
    assert_eq!(
        refused["error"]["message"],
        "dependency cycle: default.gold.ring → a pipeline that you may not read → default.gold.ring"
    );
}

#[tokio::test]
async fn a_run_may_read_what_its_creator_may() {
    let shop = Shop::of_ana().await;
    let access = shop.api.enforcement.clone();
    let tables = ["shop.gold.orders".parse().unwrap()];
    let zones = [rat_types::ZoneIdent {
        namespace: "shop".parse().unwrap(),
        name: "raw".parse().unwrap(),
    }];
    let own = "shop.gold.other".parse().unwrap();
    let reads = Reads {
        own: &own,
        tables: &tables,
        zones: &zones,
    };
    let asked = async |name: &str| access_of(&access, name, reads).await;
    assert_eq!(asked("ana").await, Ok(()));
    assert_eq!(asked("root").await, Ok(()));
    let refused = |what: &str| {
        let message = format!("ben may not read {what}, which the pipeline names");
        Err(ReadError::Denied(message))
    };
    assert_eq!(asked("ben").await, refused("table shop.gold.orders"));
    shop.rules.grant("ben", "read", "table shop.gold.orders");
    assert_eq!(asked("ben").await, refused("landing zone shop.raw"));
    shop.rules.grant("ben", "read", "landing_zone shop.raw");
    assert_eq!(asked("ben").await, Ok(()));

    let run = json!({"namespace": "shop", "layer": "gold", "pipeline": "orders"});
    let run = shop.post("ana", "/api/v1/runs", run).await.expect(202);
    let id = run["run_id"].as_str().unwrap().parse().unwrap();
    let stored = shop.api.store.runs().get(id).await.unwrap().unwrap();
    assert_eq!(stored.created_by, "ana");
    assert_eq!(stored.created_by_roles, ["analyst"]);
}

async fn access_of(
    access: &rat_api::Enforcement,
    name: &str,
    reads: Reads<'_>,
) -> Result<(), ReadError> {
    access.check(&user(name), reads).await
}

#[tokio::test]
async fn a_run_does_not_write_somebody_elses_table_that_has_its_name() {
    let shop = Shop::of_ana().await;
    let access = shop.api.enforcement.clone();
    // Ana's table without its pipeline, whose name Ben takes.
    let pipeline = "/api/v1/pipelines/shop/gold/orders";
    shop.delete("ana", pipeline).await;
    shop.rules.grant("ben", "create", "namespace shop");
    let body = json!({"namespace": "shop", "layer": "gold", "name": "orders"});
    shop.post("ben", "/api/v1/pipelines", body)
        .await
        .expect(201);
    let own = "shop.gold.orders".parse().unwrap();
    let reads = Reads {
        own: &own,
        tables: &[],
        zones: &[],
    };
    let refused = |action: &str| {
        let message =
            format!("ben may not {action} table shop.gold.orders, which the pipeline writes");
        Err(ReadError::Denied(message))
    };
    assert_eq!(access_of(&access, "ben", reads).await, refused("read"));
    shop.rules.grant("ben", "read", "table shop.gold.orders");
    assert_eq!(access_of(&access, "ben", reads).await, refused("write"));
    shop.rules.grant("ben", "write", "table shop.gold.orders");
    assert_eq!(access_of(&access, "ben", reads).await, Ok(()));
}

#[tokio::test]
async fn the_runs_of_a_deleted_pipeline_do_not_pass_to_the_next_one_of_its_name() {
    let shop = Shop::of_ana().await;
    let run = json!({"namespace": "shop", "layer": "gold", "pipeline": "orders"});
    let run = shop.post("ana", "/api/v1/runs", run).await.expect(202);
    let id = run["run_id"].as_str().unwrap().to_owned();
    let pipeline = "/api/v1/pipelines/shop/gold/orders";
    shop.delete("ana", pipeline).await;
    shop.rules.grant("ben", "create", "namespace shop");
    let body = json!({"namespace": "shop", "layer": "gold", "name": "orders"});
    shop.post("ben", "/api/v1/pipelines", body)
        .await
        .expect(201);
    let mine = shop.get("ben", pipeline).await.expect(200);
    assert_eq!(mine["last_run"], Value::Null);
    for path in ["", "/logs", "/quality"] {
        denied(shop.get("ben", &format!("/api/v1/runs/{id}{path}")).await);
        let kept = shop.get("ana", &format!("/api/v1/runs/{id}{path}")).await;
        assert!(kept.status.is_success(), "{path}");
    }
}
