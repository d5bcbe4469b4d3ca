//! `rat apply`: validation, plan, application.

use std::fs;
use std::path::Path;

use expect_test::expect;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Request, Server, ok};

fn project(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// A server with nothing but the namespace `default`, which accepts everything.
fn empty(request: &Request) -> crate::support::Answer {
    match request.route() {
        ("GET", "/api/v1/namespaces") => {
            ok(json!({"namespaces": [{"name": "default"}], "total": 1}))
        }
        ("GET", "/api/v1/pipelines") => ok(json!({"pipelines": [], "total": 0})),
        ("GET", "/api/v1/tables") => ok(json!({"tables": [], "total": 0})),
        ("GET", "/api/v1/landing-zones") => ok(json!({"zones": [], "total": 0})),
        ("GET", _) => ok(json!({"files": [], "total": 0})),
        _ => ok(json!({})),
    }
}

/// Standard error with the project's folder called `DIR`.
fn plain(text: &str, folder: &Path) -> String {
    text.replace(folder.to_str().unwrap(), "DIR")
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_nothing_is_applied() {
    let folder = project(&[
        (
            "shop/pipelines/bronze/orders/pipeline.sql",
            "SELECT 1 AS x FROM {{ ref('bronze.order') }}",
        ),
        (
            "shop/pipelines/silver/orders/pipeline.sql",
            "-- @merge_strategy: incremntal\nSELECT\n{{ ref('bronze.orders') }",
        ),
        (
            "shop/pipelines/silver/a/pipeline.sql",
            "SELECT * FROM {{ ref('silver.b') }}",
        ),
        (
            "shop/pipelines/silver/b/pipeline.sql",
            "\nSELECT * FROM {{ ref('shop.silver.a') }}",
        ),
        (
            "shop/pipelines/silver/c/config.yaml",
            "materialized: table\n",
        ),
        (
            "shop/pipelines/silver/d/pipeline.sql",
            "SELECT * FROM {{ ref('gold.orders') }}",
        ),
        ("shop/pipelines/platinum/x/pipeline.sql", "SELECT 1"),
        ("shop/pipelines/gold/Upper/pipeline.sql", "SELECT 1"),
        ("shop/pipelines/gold/stray.sql", "SELECT 1"),
    ]);
    let server = Server::start(empty);
    let (code, out, err) = server.rat(&["apply", folder.path().to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (1, ""));
    expect![[r#"
        error: the project has 9 problems; nothing was applied
          DIR/shop/pipelines/bronze/orders/pipeline.sql:1: ref to shop.bronze.order, which neither the project nor the server has; did you mean shop.bronze.orders?
          DIR/shop/pipelines/gold/Upper: invalid table name "Upper": it must start with a letter, contain only a-z, 0-9, '_' and '-', and have at most 128 characters
          DIR/shop/pipelines/gold/stray.sql: is a file where a pipeline's folder is expected
          DIR/shop/pipelines/platinum/x: invalid layer "platinum": it must be bronze, silver or gold
          DIR/shop/pipelines/silver/a/pipeline.sql:1: dependency cycle: shop.silver.a → shop.silver.b → shop.silver.a
          DIR/shop/pipelines/silver/c/pipeline.sql: the file is missing
          DIR/shop/pipelines/silver/d/pipeline.sql:1: ref to shop.gold.orders, which neither the project nor the server has; did you mean shop.bronze.orders?
          DIR/shop/pipelines/silver/orders/pipeline.sql:1: merge_strategy must be `full_refresh` or `append_only`, not `incremntal`
          DIR/shop/pipelines/silver/orders/pipeline.sql:3: syntax error: unexpected `}`, expected end of variable block
    "#]].assert_eq(&plain(&err, folder.path()));
    assert_eq!(server.changes(), Vec::<String>::new());
}

#[test]
fn sql_that_does_not_parse_is_told_with_its_line() {
    let folder = project(&[
        (
            "shop/pipelines/gold/a/pipeline.sql",
            "SELECT 1\nFROM t WHERE )",
        ),
        (
            "shop/pipelines/gold/a/tests/quality/t.sql",
            "SELEC * FROM {{ this }}",
        ),
    ]);
    let path = folder.path().to_str().unwrap();
    let server = Server::start(empty);
    let (code, _, err) = server.rat(&["apply", "--dry-run", path]);
    assert_eq!(code, 1);
    assert!(
        err.contains("pipeline.sql:2: ") && err.contains("tests/quality/t.sql:1: "),
        "{err}"
    );
}

#[test]
fn without_a_server_the_project_itself_is_still_checked() {
    let folder = project(&[("shop/pipelines/gold/a/pipeline.sql", "SELECT {{ nope }}")]);
    let path = folder.path().to_str().unwrap();
    let (code, _, err) = crate::support::run(crate::support::rat().args([
        "--server",
        "http://127.0.0.1:1",
        "apply",
        path,
    ]));
    assert_eq!(code, 1);
    assert!(
        err.contains("could not be checked") && err.contains("pipeline.sql:1"),
        "{err}"
    );
}

#[test]
fn a_folder_without_a_pipeline_is_an_error_that_shows_the_layout() {
    let folder = project(&[("README.md", "hello")]);
    let server = Server::start(empty);
    let (code, _, err) = server.rat(&["apply", folder.path().to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(err.contains("no pipeline found; the layout is"), "{err}");
}

/// Of the landing file in [`SMALL`].
const SHA_256: &str = "daff832f802000e645771a60983c76c963f6ee602a6230e45237bd360e91cc1a";
const SMALL: &[(&str, &str)] = &[
    (
        "shop/pipelines/bronze/orders/pipeline.sql",
        "SELECT * FROM read_csv('{{ landing_zone(\"orders\") }}')",
    ),
    (
        "shop/pipelines/bronze/orders/config.yaml",
        "description: Orders\n",
    ),
    (
        "shop/pipelines/bronze/orders/tests/quality/any.sql",
        "SELECT 1 FROM {{ this }} WHERE false",
    ),
    ("shop/landing/orders/2026/a.csv", "x\n1\n"),
    ("shop/pipelines/bronze/.hidden/pipeline.sql", "nonsense"),
    ("shop/pipelines/bronze/orders/pipeline.sql~", "nonsense"),
];

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let folder = project(SMALL);
    let server = Server::start(empty);
    let (code, out, err) = server.rat(&["apply", folder.path().to_str().unwrap(), "--dry-run"]);
    assert_eq!(code, 0, "{err}");
    expect![[r#"
        + namespace shop
        + zone      shop.orders
        + file      shop.orders/2026/a.csv  4 B
        + pipeline  shop.bronze.orders      3 files
        Plan: 4 to create, 0 to update, 0 to delete, 0 unchanged
    "#]]
    .assert_eq(&out);
    assert_eq!(server.changes(), Vec::<String>::new());
}

#[test]
fn applying_goes_from_namespace_to_files() {
    let folder = project(SMALL);
    let server = Server::start(empty);
    let (code, _, err) = server.rat(&["apply", folder.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    expect![[r#"
        POST /api/v1/namespaces
        POST /api/v1/landing-zones
        POST /api/v1/landing-zones/shop/orders/files
        POST /api/v1/pipelines
        PUT /api/v1/files/shop/pipelines/bronze/orders/config.yaml
        PUT /api/v1/files/shop/pipelines/bronze/orders/pipeline.sql
        PUT /api/v1/files/shop/pipelines/bronze/orders/tests/quality/any.sql"#]]
    .assert_eq(&server.changes().join("\n"));
    let requests = server.requests();
    let upload = requests
        .iter()
        .find(|r| r.path.ends_with("/landing-zones/shop/orders/files") && r.method == "POST");
    let form = &upload.unwrap().body;
    assert!(
        form.contains("2026/a.csv") && form.contains("x\n1\n"),
        "{form}"
    );
    let created = requests
        .iter()
        .find(|r| r.route() == ("POST", "/api/v1/pipelines"))
        .unwrap();
    assert_eq!(created.json()["description"], "Orders");
}

/// A server that has `shop` with one pipeline of the project's name and one other.
fn filled(request: &Request) -> crate::support::Answer {
    filled_with(json!(SHA_256), request)
}

/// The same, where the landing file has this hash.
fn filled_with(hash: serde_json::Value, request: &Request) -> crate::support::Answer {
    let pipeline = |name: &str, depends: &[&str]| json!({"namespace": "shop", "layer": "bronze", "name": name, "depends_on": depends, "source_hash": "old"});
    let file = |name: &str, text: &str| json!({"path": format!("shop/pipelines/bronze/orders/{name}"), "size": text.len()});
    match request.route() {
        ("GET", "/api/v1/namespaces") => ok(json!({"namespaces": [{"name": "shop"}], "total": 1})),
        ("GET", "/api/v1/pipelines") => ok(json!({"pipelines": [
            pipeline("orders", &[]), pipeline("old", &["shop.bronze.orders"])], "total": 2})),
        ("GET", "/api/v1/tables") => ok(json!({"tables": [], "total": 0})),
        ("GET", "/api/v1/landing-zones") => {
            ok(json!({"zones": [{"namespace": "shop", "name": "orders"}], "total": 1}))
        }
        ("GET", "/api/v1/landing-zones/shop/orders/files") => ok(
            json!({"files": [{"id": "1", "filename": "2026/a.csv", "size_bytes": 4,
                "hash": hash}], "total": 1}),
        ),
        ("GET", "/api/v1/files") => ok(json!({"files": [
            file("config.yaml", "description: Orders\n"),
            file("pipeline.sql", "SELECT 1"),
            file("tests/quality/gone.sql", "SELECT 1"),
        ], "total": 3})),
        ("GET", "/api/v1/files/shop/pipelines/bronze/orders/config.yaml") => {
            ok(json!({"content": "description: Orders\n"}))
        }
        _ => ok(json!({})),
    }
}

#[test]
fn only_what_differs_is_sent_and_what_vanished_is_removed() {
    let folder = project(SMALL);
    let server = Server::start(filled);
    let (code, out, err) = server.rat(&["apply", folder.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    expect![[r#"
        = namespace shop
        = zone      shop.orders
        = file      shop.orders/2026/a.csv  4 B
        ~ pipeline  shop.bronze.orders      ~pipeline.sql ~tests/quality/any.sql -tests/quality/gone.sql
        Plan: 0 to create, 1 to update, 0 to delete, 3 unchanged
    "#]].assert_eq(&out);
    expect![[r#"
        PUT /api/v1/files/shop/pipelines/bronze/orders/pipeline.sql
        PUT /api/v1/files/shop/pipelines/bronze/orders/tests/quality/any.sql
        DELETE /api/v1/files/shop/pipelines/bronze/orders/tests/quality/gone.sql
        PUT /api/v1/pipelines/shop/bronze/orders"#]]
    .assert_eq(&server.changes().join("\n"));
}

#[test]
fn pruning_deletes_what_the_project_does_not_have() {
    let folder = project(SMALL);
    let server = Server::start(filled);
    let (code, out, _) = server.rat(&["apply", folder.path().to_str().unwrap(), "--prune"]);
    assert_eq!(code, 0);
    assert!(out.contains("- pipeline  shop.bronze.old"), "{out}");
    assert!(
        server
            .changes()
            .contains(&"DELETE /api/v1/pipelines/shop/bronze/old".to_owned())
    );
}

#[test]
fn a_cycle_through_the_server_is_found() {
    let folder = project(&[(
        "shop/pipelines/bronze/orders/pipeline.sql",
        "SELECT * FROM {{ ref('bronze.old') }}",
    )]);
    let server = Server::start(filled);
    let path = folder.path().to_str().unwrap();
    let (code, _, err) = server.rat(&["apply", path]);
    assert_eq!(code, 1);
    assert!(
        err.contains("shop.bronze.old → shop.bronze.orders → shop.bronze.old"),
        "{err}"
    );
}

#[test]
fn a_landing_file_of_the_same_size_with_other_content_is_sent_again() {
    let folder = project(SMALL);
    let server = Server::start(|request| filled_with(json!("0".repeat(64)), request));
    let (code, out, err) = server.rat(&["apply", folder.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let line = "~ file      shop.orders/2026/a.csv  4 B, same size, other content\n";
    assert!(out.contains(line), "{out}");
    let requests = server.requests();
    let upload = requests
        .iter()
        .find(|r| r.route() == ("POST", "/api/v1/landing-zones/shop/orders/files"))
        .unwrap();
    assert!(
        upload.body.contains("name=\"overwrite\"\r\n\r\ntrue\r\n"),
        "{}",
        upload.body
    );
}

#[test]
fn a_landing_file_whose_content_nobody_knows_is_sent_again() {
    let folder = project(SMALL);
    let server = Server::start(|request| filled_with(json!(null), request));
    let (_, out, _) = server.rat(&["apply", folder.path().to_str().unwrap(), "--dry-run"]);
    assert!(out.contains("~ file      shop.orders/2026/a.csv"), "{out}");
}

#[test]
fn a_zone_that_would_be_new_and_empty_is_marked_because_its_name_may_be_wrong() {
    let folder = project(&[(
        "shop/pipelines/bronze/orders/pipeline.sql",
        "SELECT * FROM read_csv('{{ landing_zone(\"ordrs\") }}')",
    )]);
    let server = Server::start(filled);
    let (code, out, err) = server.rat(&["apply", folder.path().to_str().unwrap(), "--dry-run"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("+ zone      shop.ordrs          new, empty\n"),
        "{out}"
    );
}

/// A server on which two pipelines of another project read each other.
fn tangled(request: &Request) -> crate::support::Answer {
    let pipeline = |name: &str, depends: &[&str]| json!({"namespace": "other", "layer": "silver", "name": name, "depends_on": depends});
    match request.route() {
        ("GET", "/api/v1/pipelines") => ok(json!({"pipelines": [
            pipeline("a", &["other.silver.b"]),
            pipeline("b", &["other.silver.a", "shop.silver.mine"])], "total": 2})),
        _ => empty(request),
    }
}

#[test]
fn a_cycle_that_the_project_has_no_part_in_is_only_noted() {
    let folder = project(&[("shop/pipelines/silver/mine/pipeline.sql", "SELECT 1 AS x")]);
    let server = Server::start(tangled);
    let (code, _, err) = server.rat(&["apply", folder.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("note: pipelines of the server that are not of this project depend on each other, and cannot run: dependency cycle: other.silver.a → other.silver.b → other.silver.a\n"),
        "{err}"
    );
}

#[test]
fn a_cycle_through_the_project_is_found_beside_one_that_is_not_its_own() {
    let folder = project(&[(
        "shop/pipelines/silver/mine/pipeline.sql",
        "SELECT * FROM {{ ref('other.silver.a') }}",
    )]);
    let server = Server::start(tangled);
    let (code, _, err) = server.rat(&["apply", folder.path().to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        err.contains("pipeline.sql:1: dependency cycle: other.silver.a → other.silver.b → shop.silver.mine → other.silver.a\n"),
        "{err}"
    );
    assert_eq!(server.changes(), Vec::<String>::new());
}
