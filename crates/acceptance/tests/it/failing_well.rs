//! Bad input: a clear message, the right status, `main` untouched, nothing left behind.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rat_acceptance::{Options, Stack};
use serde_json::{Value, json};

const GOOD: &str = "SELECT id, price FROM read_csv('{{ landing_zone(\"raw\") }}')";

async fn shop() -> Result<Stack> {
    let stack = Stack::start(&Options::default()).await?;
    stack
        .upload("shop", "raw", "a.csv", b"id,price\n1,2.5\n2,3.5\n".to_vec())
        .await?;
    stack
        .put_pipeline("shop.bronze.prices", "pipeline.sql", GOOD)
        .await?;
    let run = stack.run("shop.bronze.prices").await?;
    ensure!(run["status"] == "success", "{run}");
    Ok(stack)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Data files and manifests of a table: what a run may leave behind.
fn table_files(stack: &Stack, table: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(
        &stack.path().join("lake").join(table.replace('.', "/")),
        &mut found,
    );
    // Metadata files are the table's history, also of discarded runs.
    found.retain(|path| !path.to_string_lossy().ends_with(".metadata.json"));
    found.sort();
    found
}

async fn refs(stack: &Stack, table: &str) -> Result<Value> {
    let parts: Vec<_> = table.split('.').collect();
    let path = format!(
        "/iceberg/v1/namespaces/{}%1F{}/tables/{}",
        parts[0], parts[1], parts[2]
    );
    let (status, body) = stack.get(&path).await?;
    ensure!(status == 200, "{status} {body}");
    Ok(body["metadata"]["refs"].clone())
}

/// What a broken pipeline must say: its code and parts of its message.
struct Case {
    what: &'static str,
    sql: &'static str,
    code: &'static str,
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        what: "SQL that does not parse",
        sql: "SELEC 1",
        code: "SQL_INVALID",
        says: &["SELEC"],
    },
    Case {
        what: "a column that does not exist",
        sql: "SELECT nope FROM {{ ref('bronze.prices') }}",
        code: "SQL_INVALID",
        says: &["nope"],
    },
    Case {
        what: "an unknown ref",
        sql: "SELECT * FROM {{ ref('bronze.missing') }}",
        code: "TABLE_NOT_FOUND",
        says: &["shop.bronze.missing"],
    },
    Case {
        what: "a type error",
        sql: "SELECT CAST('x' AS BIGINT) AS id, 1.0 AS price",
        code: "EXECUTION_FAILED",
        says: &["'x'", "Int64"],
    },
    Case {
        what: "a missing landing file",
        sql: "SELECT * FROM read_csv('{{ landing_zone(\"raw\", \"*.nothing\") }}')",
        code: "LANDING_FILE_NOT_FOUND",
        says: &["raw", "*.nothing"],
    },
    Case {
        what: "a landing zone that does not exist",
        sql: "SELECT * FROM read_csv('{{ landing_zone(\"nowhere\") }}')",
        code: "LANDING_ZONE_NOT_FOUND",
        says: &["nowhere"],
    },
    Case {
        what: "an undefined template name",
        sql: "SELECT {{ nonsense }}",
        code: "TEMPLATE_INVALID",
        says: &["nonsense", "pipeline.sql"],
    },
    Case {
        what: "a file of the machine",
        sql: "SELECT * FROM read_csv('/etc/passwd')",
        code: "SQL_INVALID",
        says: &["landing_zone"],
    },
    Case {
        what: "a path out of the zone",
        sql: "SELECT * FROM read_csv('landing://shop/raw/../../../../etc/passwd')",
        code: "SQL_INVALID",
        says: &["not in a landing zone"],
    },
    Case {
        what: "a statement that is not a query",
        sql: "CREATE TABLE t AS SELECT 1 AS id",
        code: "SQL_NOT_READ_ONLY",
        says: &["only a query", "CREATE TABLE"],
    },
    Case {
        what: "two statements",
        sql: "SELECT 1 AS id; SELECT 2 AS id",
        code: "SQL_INVALID",
        says: &["one"],
    },
];

