//! What SQL means here.

use rat_engine::Error;
use rat_types::TableIdent;

use crate::support::{Lake, Source};

async fn count(lake: &Lake, condition: &str) -> Result<i64, Error> {
    let sql = format!(
        "SELECT count(*) AS n FROM (SELECT value AS v, CAST(value AS INT) AS i, \
         CAST(value AS DOUBLE) AS d, CAST(value AS DECIMAL(10, 2)) AS m, value > 10 AS big, \
         CAST(value AS VARCHAR) AS t, DATE '2020-01-01' + CAST(value AS INT) AS day, \
         CAST(DATE '2020-01-01' + CAST(value AS INT) AS TIMESTAMP) AS at, \
         CAST(DATE '2020-01-01' + CAST(value AS INT) AS TIMESTAMPTZ) AS atz, \
         to_timestamp_micros(value) AS us \
         FROM range(1, 21)) WHERE {condition}"
    );
    let batches = lake.try_query(&sql).await?;
    let column = batches[0].column(0);
    let numbers = column.as_any().downcast_ref::<arrow::array::Int64Array>();
    Ok(numbers.unwrap().value(0))
}

/// DuckDB 2.0 gives the same numbers, but for four conditions. It casts the literal to the type of
/// the column, so it rounds `'7.5'` beside a whole number and `'7.001'` beside two decimal places,
/// and refuses `'3000000000'` beside an INT and `'3000000000000000000000'` beside a BIGINT. Here
/// those literals are compared as they are written.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_literal_beside_a_number_or_a_time_is_one() {
    let lake = Lake::start().await;
    for (condition, expected) in [
        ("v < '7'", 6),
        ("'7' > v", 6),
        ("i < '7'", 6),
        ("v BETWEEN '9' AND '100'", 12),
        ("v NOT BETWEEN '9' AND '100'", 8),
        ("v IN ('9', '10')", 2),
        ("v NOT IN ('9', '10')", 18),
        ("v <= '7.0'", 7),
        ("v < '7.5'", 7),
        ("v <= '7.5'", 7),
        ("v = ' 7 '", 1),
        ("v < '1e1'", 9),
        ("v < '3000000000000000000000'", 20),
        ("i < '3000000000'", 20),
        ("d < '7'", 6),
        ("d <= '7.5'", 7),
        ("m < '10'", 9),
        ("m = '7.00'", 1),
        ("m < '7.001'", 7),
        ("v IS DISTINCT FROM '07'", 19),
        ("CASE v WHEN '07' THEN true ELSE false END", 1),
        ("v < '7' OR v > '18'", 8),
        (
            "v = (SELECT max(value) FROM range(5) WHERE value < '10')",
            1,
        ),
        (
            "EXISTS (SELECT 1 FROM range(1, 3) AS r WHERE r.value = v AND v < '2')",
            1,
        ),
        ("day < '2020-01-10'", 8),
        ("day BETWEEN '2020-01-09' AND '2020-01-11'", 3),
        ("at < '2020-01-10'", 8),
        ("at <= '2020-01-10 00:00:00'", 9),
        ("us < '9999-12-31'", 20),
        ("atz < '2020-01-10T02:00:00+02:00'", 8),
        ("big = 'true'", 10),
        ("big IN ('false')", 10),
        // A column of text is text.
        ("t < '7'", 17),
        ("t = '07'", 0),
        ("v = CAST('7' AS BIGINT)", 1),
    ] {
        let counted = count(&lake, condition).await;
        assert_eq!(
            counted.map_err(|error| error.to_string()),
            Ok(expected),
            "{condition}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_literal_that_is_no_such_value_is_a_mistake() {
    let lake = Lake::start().await;
    for (condition, name) in [
        (
            "v < 'x'",
            "'x' is compared with v, which is BIGINT, and is no such value",
        ),
        ("v IN ('1', '')", "'' is compared with v, which is BIGINT"),
        (
            "m > '1,5'",
            "'1,5' is compared with m, which is DECIMAL(10, 2)",
        ),
        (
            "day > 'yesterday'",
            "'yesterday' is compared with day, which is DATE",
        ),
        (
            "big = 'perhaps'",
            "'perhaps' is compared with big, which is BOOLEAN",
        ),
    ] {
        let error = count(&lake, condition).await.unwrap_err();
        assert_eq!(error.reason(), "SQL_INVALID", "{condition}: {error}");
        assert!(error.to_string().contains(name), "{condition}: {error}");
    }
}

/// As docs/reference/pipelines.md says.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_with_a_point_is_exact_and_a_backslash_escapes_in_like() {
    let lake = Lake::start().await;
    let columns = lake
        .try_query(
            "SELECT 1.10 AS a, CAST('1.10' AS DECIMAL(4, 2)) AS b, 11e-1 AS c, 1.10 / 2 AS d, \
             avg(1.10) AS e, 1.10 * 2e0 AS f, sum(1.10) AS g",
        )
        .await
        .unwrap();
    let schema = columns[0].schema();
    let types: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| field.data_type().to_string())
        .collect();
    assert_eq!(
        types,
        [
            "Decimal128(3, 2)",
            "Decimal128(4, 2)",
            "Float64",
            "Float64",
            "Float64",
            "Float64",
            "Decimal128(13, 2)"
        ]
    );
    for (condition, expected) in [
        (r"'50%' LIKE '50\%'", true),
        (r"'505' LIKE '50\%'", false),
        (r"'505' LIKE '50%'", true),
        (r"'a\b' LIKE 'a\\b'", true),
        (r"'a\b' LIKE 'a\b'", false),
    ] {
        let counted = count(&lake, condition).await.unwrap();
        assert_eq!(counted, if expected { 20 } else { 0 }, "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_keeps_the_name_of_its_column() {
    let lake = Lake::start().await;
    let sql = "SELECT value < '7', count(*) FROM range(1, 21) GROUP BY value < '7' ORDER BY 2";
    let batches = lake.try_query(sql).await.unwrap();
    assert_eq!(
        batches
            .iter()
            .map(arrow::array::RecordBatch::num_rows)
            .sum::<usize>(),
        2
    );
    assert!(batches[0].schema().field(0).name().contains('7'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_with_a_zone_stays_one() {
    let lake = Lake::start().await;
    let file = lake.land("a.csv", "n\n2020-01-01T00:00:00+02:00\n");
    let source = Source {
        ident: "shop.bronze.moments",
        sql: "SELECT CAST('2020-01-01T00:00:00+02:00' AS TIMESTAMPTZ) AS a, \
              TIMESTAMPTZ '2020-01-01 00:00:00+02' AS b, now() AS c, n, \
              TIMESTAMP '2020-01-01 00:00:00' AS plain \
              FROM read_csv('{{ landing_zone('raw') }}', types => {'n': 'TIMESTAMPTZ'})",
        files: &[],
    };
    assert_eq!(lake.run(&source, &[file]).await.failure, None);
    let ident: TableIdent = source.ident.parse().unwrap();
    let summary = lake.catalog.table_summary(&ident).await.unwrap();
    let types: Vec<(String, String)> = summary
        .columns
        .iter()
        .map(|column| (column.name.clone(), column.data_type.clone()))
        .collect();
    let zoned = "TIMESTAMP WITH TIME ZONE";
    let expected = [
        ("a", zoned),
        ("b", zoned),
        ("c", zoned),
        ("n", zoned),
        ("plain", "TIMESTAMP"),
    ];
    let expected: Vec<(String, String)> = expected
        .map(|(name, data_type)| (name.to_owned(), data_type.to_owned()))
        .to_vec();
    assert_eq!(types, expected);
    let rows = lake
        .query("SELECT a, b, n FROM bronze.moments WHERE a = b AND b = n")
        .await;
    assert_eq!(rows.matches("2019-12-31T22:00:00Z").count(), 3, "{rows}");
}

async fn refusal(lake: &Lake, sql: &str) -> (&'static str, String) {
    let error = lake.try_query(sql).await.unwrap_err();
    (error.reason(), error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_writes_is_refused_before_its_tables_are_looked_up() {
    let lake = Lake::start().await;
    for sql in [
        "WITH c AS (SELECT 1 AS n) INSERT INTO gold.none SELECT * FROM c",
        "WITH c AS (SELECT 1 AS n) UPDATE gold.none SET n = 2",
        "WITH c AS (SELECT 1 AS n) DELETE FROM gold.none",
        "SELECT * INTO gold.copy FROM gold.none",
    ] {
        let (reason, message) = refusal(&lake, sql).await;
        assert_eq!(reason, "SQL_NOT_READ_ONLY", "{sql}: {message}");
        assert!(
            message.contains("(SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW TABLES), not "),
            "{message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_name_is_not_a_table() {
    let lake = Lake::start().await;
    for sql in ["SELECT * FROM '/etc/passwd'", "SELECT * FROM 'orders.csv'"] {
        let (reason, message) = refusal(&lake, sql).await;
        assert_eq!(reason, "TABLE_NOT_FOUND", "{sql}");
        assert!(
            message.contains("the name of a file is no table's"),
            "{message}"
        );
        assert!(!message.contains("bronze."), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_told_without_noise() {
    let lake = Lake::start().await;
    let (_, message) = refusal(&lake, "SELECT zorgblat_frobnicate(1)").await;
    assert!(message.contains("zorgblat_frobnicate"), "{message}");
    assert!(!message.contains("Did you mean"), "{message}");
    let (_, message) = refusal(&lake, "SELECT lowr('x')").await;
    assert!(message.contains("Did you mean 'lower'?"), "{message}");
    let (_, message) = refusal(&lake, "SELECT\n  idd FROM range(3)").await;
    assert!(message.contains("(line 2, column 3)"), "{message}");

    let source = Source {
        ident: "shop.gold.wrong",
        sql: "SELECT\n  idd FROM range(3)",
        files: &[],
    };
    let failure = lake.run(&source, &[]).await.failure.unwrap();
    assert!(
        failure
            .message
            .contains("(line 2, column 3 of the rendered SQL)"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn described_types_are_those_of_sql() {
    let lake = Lake::start().await;
    let source = Source {
        ident: "shop.gold.types",
        sql: "SELECT CAST(1 AS DECIMAL(38, 4)) AS m, 1 AS n, 'x' AS t, now() AS at",
        files: &[],
    };
    assert_eq!(lake.run(&source, &[]).await.failure, None);
    let columns = lake.query("DESCRIBE gold.types").await;
    for (name, data_type) in [
        ("m", "DECIMAL(38, 4)"),
        ("n", "BIGINT"),
        ("t", "VARCHAR"),
        ("at", "TIMESTAMP WITH TIME ZONE"),
    ] {
        let row = columns
            .lines()
            .find(|line| line.starts_with(&format!("| {name} ")));
        assert!(
            row.unwrap().contains(&format!("| {data_type} ")),
            "{columns}"
        );
    }
}
