//! Everything that is not a query over tables is refused, however it is wrapped.

use tonic::Code;

use crate::support::{Ratq, config, reason};

/// Statements that do something, or look at something, that a query may not.
const NOT_READ_ONLY: &[&str] = &[
    // Definitions.
    "CREATE TABLE t (x INT)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW v AS SELECT 1",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE UNBOUNDED EXTERNAL TABLE t STORED AS PARQUET LOCATION '/'",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "CREATE INDEX i ON gold.t (x)",
    "DROP TABLE gold.t",
    "DROP VIEW IF EXISTS v",
    "DROP SCHEMA s CASCADE",
    "ALTER TABLE gold.t ADD COLUMN y INT",
    "TRUNCATE TABLE gold.t",
    // Changes.
    "INSERT INTO gold.t VALUES (1)",
    "INSERT OVERWRITE gold.t SELECT 1",
    "UPDATE gold.t SET x = 1",
    "DELETE FROM gold.t",
    "MERGE INTO gold.t USING gold.s ON true WHEN MATCHED THEN DELETE",
    // Files.
    "COPY gold.t TO '/tmp/x.csv'",
    "COPY (SELECT 1) TO '/tmp/x' STORED AS PARQUET",
    "EXPLAIN COPY (SELECT 1) TO '/tmp/x'",
    "SELECT * FROM read_csv('landing://shop/z/**')",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM (SELECT * FROM READ_JSON('x')) AS hidden",
    "WITH a AS (SELECT * FROM read_csv('x')) SELECT * FROM a",
    // Session.
    "SET datafusion.execution.batch_size = 1",
    "RESET datafusion.execution.batch_size",
    "SHOW ALL",
    "SHOW COLUMNS FROM gold.t",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "USE shop",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    // Wrapped.
    "EXPLAIN INSERT INTO gold.t VALUES (1)",
    "EXPLAIN ANALYZE DELETE FROM gold.t",
    "EXPLAIN ANALYZE INSERT INTO gold.t SELECT 1",
    "EXPLAIN CREATE TABLE t (x INT)",
    "EXPLAIN SET a = 1",
    "EXPLAIN EXPLAIN SELECT 1",
    "/* SELECT */ DROP TABLE gold.t -- SELECT",
];

/// Statements that are no valid query at all.
const INVALID: &[&str] = &[
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE gold.t",
    "SELECT 1;; DELETE FROM gold.t",
    ";",
    "-- nothing",
    "WITH c AS (INSERT INTO gold.t VALUES (1) RETURNING *) SELECT * FROM c",
    "WITH c AS (DELETE FROM gold.t) SELECT * FROM c",
    "SELECT * FROM (INSERT INTO gold.t VALUES (1))",
    "SELECT * FROM (DROP TABLE gold.t)",
    "WITH c AS (SELECT 1 AS x) INSERT INTO gold.t SELECT x FROM c",
    "WITH c AS (SELECT 1 AS x) UPDATE gold.t SET x = 1",
    "(WITH c AS (SELECT 1 AS x) DELETE FROM gold.t)",
    "SELECT 1 INTO gold.t",
    "SELECT * INTO t FROM range(3)",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT read_csv('/etc/passwd')",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM a.b.c.d",
    "CALL something()",
    "ATTACH DATABASE 'x' AS y",
    "VACUUM",
    "PRAGMA version",
    "LOAD 'x'",
    "INSTALL httpfs",
];

/// Texts that name a file where a table stands: they are names of tables, and no table has them.
const FILES: &[&str] = &[
    "SELECT * FROM 'file.csv'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT * FROM `x.parquet`",
    "SELECT (SELECT count(*) FROM '/etc/passwd')",
];

#[tokio::test]
async fn statements_that_do_not_only_read_are_refused() {
    let ratq = Ratq::start(config()).await;
    let mut wrong = Vec::new();
    for sql in NOT_READ_ONLY {
        let status = ratq.refused(sql).await;
        let known = ["SQL_NOT_READ_ONLY", "SQL_INVALID"].contains(&reason(&status));
        if status.code() != Code::InvalidArgument || !known {
            wrong.push(format!("{sql}: {status}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_refusal_says_that_only_queries_are_allowed() {
    let ratq = Ratq::start(config()).await;
    for sql in [
        "INSERT INTO gold.t VALUES (1)",
        "SET a.b = 1",
        "EXPLAIN DELETE FROM gold.t",
    ] {
        let status = ratq.refused(sql).await;
        assert_eq!(reason(&status), "SQL_NOT_READ_ONLY", "{sql}: {status}");
        assert!(
            status.message().contains("only a query is allowed"),
            "{}",
            status.message()
        );
    }
}

#[tokio::test]
async fn what_is_no_query_is_invalid() {
    let ratq = Ratq::start(config()).await;
    let mut wrong = Vec::new();
    for sql in INVALID {
        let status = ratq.refused(sql).await;
        // A name that no table can have may also be called missing.
        if ![Code::InvalidArgument, Code::NotFound].contains(&status.code()) {
            wrong.push(format!("{sql}: {status}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_file_in_place_of_a_table_is_never_opened() {
    let ratq = Ratq::start(config()).await;
    for sql in FILES {
        let status = ratq.refused(sql).await;
        let code = status.code();
        assert!(
            [Code::InvalidArgument, Code::NotFound].contains(&code),
            "{sql}: {status}"
        );
        assert!(!status.message().contains("root:"), "{sql}: {status}");
    }
}

#[tokio::test]
async fn deep_nesting_is_refused_and_does_not_end_the_process() {
    let ratq = Ratq::start(config()).await;
    let parentheses = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let subqueries = format!(
        "{}SELECT 1{}",
        "SELECT * FROM (".repeat(3000),
        ")".repeat(3000)
    );
    let unions = vec!["SELECT 1"; 6000].join(" UNION ALL ");
    let sums = format!("SELECT {}", vec!["1"; 40_000].join("+"));
    for sql in [parentheses, subqueries, unions, sums] {
        // Whether it is too deep or just works, the service lives on.
        let _ = ratq.messages(ratq.request(&sql)).await;
        assert!(ratq.rows("SELECT 1").await.is_ok(), "{}", &sql[..40]);
    }
}
