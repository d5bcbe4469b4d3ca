use serde_json::json;

use crate::support::api;

const FILE: &str = "/api/v1/files/default/pipelines/silver/orders/pipeline.sql";

#[tokio::test]
async fn a_file_is_written_read_listed_and_deleted() {
    let api = api().await;
    api.pipeline("default.silver.orders", "SELECT 1").await;
    let written = api
        .put(FILE, json!({"content": "SELECT 'ü'"}))
        .await
        .expect(200);
    assert_eq!(written["status"], "written");
    let got = api.get(FILE).await.expect(200);
    assert_eq!(got["content"], "SELECT 'ü'");
    assert_eq!(got["size"], 11);
    assert_eq!(got["version_id"], written["version_id"]);

    let odd = "/api/v1/files/default/pipelines/silver/orders/docs/f%C3%BCr%20alle.md";
    api.put(odd, json!({"content": "# hi"})).await.expect(200);
    let list = api
        .get("/api/v1/files?prefix=default/pipelines/silver/orders/")
        .await
        .expect(200);
    let shown: Vec<(&str, &str)> = list["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            (
                file["path"].as_str().unwrap(),
                file["type"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("default/pipelines/silver/orders/docs/für alle.md", "doc"),
            (
                "default/pipelines/silver/orders/pipeline.sql",
                "pipeline-sql"
            ),
        ]
    );
    let some = api
        .get("/api/v1/files?prefix=default/&exclude=tests,docs")
        .await
        .expect(200);
    assert_eq!(some["total"], 1);

    api.delete(FILE).await.expect(204);
    api.delete(FILE).await.refused(404, "NOT_FOUND");
    api.get(FILE).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_draft_that_does_not_parse_is_stored() {
    let api = api().await;
    api.pipeline("default.silver.orders", "SELECT 1").await;
    api.put(FILE, json!({"content": "SELECT {{ what"}))
        .await
        .expect(200);
    assert_eq!(api.get(FILE).await.expect(200)["content"], "SELECT {{ what");
    let pipeline = api
        .get("/api/v1/pipelines/default/silver/orders")
        .await
        .expect(200);
    assert_eq!(pipeline["depends_on"], json!([]));
}

#[tokio::test]
async fn a_file_needs_its_pipeline() {
    let api = api().await;
    api.put(FILE, json!({"content": "SELECT 1"}))
        .await
        .refused(404, "NOT_FOUND");
    let list = api.get("/api/v1/files?prefix=default/").await.expect(200);
    assert_eq!(list["total"], 0);
}

#[tokio::test]
async fn path_tricks_are_refused_whatever_the_method() {
    let api = api().await;
    api.pipeline("default.silver.orders", "SELECT 1").await;
    for trick in [
        "default/pipelines/silver/orders/..%2Fother%2Fpipeline.sql",
        "default/pipelines/silver/orders/%2e%2e/other/pipeline.sql",
        "default/pipelines/silver/orders/%252e%252e/x.sql",
        "default/pipelines/silver/orders/a%252fb.sql",
        "default/pipelines/silver/orders/a%5Cb.sql",
        "default/pipelines/silver/orders/a%00.sql",
        "default/pipelines/silver/orders/a%0Ab.sql",
        "default/pipelines/silver/orders/%FF.sql",
        "default/pipelines/silver/orders//a.sql",
        "default/pipelines/silver/orders/a/",
        "default/pipelines/silver/orders",
        "default/pipelines/platinum/orders/a.sql",
        "default/pipelines/silver/ORDERS/a.sql",
        "default/landing/zone/a.csv",
        "default/silver/orders/metadata/v1.json",
        "%2Fetc%2Fpasswd",
        "..%2F..%2Fetc%2Fpasswd",
        "a.sql",
    ] {
        let path = format!("/api/v1/files/{trick}");
        api.get(&path).await.refused(400, "INVALID_ARGUMENT");
        api.put(&path, json!({"content": "x"}))
            .await
            .refused(400, "INVALID_ARGUMENT");
        api.delete(&path).await.refused(400, "INVALID_ARGUMENT");
    }
    for prefix in [
        "",
        "prefix=",
        "prefix=/",
        "prefix=../",
        "prefix=default/%252e",
        "prefix=a%5Cb",
    ] {
        api.get(&format!("/api/v1/files?{prefix}"))
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn content_has_to_be_text_of_bounded_size() {
    let api = api().await;
    api.pipeline("default.silver.orders", "SELECT 1").await;
    api.put(FILE, json!({"content": "a\u{0}b"}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.put(FILE, json!({"content": 7}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.put(FILE, json!({}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.put(FILE, json!({"content": "x".repeat(1024 * 1024)}))
        .await
        .refused(413, "INVALID_ARGUMENT");
    let big = "x".repeat(1000 * 1000);
    let path = |n: u32| format!("/api/v1/files/default/pipelines/silver/orders/data/{n}.csv");
    for n in 0..3 {
        api.put(&path(n), json!({"content": big})).await.expect(200);
    }
    let message = api
        .put(&path(3), json!({"content": big}))
        .await
        .refused(413, "INVALID_ARGUMENT");
    assert!(message.contains("together"), "{message}");
    // Replacing one of them still works.
    api.put(&path(2), json!({"content": "small"}))
        .await
        .expect(200);
}
