//! What is equal to what, and what becomes of numbers that are put together.

use arrow::array::AsArray;

use crate::support::{Lake, Source};

/// Values of one row, as a condition sees them.
const ROW: &str = "(SELECT CAST('16.76' AS DECIMAL(12, 2)) AS m, CAST('0.10' AS DECIMAL(4, 2)) AS \
    small, CAST('16.76' AS DOUBLE) AS d, 1e20 AS large, 1e-20 AS tiny, CAST('-0.0' AS DOUBLE) AS neg, CAST('0.0' AS REAL) AS pos, CAST(NULL AS DOUBLE) AS nothing, 7 AS i, \
    arrow_cast('10:00:00', 'Time64(Microsecond)') AS tm)";

/// The conditions that do not hold, asked by a query and by a pipeline.
async fn wrong(conditions: &[&str]) -> Vec<String> {
    let lake = Lake::start().await;
    let mut wrong = Vec::new();
    for condition in conditions {
        let sql = format!("SELECT count(*) AS n FROM {ROW} WHERE {condition}");
        match lake.try_query(&sql).await {
            Ok(rows) if count(&rows) == 1 => {}
            Ok(_) => wrong.push(format!("query: {condition}")),
            Err(error) => wrong.push(format!("query: {condition}: {error}")),
        }
    }
    let parts = conditions.iter().enumerate();
    let parts = parts
        .map(|(place, condition)| format!("SELECT {place} AS place FROM {ROW} WHERE {condition}"));
    let source = Source {
        ident: "shop.gold.conditions",
        sql: &parts.collect::<Vec<_>>().join(" UNION ALL "),
        files: &[],
    };
    if let Some(failure) = lake.run(&source, &[]).await.failure {
        wrong.push(format!("pipeline: {}", failure.message));
        return wrong;
    }
    for (place, condition) in conditions.iter().enumerate() {
        let sql = format!("SELECT count(*) FROM gold.conditions WHERE place = {place}");
        if count(&lake.try_query(&sql).await.unwrap()) != 1 {
            wrong.push(format!("pipeline: {condition}"));
        }
    }
    wrong
}

fn count(rows: &[arrow::array::RecordBatch]) -> i64 {
    let numbers = rows[0].column(0);
    numbers
        .as_primitive::<arrow::datatypes::Int64Type>()
        .value(0)
}

