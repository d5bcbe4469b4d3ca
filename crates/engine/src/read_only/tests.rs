use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;

use super::*;
use crate::fake::FakeTables;

struct Fixture {
    _folder: tempfile::TempDir,
    session: ReadOnlySession,
    tables: FakeTables,
}

fn fixture(memory_limit: usize, timeout: Duration) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let config = QueryConfig {
        memory_limit,
        spill_dir: folder.path().join("spill"),
        target_partitions: 2,
        max_rows: 50,
        timeout,
    };
    let session = ReadOnlySession::new(config).unwrap();
    let tables = FakeTables::new(&[("shop.bronze.orders", 100), ("crm.gold.line-items", 3)]);
    Fixture {
        _folder: folder,
        session,
        tables,
    }
}

fn ordinary() -> Fixture {
    fixture(64 << 20, Duration::from_secs(60))
}

impl Fixture {
    async fn start(&self, sql: &str, rows: u64) -> Result<QueryStream, Error> {
        self.session
            .start(sql, &"shop".parse().unwrap(), rows, &self.tables)
            .await
    }

    async fn table(&self, sql: &str) -> String {
        let batches: Vec<_> = self
            .start(sql, 50)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    async fn error(&self, sql: &str) -> Error {
        match self.start(sql, 50).await {
            Err(error) => error,
            Ok(stream) => stream.try_collect::<Vec<_>>().await.unwrap_err(),
        }
    }
}

#[tokio::test]
async fn two_part_names_belong_to_the_given_namespace() {
    let fixture = ordinary();
    for table in [
        "bronze.orders",
        "shop.bronze.orders",
        "\"shop\".\"bronze\".\"orders\"",
    ] {
        let sql = format!("SELECT count(*) AS n, max(name) AS m FROM {table} WHERE id < 5");
        assert!(fixture.table(&sql).await.contains("| 5 | n4 |"), "{table}");
    }
    let sql = "SELECT o.id FROM bronze.orders o JOIN crm.gold.\"line-items\" l ON o.id = l.id \
               ORDER BY 1 DESC LIMIT 1";
    assert!(fixture.table(sql).await.contains("| 2  |"));
}

#[tokio::test]
async fn results_are_cut_and_say_so() {
    let fixture = ordinary();
    for (limit, expected, cut) in [(10, 10, true), (50, 50, true)] {
        let mut stream = fixture
            .start("SELECT * FROM bronze.orders", limit)
            .await
            .unwrap();
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            rows += batch.unwrap().num_rows();
        }
        assert_eq!((rows, stream.truncated()), (expected, cut));
    }
    let stream = fixture
        .start("SELECT * FROM bronze.orders WHERE id < 10", 10)
        .await
        .unwrap();
    let schema = stream.schema();
    assert_eq!(schema.fields().len(), 2);
    let mut stream = stream;
    while stream.next().await.is_some() {}
    assert!(!stream.truncated());
}

#[tokio::test]
async fn unknown_tables_are_named_with_a_guess() {
    let fixture = ordinary();
    for (sql, expected) in [
        (
            "SELECT * FROM bronze.order",
            "table shop.bronze.order does not exist, did you mean shop.bronze.orders?",
        ),
        (
            "SELECT * FROM silver.orders",
            "table shop.silver.orders does not exist, did you mean shop.bronze.orders?",
        ),
        (
            "SELECT * FROM orders",
            "table orders does not exist, a table's name has its layer: bronze.orders",
        ),
    ] {
        let error = fixture.error(sql).await;
        assert_eq!(
            (error.reason(), error.to_string().as_str()),
            ("TABLE_NOT_FOUND", expected)
        );
    }
    for sql in [
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM landing.read_csv_1",
    ] {
        assert_eq!(
            fixture.error(sql).await.reason(),
            "TABLE_NOT_FOUND",
            "{sql}"
        );
    }
}

