//! Read-only queries over published tables.

use crate::support::{Lake, Source};

#[tokio::test(flavor = "multi_thread")]
async fn a_published_table_is_seen_at_once_and_an_unknown_one_is_named() {
    let lake = Lake::start().await;
    let error = lake
        .try_query("SELECT * FROM gold.numbers")
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "TABLE_NOT_FOUND");
    let source = Source {
        ident: "shop.gold.numbers",
        sql: "SELECT value AS n FROM range(10)",
        files: &[],
    };
    assert_eq!(lake.run(&source, &[]).await.failure, None);
    let sum = lake
        .query("SELECT sum(n) AS s FROM gold.numbers WHERE n BETWEEN 3 AND 5")
        .await;
    assert!(sum.contains("| 12 |"), "{sum}");
    for sql in ["SHOW TABLES", "SHOW TABLES FROM shop"] {
        let tables = lake.query(sql).await;
        assert!(
            tables.contains("| shop      | gold  | numbers |"),
            "{tables}"
        );
    }
    let error = lake
        .try_query("SELECT * FROM gold.number")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "table shop.gold.number does not exist, did you mean shop.gold.numbers?"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_written_and_no_file_can_be_read() {
    let lake = Lake::start().await;
    let source = Source {
        ident: "shop.gold.one",
        sql: "SELECT 1 AS n",
        files: &[],
    };
    assert_eq!(lake.run(&source, &[]).await.failure, None);
    for sql in [
        "INSERT INTO gold.one VALUES (2)",
        "DELETE FROM gold.one",
        "DROP TABLE gold.one",
        "CREATE TABLE gold.two AS SELECT 1",
        "COPY gold.one TO '/tmp/one.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM read_csv('/etc/passwd')",
        "EXPLAIN ANALYZE INSERT INTO gold.one VALUES (2)",
    ] {
        let error = lake.try_query(sql).await.unwrap_err();
        assert_eq!(error.reason(), "SQL_NOT_READ_ONLY", "{sql}: {error}");
    }
    assert!(
        lake.query("SELECT count(*) AS n FROM gold.one")
            .await
            .contains("| 1 |")
    );
}

/// Older tests had no NULL among the values that were sorted.
#[tokio::test(flavor = "multi_thread")]
async fn distinct_rows_in_order_have_the_null_row() {
    let lake = Lake::start().await;
    let numbers = "(VALUES (1), (NULL)) AS t(a)";
    for (sql, rows) in [
        (format!("SELECT DISTINCT a FROM {numbers} ORDER BY a"), 2),
        (
            format!("SELECT a FROM {numbers} UNION SELECT 2 ORDER BY a"),
            3,
        ),
        (
            "SELECT s, max(i) AS m FROM (VALUES ('a', 1), ('b', NULL)) AS t(s, i) GROUP BY s \
             ORDER BY m DESC"
                .to_owned(),
            2,
        ),
    ] {
        for limit in ["", " LIMIT 10"] {
            let sql = format!("{sql}{limit}");
            let found = lake.try_query(&sql).await.unwrap();
            let found: usize = found.iter().map(arrow::array::RecordBatch::num_rows).sum();
            assert_eq!(found, rows, "{sql}");
            let source = Source {
                ident: "shop.gold.sorted",
                sql: &sql,
                files: &[],
            };
            let outcome = lake.run(&source, &[]).await;
            assert_eq!(
                (outcome.failure, outcome.rows_written),
                (None, rows as u64),
                "{sql}"
            );
        }
    }
}
