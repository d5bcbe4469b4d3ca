//! What runs make of tables.

use expect_test::expect;
use rat_types::{QualityStatus, RunState};

use crate::support::{Lake, Source};

const BRONZE: Source<'static> = Source {
    ident: "shop.bronze.orders",
    sql: "SELECT * FROM read_csv('{{ landing_zone('raw', '*.csv') }}')",
    files: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn data_flows_from_landing_files_to_gold() {
    let lake = Lake::start().await;
    let files = [
        lake.land(
            "a.csv",
            "id,customer,amount,at\n1,ann,10.5,2026-01-01 10:00:00\n2,bob,4,2026-01-02 11:30:00\n",
        ),
        lake.land(
            "b.csv",
            "id,customer,amount,at\n3,ann,1.25,2026-01-02 12:00:00.123\n",
        ),
    ];
    let outcome = lake.run(&BRONZE, &files).await;
    assert_eq!(
        (outcome.state, outcome.failure),
        (RunState::Succeeded, None)
    );
    assert_eq!(outcome.rows_written, 3);
    assert!(outcome.bytes_written > 0);

    let silver = Source {
        ident: "shop.silver.line-totals",
        sql: "SELECT customer, CAST(amount AS DECIMAL(10, 2)) AS amount, date_trunc('day', at) AS day \
              FROM {{ ref('bronze.orders') }}",
        files: &[(
            "tests/quality/positive.sql",
            "SELECT * FROM {{ this }} WHERE amount <= 0",
        )],
    };
    let outcome = lake.run(&silver, &[]).await;
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.quality[0].status, QualityStatus::Pass);

    let gold = Source {
        ident: "shop.gold.daily",
        sql: "SELECT day, count(*) AS orders, sum(amount) AS revenue \
              FROM {{ ref('shop.silver.line-totals') }} GROUP BY day ORDER BY day",
        files: &[],
    };
    assert_eq!(lake.run(&gold, &[]).await.failure, None);
    expect![[r#"
        +---------------------+--------+---------+
        | day                 | orders | revenue |
        +---------------------+--------+---------+
        | 2026-01-01T00:00:00 | 1      | 10.50   |
        | 2026-01-02T00:00:00 | 2      | 5.25    |
        +---------------------+--------+---------+
    "#]]
    .assert_eq(&lake.query("SELECT * FROM gold.daily ORDER BY day").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_replaces_and_an_empty_result_empties() {
    let lake = Lake::start().await;
    let count = async || lake.query("SELECT count(*) AS n FROM bronze.numbers").await;
    let run = async |sql| {
        let source = Source {
            ident: "shop.bronze.numbers",
            sql,
            files: &[],
        };
        let outcome = lake.run(&source, &[]).await;
        assert_eq!(outcome.failure, None);
        outcome.rows_written
    };
    assert_eq!(run("SELECT value AS n FROM range(5)").await, 5);
    assert_eq!(run("SELECT value AS n FROM range(3)").await, 3);
    assert!(count().await.contains("| 3 |"));
    assert_eq!(
        run("SELECT value AS n FROM range(3) WHERE value > 7").await,
        0
    );
    assert!(count().await.contains("| 0 |"));
    assert_eq!(
        run("SELECT n, 'new' AS label FROM (VALUES (1), (2)) AS v(n)").await,
        2
    );
    assert!(count().await.contains("| 2 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_adds_and_may_look_at_what_is_there() {
    let lake = Lake::start().await;
    let append = [("config.yaml", "merge_strategy: append_only")];
    let first = Source {
        ident: "shop.bronze.numbers",
        sql: "SELECT value AS n FROM range(3)",
        files: &append,
    };
    assert_eq!(lake.run(&first, &[]).await.rows_written, 3);
    let more = Source {
        ident: "shop.bronze.numbers",
        sql: "SELECT value + 3 AS n, 'x' AS label FROM range(3) \
              WHERE value + 3 > (SELECT max(n) FROM {{ this }})",
        files: &append,
    };
    assert_eq!(lake.run(&more, &[]).await.rows_written, 3);
    expect![[r#"
        +---+-------+
        | n | label |
        +---+-------+
        | 0 |       |
        | 1 |       |
        | 2 |       |
        | 3 | x     |
        | 4 | x     |
        | 5 | x     |
        +---+-------+
    "#]]
    .assert_eq(&lake.query("SELECT * FROM bronze.numbers ORDER BY n").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_judge_what_the_run_wrote_and_not_what_was_there() {
    let lake = Lake::start().await;
    let no_seven = [(
        "tests/quality/no_seven.sql",
        "SELECT n FROM {{ this }} WHERE n = 7",
    )];
    let run = async |sql, files| {
        lake.run(
            &Source {
                ident: "shop.gold.numbers",
                sql,
                files,
            },
            &[],
        )
        .await
    };
    assert_eq!(run("SELECT 7 AS n", &[]).await.failure, None);
    // `main` has the seven, the new rows have not.
    assert_eq!(run("SELECT 8 AS n", &no_seven).await.failure, None);
    // And the other way round.
    let outcome = run("SELECT 7 AS n", &no_seven).await;
    assert_eq!(outcome.failure.unwrap().code, "QUALITY_FAILED");
    assert_eq!(outcome.quality[0].samples, ["{\"n\": 7}"]);
    assert!(
        lake.query("SELECT n FROM gold.numbers")
            .await
            .contains("| 8 |")
    );

    let warn = [(
        "tests/quality/no_seven.sql",
        "-- @severity: warn\nSELECT n FROM {{ this }} WHERE n = 7",
    )];
    let outcome = run("SELECT 7 AS n", &warn).await;
    assert_eq!(
        (outcome.failure, outcome.quality[0].status),
        (None, QualityStatus::Fail)
    );
    assert!(
        lake.query("SELECT n FROM gold.numbers")
            .await
            .contains("| 7 |")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_first_run_leaves_no_table() {
    let lake = Lake::start().await;
    let never = [("tests/quality/never.sql", "SELECT * FROM {{ this }}")];
    let source = Source {
        ident: "shop.gold.numbers",
        sql: "SELECT 1 AS n",
        files: &never,
    };
    assert_eq!(
        lake.run(&source, &[]).await.failure.unwrap().code,
        "QUALITY_FAILED"
    );
    assert_eq!(lake.catalog.list_tables(None, None).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_every_common_type_come_back_as_they_went() {
    let lake = Lake::start().await;
    let source = Source {
        ident: "shop.bronze.types",
        sql: "SELECT true AS b, CAST(1 AS INT) AS i, 2.5 AS d, CAST('3.25' AS DECIMAL(9, 2)) AS m, \
              DATE '2026-01-02' AS day, TIMESTAMP '2026-01-02T03:04:05.123456789' AS at, \
              arrow_cast('2026-01-02T03:04:05', 'Timestamp(Second, None)') AS sec, \
              'text' AS t, [1, 2] AS list, named_struct('x', 1, 'y', 'z') AS s, \
              row_number() OVER () AS r, CAST(NULL AS VARCHAR) AS nothing",
        files: &[],
    };
    assert_eq!(lake.run(&source, &[]).await.failure, None);
    expect![[r#"
        +------+---+-----+------+------------+----------------------------+---------------------+------+--------+--------------+---+---------+
        | b    | i | d   | m    | day        | at                         | sec                 | t    | list   | s            | r | nothing |
        +------+---+-----+------+------------+----------------------------+---------------------+------+--------+--------------+---+---------+
        | true | 1 | 2.5 | 3.25 | 2026-01-02 | 2026-01-02T03:04:05.123456 | 2026-01-02T03:04:05 | text | [1, 2] | {x: 1, y: z} | 1 |         |
        +------+---+-----+------+------------+----------------------------+---------------------+------+--------+--------------+---+---------+
    "#]].assert_eq(&lake.query("SELECT * FROM bronze.types").await);
}