/// Older tests compared decimals with whole numbers and with texts only.
#[tokio::test(flavor = "multi_thread")]
async fn decimals_are_compared_with_what_is_written_and_with_doubles_as_doubles() {
    let wrong = wrong(&[
        "m = 16.76",
        "16.76 = m",
        "m <> 16.77",
        "m IN (1.5, 16.76)",
        "m NOT IN (16.75, 16.77)",
        "m BETWEEN 16.76 AND 16.76",
        "m = d",
        "m IN (1e5, d)",
        "m BETWEEN 16.76 AND large",
        "CASE m WHEN 16.76 THEN true ELSE false END",
        "CASE m WHEN d THEN true ELSE false END",
        "m IS NOT DISTINCT FROM d",
        "m IS NOT DISTINCT FROM 16.76",
        "m IN (SELECT 16.76e0)",
        "d IN (SELECT 16.76)",
        "m = (SELECT max(d) FROM (VALUES (16.76e0)) AS v(d))",
        "0.1 + 0.2 = 0.3",
        "small = 0.1",
        "small BETWEEN 0.11 - 0.01 AND 0.09 + 0.01",
        "large > 1.5",
        "large > m",
        "tiny > 0.0",
        "tiny < m",
        "CAST('inf' AS DOUBLE) > 1.5",
        "CAST('nan' AS DOUBLE) <> 1.5",
        "i > 6.5",
        "i * 1.5 = 10.5",
        "m * 1.1 = 18.436",
    ])
    .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_together_from_decimals_and_doubles_is_a_double() {
    let wrong = wrong(&[
        "coalesce(tiny, 0.0) = 1e-20",
        "coalesce(nothing, 0.5) = 0.5",
        "greatest(large, 1.5) = 1e20",
        "least(tiny, 1.5) = 1e-20",
        "nullif(large, 1.5) = 1e20",
        "nvl(nothing, 1.5) = 1.5",
        "nvl2(tiny, large, 1.5) = 1e20",
        "CASE WHEN i > 1 THEN large ELSE 1.5 END = 1e20",
        "CASE WHEN i < 1 THEN 1.5 ELSE tiny END = 1e-20",
        "[tiny, 0.5][1] = 1e-20",
        "array_has([tiny, 1e0], 1.0)",
        "array_position([tiny, -0.5e0], -0.5) = 2",
        "array_has_any([tiny, 0.5e0], [0.5, 2.5])",
        "array_append([tiny], 0.5)[1] = 1e-20",
        "tiny * 1.5 > 1.4e-20",
        "large + 0.5 = 1e20",
    ])
    .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let lake = Lake::start().await;
    for (sql, expected) in [
        ("SELECT x FROM (VALUES (1.5), (1e-20), (10.25)) AS t(x)", 3),
        (
            "SELECT 1.5 AS x UNION ALL SELECT 1e-20 UNION ALL SELECT 3",
            3,
        ),
        ("SELECT 1e-20 AS x UNION SELECT 1.5", 2),
        (
            "WITH RECURSIVE t AS (SELECT 1.0 AS x UNION ALL SELECT x * 1.05 FROM t WHERE x < 1.06) \
             SELECT x FROM t WHERE x IN (1e0, 1.05e0, 1.1025e0)",
            3,
        ),
    ] {
        let rows = lake
            .try_query(&format!("SELECT x FROM ({sql})"))
            .await
            .unwrap();
        assert_eq!(
            rows[0].schema().field(0).data_type().to_string(),
            "Float64",
            "{sql}"
        );
        let not_zero = format!("SELECT count(*) FROM ({sql}) AS t WHERE x > 0.0");
        assert_eq!(
            count(&lake.try_query(&not_zero).await.unwrap()),
            expected,
            "{sql}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seldom_exact_is_a_double() {
    let wrong = wrong(&[
        "1 / 3.0 = 1e0 / 3",
        "1.0 * i / 7000000 = 1e-6",
        "m / 2 = 8.38",
        "m / 0.5 = 33.52",
        "i / 2 = 3",
        "power(1.5, 2) = 2.25",
        "power(2.25, 0.5) = 1.5",
        "sqrt(2.25) = 1.5",
        "round(2.567, 2) = 2.57",
        "round(m * 1.1, 2) = 18.44",
        "round(m, 1) = 16.8",
        "round(i * 1.55) = 11",
        "floor(m) = 16",
        "(SELECT avg(1.0 * value) FROM range(3, 5)) = 3.5",
        "(SELECT avg(v) FROM (VALUES (0.00001), (0.0)) AS t(v)) = 5e-6",
        "(SELECT approx_percentile_cont(value, 0.5) FROM range(3, 6)) = 4",
        "(SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FROM range(3, 5)) = 3.5",
        "(SELECT sum(v) FROM (VALUES (0.1), (0.2)) AS t(v)) = 0.3",
    ])
    .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_zeros_are_zero_where_one_is_written() {
    let wrong = wrong(&[
        "neg = 0",
        "0 = neg",
        "neg = 0.0",
        "neg = '0'",
        "pos = -0.0",
        "pos = 0",
        "NOT neg <> 0",
        "NOT neg < 0",
        "NOT neg > 0",
        "neg <= 0",
        "neg >= 0",
        "NOT pos < -0.0",
        "0 >= neg",
        "NOT 0 < pos",
        "neg IN (5, 0)",
        "NOT neg NOT IN (0.0)",
        "neg BETWEEN 0 AND 1",
        "pos BETWEEN -1 AND -0.0",
        "CASE neg WHEN 0 THEN true ELSE false END",
        "CASE neg WHEN 1 THEN false WHEN 0 THEN true END",
        "neg IS NOT DISTINCT FROM 0",
        "NOT neg IS DISTINCT FROM 0",
        "nothing IS DISTINCT FROM 0",
        "(nothing = 0) IS NULL",
        "tiny > 0",
        "NOT tiny = 0",
        "-tiny < 0",
        "neg = CAST(0 AS DOUBLE)",
    ])
    .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_a_day_are_compared_whatever_their_units() {
    let wrong = wrong(&[
        "tm = TIME '10:00:00'",
        "TIME '10:00:00' = tm",
        "tm < TIME '10:00:01'",
        "tm BETWEEN TIME '09:00:00' AND TIME '10:00:00'",
        "tm IN (TIME '10:00:00')",
        "tm < '11:00:00'",
        "CASE tm WHEN TIME '10:00:00' THEN true ELSE false END",
        "tm IN (SELECT TIME '10:00:00')",
        "tm = arrow_cast('10:00:00', 'Time32(Second)')",
    ])
    .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_of_decimals_and_doubles_find_each_other() {
    let lake = Lake::start().await;
    for join in [
        "a JOIN b USING (k)",
        "a NATURAL JOIN b",
        "a JOIN b ON a.k = b.k",
        "a LEFT JOIN b ON b.k = a.k WHERE b.v IS NOT NULL",
    ] {
        let sql = format!(
            "WITH a AS (SELECT 16.76 AS k), b AS (SELECT 16.76e0 AS k, 1 AS v UNION ALL \
             SELECT 1e20, 2) SELECT count(*) FROM {join}"
        );
        assert_eq!(count(&lake.try_query(&sql).await.unwrap()), 1, "{join}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn is_distinct_from_leaves_what_follows_alone() {
    let wrong = wrong(&[
        "NOT (true IS DISTINCT FROM false AND false)",
        "i IS DISTINCT FROM 8 AND i = 7",
        "i IS NOT DISTINCT FROM 8 OR i = 7",
        "NOT i IS NOT DISTINCT FROM 8 AND i = 7",
    ])
    .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