#[tokio::test]
async fn mistakes_in_sql_are_told_with_their_place() {
    let fixture = ordinary();
    let error = fixture.error("SELECT\n  idd FROM bronze.orders").await;
    assert_eq!(error.reason(), "SQL_INVALID");
    assert!(error.to_string().contains("idd"), "{error}");
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = fixture
        .error("SELECT no_such_function(id) FROM bronze.orders")
        .await;
    assert_eq!(error.reason(), "SQL_INVALID", "{error}");
    let error = fixture
        .error("SELECT CAST(name AS INT) FROM bronze.orders")
        .await;
    assert_eq!(error.reason(), "EXECUTION_FAILED", "{error}");
    let error = fixture
        .error("SELECT id / (id - id) FROM bronze.orders")
        .await;
    assert_eq!(error.reason(), "EXECUTION_FAILED", "{error}");
}

#[tokio::test]
async fn statements_that_write_are_refused() {
    let fixture = ordinary();
    for sql in [
        "SELECT * INTO bronze.copy FROM bronze.orders",
        "INSERT INTO bronze.orders VALUES (1, 'x')",
        "WITH x AS (SELECT 1) INSERT INTO bronze.orders SELECT 1, 'x'",
        "COPY bronze.orders TO '/tmp/x.parquet'",
        "SET datafusion.catalog.information_schema = true",
    ] {
        let error = fixture.error(sql).await;
        assert!(
            matches!(error.reason(), "SQL_NOT_READ_ONLY" | "SQL_INVALID"),
            "{sql}: {error}"
        );
    }
}

#[tokio::test]
async fn plans_can_be_explained() {
    let fixture = ordinary();
    assert!(
        fixture
            .table("EXPLAIN SELECT * FROM bronze.orders")
            .await
            .contains("logical_plan")
    );
    assert!(
        fixture
            .table("EXPLAIN ANALYZE SELECT * FROM bronze.orders")
            .await
            .contains("metrics")
    );
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped() {
    let fixture = fixture(64 << 20, Duration::from_millis(300));
    let sql = "SELECT count(*) FROM range(1000000000000) WHERE value % 7 = 3";
    let error = fixture.error(sql).await;
    assert_eq!(error.reason(), "TIMEOUT", "{error}");
    assert_eq!(error.to_string(), "the query took longer than 0.300 s");
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_is_stopped() {
    let fixture = fixture(100 << 10, Duration::from_secs(60));
    let sql =
        "SELECT count(*) FROM range(1000000) a JOIN range(1000000) b ON a.value = b.value * 2";
    let error = fixture.error(sql).await;
    assert_eq!(error.reason(), "OUT_OF_MEMORY", "{error}");
}

#[tokio::test]
async fn tables_and_their_columns_can_be_listed() {
    let fixture = ordinary();
    let tables = fixture.table("show  tables;").await;
    assert!(
        tables.contains("| shop      | bronze | orders     |"),
        "{tables}"
    );
    assert!(
        tables.contains("| crm       | gold   | line-items |"),
        "{tables}"
    );
    let tables = fixture.table("SHOW TABLES from \"crm\"").await;
    assert!(tables.contains("line-items"), "{tables}");
    assert!(!tables.contains("orders"), "{tables}");
    let tables = fixture.table("SHOW TABLES IN none").await;
    assert!(!tables.contains("orders"), "{tables}");
    let columns = fixture.table("DESCRIBE bronze.orders").await;
    assert!(columns.contains("| name        | VARCHAR"), "{columns}");
    let columns = fixture.table("DESC crm.gold.\"line-items\"").await;
    assert!(columns.contains("| id "), "{columns}");
    assert_eq!(
        fixture.error("DESCRIBE bronze.none").await.reason(),
        "TABLE_NOT_FOUND"
    );
    assert_eq!(
        fixture.error("SHOW TABLES LIKE 'x'").await.reason(),
        "SQL_NOT_READ_ONLY"
    );
}

#[tokio::test]
async fn a_limit_beyond_all_numbers_is_none() {
    let fixture = ordinary();
    for limit in [i64::MAX as u64 - 1, i64::MAX as u64, u64::MAX] {
        let stream = fixture.start("SELECT * FROM bronze.orders", limit).await;
        let batches: Vec<_> = stream.unwrap().try_collect().await.unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 100, "{limit}");
    }
}
