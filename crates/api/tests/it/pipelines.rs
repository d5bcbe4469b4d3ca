use serde_json::{Value, json};

use crate::support::{Api, api};

const PATH: &str = "/api/v1/pipelines/default/silver/orders";

async fn validate(api: &Api, ident: &str) -> Value {
    let path = ident.replace('.', "/");
    let empty = crate::support::request(
        http::Method::POST,
        &format!("/api/v1/pipelines/{path}/validate"),
    );
    api.send(empty).await.expect(200)
}

#[tokio::test]
async fn a_pipeline_is_created_with_its_source() {
    let api = api().await;
    let created = api
        .post(
            "/api/v1/pipelines",
            json!({"namespace": "default", "layer": "silver", "name": "orders",
                   "source": "SELECT * FROM {{ ref('bronze.raw') }}", "description": "Orders"}),
        )
        .await
        .expect(201);
    let file = "default/pipelines/silver/orders/pipeline.sql";
    assert_eq!(
        created,
        json!({"namespace": "default", "layer": "silver", "name": "orders",
               "s3_path": "default/pipelines/silver/orders/", "files_created": [file]})
    );
    let got = api.get(PATH).await.expect(200);
    assert_eq!(got["type"], "sql");
    assert_eq!(got["owner"], "anonymous");
    assert_eq!(got["description"], "Orders");
    assert_eq!(got["depends_on"], json!(["default.bronze.raw"]));
    assert_eq!(got["last_run"], Value::Null);
    assert_eq!(got["source_hash"].as_str().unwrap().len(), 64);
    let content = api.get(&format!("/api/v1/files/{file}")).await.expect(200);
    assert_eq!(content["content"], "SELECT * FROM {{ ref('bronze.raw') }}");
    api.post(
        "/api/v1/pipelines",
        json!({"namespace": "default", "layer": "silver", "name": "orders"}),
    )
    .await
    .refused(409, "ALREADY_EXISTS");
}

#[tokio::test]
async fn without_a_source_no_file_is_created() {
    let api = api().await;
    let body = json!({"namespace": "default", "layer": "gold", "name": "a"});
    let created = api.post("/api/v1/pipelines", body).await.expect(201);
    assert_eq!(created["files_created"], json!([]));
    let got = api
        .get("/api/v1/pipelines/default/gold/a")
        .await
        .expect(200);
    assert_eq!(
        (&got["source_hash"], &got["depends_on"]),
        (&Value::Null, &json!([]))
    );
}

