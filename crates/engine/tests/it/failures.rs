//! Runs that fail: with what code, and what they leave behind.

use std::sync::Mutex;

use rat_engine::{RunObserver, Unobserved};
use rat_types::{LogLevel, RunState};

use crate::support::{Lake, Source};

async fn failure(lake: &Lake, ident: &str, sql: &str) -> (String, String) {
    let outcome = lake
        .run(
            &Source {
                ident,
                sql,
                files: &[],
            },
            &[],
        )
        .await;
    let failure = outcome.failure.expect("the run fails");
    (failure.code, failure.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_tables_are_named_with_a_guess() {
    let lake = Lake::start().await;
    let orders = Source {
        ident: "shop.bronze.orders",
        sql: "SELECT 1 AS id",
        files: &[],
    };
    assert_eq!(lake.run(&orders, &[]).await.failure, None);
    let (code, message) = failure(
        &lake,
        "shop.silver.x",
        "SELECT * FROM {{ ref('bronze.order') }}",
    )
    .await;
    assert_eq!(code, "TABLE_NOT_FOUND");
    assert!(
        message.starts_with("table shop.bronze.order does not exist"),
        "{message}"
    );
    let (code, message) = failure(&lake, "shop.silver.x", "SELECT * FROM {{ this }}").await;
    assert_eq!(code, "TABLE_NOT_FOUND");
    assert!(
        message.contains("no run has been published yet"),
        "{message}"
    );
    assert_eq!(lake.catalog.list_tables(None, None).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_token_does_not_cover_cannot_be_read() {
    let lake = Lake::start().await;
    let orders = Source {
        ident: "shop.bronze.orders",
        sql: "SELECT 1 AS id",
        files: &[],
    };
    assert_eq!(lake.run(&orders, &[]).await.failure, None);
    let sql = "SELECT * FROM {{ ref('bronze.orders') }}";
    let run = lake.prepare(
        &Source {
            ident: "shop.silver.x",
            sql,
            files: &[],
        },
        &[],
    );
    lake.forbid(&run);
    let failure = lake.execute(&run, &Unobserved).await.failure.unwrap();
    assert_eq!(failure.code, "PERMISSION_DENIED", "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_do_not_fit_are_named() {
    let lake = Lake::start().await;
    let append = [("config.yaml", "merge_strategy: append_only")];
    let first = Source {
        ident: "shop.bronze.x",
        sql: "SELECT 1 AS id",
        files: &append,
    };
    assert_eq!(lake.run(&first, &[]).await.failure, None);
    let second = Source {
        ident: "shop.bronze.x",
        sql: "SELECT 'one' AS id",
        files: &append,
    };
    let outcome = lake.run(&second, &[]).await;
    let (code, message) = outcome.failure.map(|f| (f.code, f.message)).unwrap();
    assert_eq!(code, "SCHEMA_INCOMPATIBLE", "{message}");
    assert!(message.contains("\"id\""), "{message}");

    let (code, message) = failure(&lake, "shop.bronze.y", "SELECT INTERVAL '1' DAY AS pause").await;
    assert_eq!(code, "TYPE_UNSUPPORTED", "{message}");
    assert!(message.contains("\"pause\""), "{message}");
    let (code, message) = failure(&lake, "shop.bronze.y", "SELECT 1 AS a, 2 AS \"A\"").await;
    assert_eq!(code, "SQL_INVALID", "{message}");
    let sql = "SELECT CAST(t AS INT) AS n FROM (VALUES ('1'), ('x')) AS v(t)";
    let (code, message) = failure(&lake, "shop.bronze.y", sql).await;
    assert_eq!(code, "EXECUTION_FAILED", "{message}");
    assert!(message.contains("'x'"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_would_be_planned_for_long_or_takes_all_memory_is_refused() {
    let lake = Lake::start().await;
    let tables: Vec<String> = (0..3_000).map(|n| format!("range(1) t{n}")).collect();
    let sql = format!("SELECT 1 AS n FROM {}", tables.join(", "));
    let (code, message) = failure(&lake, "shop.bronze.x", &sql).await;
    assert_eq!(code, "SQL_TOO_COMPLEX", "{message}");
    let sql = "SELECT repeat('x', 1000000) AS x FROM range(1, 3000)";
    let (code, message) = failure(&lake, "shop.bronze.x", sql).await;
    assert_eq!(code, "VALUE_TOO_LARGE", "{message}");
    let start = "the constant xxxxxx";
    assert!(message.starts_with(start), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_late_is_named_and_leaves_no_data_file() {
    let lake = Lake::start().await;
    let mut text = "id,word\n".to_owned();
    for row in 0..300_000 {
        text.push_str(&format!("{row},word number {row}\n"));
    }
    text.push_str("oops,the end\n");
    let files = [lake.land("big.csv", text)];
    let source = Source {
        ident: "shop.bronze.big",
        sql: "SELECT * FROM read_csv('{{ landing_zone('raw') }}')",
        files: &[],
    };
    let run = lake.prepare(&source, &files);
    let outcome = lake.execute(&run, &Unobserved).await;
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.code, "LANDING_FILE_INVALID");
    assert!(
        failure
            .message
            .starts_with("shop.raw/big.csv, line 300002: "),
        "{}",
        failure.message
    );
    assert_eq!(lake.data_files(&run).len(), 0);
    assert_eq!(outcome.phases.last().unwrap().name, "write");
}

/// Remembers which phase a run is in.
#[derive(Default)]
struct Phase(Mutex<&'static str>);

impl RunObserver for Phase {
    fn phase(&self, name: &'static str) {
        *self.0.lock().unwrap() = name;
    }

    fn log(&self, _level: LogLevel, _message: String) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_while_it_writes_leaves_no_file() {
    let lake = Lake::start().await;
    let source = Source {
        ident: "shop.bronze.endless",
        sql: "SELECT value, md5(CAST(value AS VARCHAR)) AS hash FROM range(1000000000000)",
        files: &[],
    };
    let run = lake.prepare(&source, &[]);
    let phase = Phase::default();
    let cancel = async {
        while lake.data_files(&run).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*phase.0.lock().unwrap(), "write");
        run.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(lake.execute(&run, &phase), cancel);
    assert_eq!(outcome.state, RunState::Cancelled);
    assert_eq!(outcome.snapshot_id, None);
    // The tasks that were writing end a moment after the run that dropped them.
    let gone = async {
        while !lake.data_files(&run).is_empty() || !lake.spilled_files().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, gone)
        .await
        .expect("the files are deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_does_not_answer_is_no_fault_of_the_pipeline() {
    let lake = Lake::start().await;
    let mut run = lake.prepare(
        &Source {
            ident: "shop.bronze.x",
            sql: "SELECT 1 AS n",
            files: &[],
        },
        &[],
    );
    run.request.control_plane = "unix:/nowhere/ratd.sock".to_owned();
    let outcome = lake.execute(&run, &Unobserved).await;
    assert_eq!(outcome.failure.unwrap().code, "CATALOG_UNAVAILABLE");
}