#[tokio::test]
async fn a_broken_pipeline_says_why_and_leaves_nothing_behind() -> Result<()> {
    let stack = shop().await?;
    let before = (
        table_files(&stack, "shop.bronze.prices"),
        refs(&stack, "shop.bronze.prices").await?,
    );
    let mut wrong = Vec::new();
    for case in CASES {
        stack
            .put_pipeline("shop.bronze.prices", "pipeline.sql", case.sql)
            .await?;
        let run = stack.run("shop.bronze.prices").await?;
        let (code, message) = (
            &run["error"]["code"],
            run["error"]["message"].as_str().unwrap_or(""),
        );
        let said = case.says.iter().all(|part| message.contains(part));
        if run["status"] != "failed" || code != case.code || !said {
            wrong.push(format!(
                "{}: expected {} saying {:?}, got {run}",
                case.what, case.code, case.says
            ));
        }
        let after = (
            table_files(&stack, "shop.bronze.prices"),
            refs(&stack, "shop.bronze.prices").await?,
        );
        if after != before {
            wrong.push(format!(
                "{}: left something behind:\n{before:?}\n{after:?}",
                case.what
            ));
        }
    }
    let rows = stack
        .query("SELECT sum(price) AS total FROM shop.bronze.prices")
        .await?;
    assert_eq!(rows[0]["total"], 6.0, "main was touched");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn a_malformed_csv_file_is_named_with_its_line() -> Result<()> {
    let stack = shop().await?;
    let before = table_files(&stack, "shop.bronze.prices");
    let mut text = String::from("id,price\n");
    for id in 0..5000 {
        text.push_str(&format!("{id},1.5\n"));
    }
    text.push_str("5000,1.5,surplus\n");
    stack
        .upload("shop", "raw", "broken.csv", text.into_bytes())
        .await?;
    let run = stack.run("shop.bronze.prices").await?;
    assert_eq!(run["status"], "failed", "{run}");
    assert_eq!(run["error"]["code"], "LANDING_FILE_INVALID", "{run}");
    let message = run["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("broken.csv") && message.contains("5002"),
        "{message}"
    );
    assert_eq!(table_files(&stack, "shop.bronze.prices"), before);
    Ok(())
}

#[tokio::test]
async fn a_failing_test_discards_what_the_run_wrote() -> Result<()> {
    let stack = shop().await?;
    let before = table_files(&stack, "shop.bronze.prices");
    let test = "-- @severity: error\nSELECT * FROM {{ this }} WHERE price < 0";
    stack
        .put_pipeline("shop.bronze.prices", "tests/quality/positive.sql", test)
        .await?;
    let warning = "-- @severity: warn\nSELECT * FROM {{ this }} WHERE price > 3";
    stack
        .put_pipeline("shop.bronze.prices", "tests/quality/cheap.sql", warning)
        .await?;
    // The old table passes: only what this run wrote can make the test fail.
    stack
        .put_pipeline(
            "shop.bronze.prices",
            "pipeline.sql",
            "SELECT 1 AS id, -1.0 AS price",
        )
        .await?;
    let run = stack.run("shop.bronze.prices").await?;
    assert_eq!(run["error"]["code"], "QUALITY_FAILED", "{run}");
    assert_eq!(table_files(&stack, "shop.bronze.prices"), before);
    let rows = stack
        .query("SELECT count(*) AS n FROM shop.bronze.prices WHERE price < 0")
        .await?;
    assert_eq!(rows[0]["n"], 0);
    let id = run["id"].as_str().unwrap_or_default();
    let (_, results) = stack.get(&format!("/api/v1/runs/{id}/quality")).await?;
    assert_eq!(
        (&results["failed"], &results["passed"]),
        (&json!(1), &json!(1)),
        "{results}"
    );
    // A warning is published.
    stack
        .put_pipeline("shop.bronze.prices", "pipeline.sql", GOOD)
        .await?;
    let run = stack.run("shop.bronze.prices").await?;
    assert_eq!(run["status"], "success", "{run}");
    let id = run["id"].as_str().unwrap_or_default();
    let (_, results) = stack.get(&format!("/api/v1/runs/{id}/quality")).await?;
    assert_eq!(results["warned"], 1, "the warning is stored: {results}");
    Ok(())
}

#[tokio::test]
async fn an_empty_result_empties_a_full_refresh_and_leaves_an_append_alone() -> Result<()> {
    let stack = shop().await?;
    let empty = "SELECT id, price FROM {{ ref('bronze.prices') }} WHERE id < 0";
    stack
        .put_pipeline(
            "shop.silver.copy",
            "pipeline.sql",
            "SELECT id, price FROM {{ ref('bronze.prices') }}",
        )
        .await?;
    assert_eq!(stack.run("shop.silver.copy").await?["status"], "success");
    stack
        .put_pipeline("shop.silver.copy", "pipeline.sql", empty)
        .await?;
    let run = stack.run("shop.silver.copy").await?;
    assert_eq!(run["status"], "success", "{run}");
    let rows = stack
        .query("SELECT count(*) AS n FROM shop.silver.copy")
        .await?;
    assert_eq!(rows[0]["n"], 0);

    let append =
        "-- @merge_strategy: append_only\nSELECT id, price FROM {{ ref('bronze.prices') }}";
    stack
        .put_pipeline("shop.silver.log", "pipeline.sql", append)
        .await?;
    for expected in [2, 4] {
        assert_eq!(stack.run("shop.silver.log").await?["status"], "success");
        let rows = stack
            .query("SELECT count(*) AS n FROM shop.silver.log")
            .await?;
        assert_eq!(rows[0]["n"], expected);
    }
    let (_, table) = stack.get("/api/v1/tables/shop/silver/log").await?;
    assert_eq!(table["row_count"], 4, "{table}");
    assert!(
        table["size_bytes"].as_u64().unwrap_or_default() > 0,
        "{table}"
    );
    Ok(())
}

#[tokio::test]
async fn names_paths_and_bodies_that_trick_are_refused() -> Result<()> {
    let stack = shop().await?;
    for name in ["../x", "A", "", "x/y", "x\u{0}", "-x", &"x".repeat(200)] {
        let (status, body) = stack
            .post("/api/v1/namespaces", &json!({"name": name}))
            .await?;
        assert_eq!(
            (status, &body["error"]["code"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{name:?}: {body}"
        );
    }
    for path in [
        "shop/pipelines/bronze/prices/..%2f..%2fx",
        "%2e%2e/x",
        "shop/pipelines/bronze/prices/a%5cb",
        "shop/pipelines/bronze/prices/%252e%252e/x",
    ] {
        let request = stack
            .http()
            .put(format!("{}/api/v1/files/{path}", stack.url()))
            .json(&json!({"content": "x"}));
        let status = request.send().await?.status().as_u16();
        assert!(status == 400 || status == 404, "{path}: {status}");
    }
    let large = json!({"sql": "x".repeat(2 << 20)});
    let (status, body) = stack.post("/api/v1/query", &large).await?;
    assert_eq!(status, 413, "{body}");
    let (status, body) = stack
        .post(
            "/iceberg/v1/namespaces",
            &json!({"namespace": ["x".repeat(20 << 20)]}),
        )
        .await?;
    assert_eq!(
        (status, &body["error"]["code"]),
        (413, &json!(413)),
        "{body}"
    );
    for sql in [
        "DROP TABLE shop.bronze.prices",
        "COPY shop.bronze.prices TO '/tmp/x'",
        "SELECT * FROM read_csv('/etc/passwd')",
    ] {
        let (status, body) = stack.post("/api/v1/query", &json!({"sql": sql})).await?;
        assert_eq!(status, 400, "{sql}: {body}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cycle_is_named_and_nothing_is_applied() -> Result<()> {
    let stack = shop().await?;
    let project = tempfile::tempdir()?;
    for (name, other) in [("a", "b"), ("b", "a")] {
        let folder = project.path().join(format!("loop/pipelines/silver/{name}"));
        std::fs::create_dir_all(&folder)?;
        let sql = format!("SELECT * FROM {{{{ ref('silver.{other}') }}}}");
        std::fs::write(folder.join("pipeline.sql"), sql)?;
    }
    let output = stack
        .rat(&["apply", &project.path().display().to_string()])
        .await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("loop.silver.a") && text.contains("loop.silver.b"),
        "{text}"
    );
    let (_, pipelines) = stack.get("/api/v1/pipelines?namespace=loop").await?;
    assert_eq!(pipelines["total"], 0, "{pipelines}");
    Ok(())
}