#[tokio::test]
async fn what_a_pipeline_cannot_be_is_refused() {
    let api = api().await;
    let base = json!({"namespace": "default", "layer": "gold", "name": "a"});
    for (field, value) in [
        ("namespace", json!("No")),
        ("layer", json!("platinum")),
        ("name", json!("a/b")),
        ("name", json!(7)),
        ("type", json!("python")),
        ("description", json!("x".repeat(5001))),
        ("source", json!("SELECT '\u{0}'")),
        ("colour", json!("red")),
    ] {
        let mut body = base.clone();
        body[field] = value;
        let message = api
            .post("/api/v1/pipelines", body)
            .await
            .refused(400, "INVALID_ARGUMENT");
        let named = if field == "source" { "content" } else { field };
        assert!(message.contains(named), "{field}: {message}");
    }
    let missing = json!({"namespace": "default", "layer": "gold"});
    let message = api
        .post("/api/v1/pipelines", missing)
        .await
        .refused(400, "INVALID_ARGUMENT");
    assert!(message.contains("name"), "{message}");
    let mut elsewhere = base;
    elsewhere["namespace"] = json!("nowhere");
    api.post("/api/v1/pipelines", elsewhere)
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let api = api().await;
    for name in ["bronze.a", "bronze.b", "silver.c"] {
        api.pipeline(&format!("default.{name}"), "SELECT 1").await;
    }
    let names = async |query: &str| -> Vec<String> {
        let list = api
            .get(&format!("/api/v1/pipelines{query}"))
            .await
            .expect(200);
        let items = list["pipelines"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("").await, ["a", "b", "c"]);
    assert_eq!(names("?layer=bronze").await, ["a", "b"]);
    assert_eq!(names("?sort=-name").await, ["c", "b", "a"]);
    assert_eq!(names("?sort=no_such_field").await, ["a", "b", "c"]);
    assert_eq!(names("?limit=1&offset=1").await, ["b"]);
    assert_eq!(names("?search=C").await, ["c"]);
    assert_eq!(names("?namespace=other").await, Vec::<String>::new());
    assert_eq!(names("?limit=5000").await.len(), 3);
    for query in [
        "?limit=0",
        "?limit=-1",
        "?limit=x",
        "?offset=x",
        "?layer=lead",
        "?colour=red",
    ] {
        let message = api
            .get(&format!("/api/v1/pipelines{query}"))
            .await
            .refused(400, "INVALID_ARGUMENT");
        let field = &query[1..query.find('=').unwrap()];
        assert!(message.contains(field), "{query}: {message}");
    }
}

#[tokio::test]
async fn a_pipeline_is_changed_and_deleted_with_its_sources() {
    let api = api().await;
    api.pipeline("default.silver.orders", "SELECT 1").await;
    let changed = api
        .put(PATH, json!({"description": "new", "owner": "bob"}))
        .await
        .expect(200);
    assert_eq!(
        (&changed["description"], &changed["owner"]),
        (&json!("new"), &json!("bob"))
    );
    let kept = api.put(PATH, json!({"type": "sql"})).await.expect(200);
    assert_eq!(kept["description"], "new");
    api.put(PATH, json!({"owner": " "}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.put(PATH, json!({"type": "python"}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.put(PATH, json!({"name": "x"}))
        .await
        .refused(400, "INVALID_ARGUMENT");

    api.delete(PATH).await.expect(204);
    for answer in [
        api.get(PATH).await,
        api.delete(PATH).await,
        api.put(PATH, json!({})).await,
    ] {
        answer.refused(404, "NOT_FOUND");
    }
    api.get("/api/v1/files/default/pipelines/silver/orders/pipeline.sql")
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn names_in_the_path_are_checked_before_anything_else() {
    let api = api().await;
    for path in [
        "/api/v1/pipelines/Default/silver/a",
        "/api/v1/pipelines/default/lead/a",
        "/api/v1/pipelines/default/silver/A",
        "/api/v1/pipelines/default/silver/%2e%2e",
        "/api/v1/pipelines/default/silver/%00",
        "/api/v1/pipelines/default/silver/%ff",
        "/api/v1/pipelines/de%2Ffault/silver/a",
    ] {
        api.get(path).await.refused(400, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn validation_tells_everything_that_is_wrong() {
    let api = api().await;
    api.pipeline("default.bronze.good", "SELECT 1 AS a").await;
    assert_eq!(
        validate(&api, "default.bronze.good").await,
        json!({"valid": true, "errors": [], "warnings": []})
    );

    api.pipeline(
        "default.silver.odd",
        "SELECT * FROM {{ ref('bronze.good') }} JOIN {{ ref('bronze.none') }}\n\
         JOIN read_csv('{{ landing_zone('nowhere') }}')",
    )
    .await;
    let report = validate(&api, "default.silver.odd").await;
    assert_eq!(report["valid"], false);
    let text = report.to_string();
    assert!(
        text.contains("default.bronze.none does not exist"),
        "{text}"
    );
    assert!(text.contains("default.nowhere does not exist"), "{text}");
    assert!(
        report["warnings"]
            .to_string()
            .contains("until its pipeline has run"),
        "{text}"
    );

    api.pipeline("default.gold.broken", "SELECT {{ nonsense }}")
        .await;
    let report = validate(&api, "default.gold.broken").await;
    assert_eq!(report["errors"][0]["file"], "pipeline.sql");
    assert_eq!(report["errors"][0]["line"], 1);

    api.post("/api/v1/pipelines/default/gold/none/validate", json!({}))
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_cycle_is_found_and_no_run_of_it_starts() {
    let api = api().await;
    api.pipeline("default.silver.a", "SELECT * FROM {{ ref('silver.b') }}")
        .await;
    api.pipeline("default.silver.b", "SELECT * FROM {{ ref('silver.c') }}")
        .await;
    api.pipeline("default.silver.c", "SELECT * FROM {{ ref('silver.a') }}")
        .await;
    let report = validate(&api, "default.silver.a").await;
    let way = "default.silver.a → default.silver.b → default.silver.c → default.silver.a";
    assert!(report["errors"].to_string().contains(way), "{report}");
    let body = json!({"namespace": "default", "layer": "silver", "pipeline": "b"});
    let message = api
        .post("/api/v1/runs", body)
        .await
        .refused(400, "INVALID_ARGUMENT");
    assert!(message.contains("dependency cycle"), "{message}");
    assert_eq!(api.get("/api/v1/runs").await.expect(200)["total"], 0);
}

#[tokio::test]
async fn a_pipeline_that_reads_its_own_table_is_no_cycle() {
    let api = api().await;
    api.pipeline("default.silver.a", "SELECT * FROM {{ ref('silver.a') }}")
        .await;
    assert_eq!(validate(&api, "default.silver.a").await["valid"], true);
    let body = json!({"namespace": "default", "layer": "silver", "pipeline": "a"});
    api.post("/api/v1/runs", body).await.expect(202);
}

#[tokio::test]
async fn quality_tests_are_listed_with_what_they_say_about_themselves() {
    let api = api().await;
    api.pipeline("default.silver.orders", "SELECT 1").await;
    let sql = "-- @severity: warn\n-- @description: No refunds\n-- @tags: money\nSELECT 1";
    api.put(
        "/api/v1/files/default/pipelines/silver/orders/tests/quality/no_refunds.sql",
        json!({"content": sql}),
    )
    .await
    .expect(200);
    let tests = api.get(&format!("{PATH}/tests")).await.expect(200);
    assert_eq!(tests["total"], 1);
    assert_eq!(
        tests["tests"][0],
        json!({"name": "no_refunds", "sql": sql, "severity": "warn", "description": "No refunds",
               "published": true, "tags": ["money"], "remediation": "", "error": null})
    );
    api.get("/api/v1/pipelines/default/gold/none/tests")
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn dependencies_follow_the_sources() {
    let api = api().await;
    api.pipeline(
        "default.silver.orders",
        "SELECT * FROM {{ ref('bronze.a') }}",
    )
    .await;
    let before = api.get(PATH).await.expect(200);
    assert_eq!(before["depends_on"], json!(["default.bronze.a"]));
    api.put(
        "/api/v1/files/default/pipelines/silver/orders/pipeline.sql",
        json!({"content": "SELECT * FROM {{ ref('bronze.b') }}"}),
    )
    .await
    .expect(200);
    let after = api.get(PATH).await.expect(200);
    assert_eq!(after["depends_on"], json!(["default.bronze.b"]));
    assert_ne!(before["source_hash"], after["source_hash"]);
}
