//! Refusals are told apart, and messages give no value away.

use std::time::Duration;

use rat_sql::{DatabaseUrl, Fault, Options, Pool, retry, sql};
use rat_types::Kind;

pub(crate) async fn violated_constraints_are_told_apart(pool: Pool) {
    let insert = || {
        sql!(
            "INSERT INTO things (id, amount) VALUES ($1, $2)",
            1_i64,
            0_i64
        )
    };
    pool.execute(insert()).await.unwrap();
    let unique = pool.execute(insert()).await.unwrap_err();
    assert_eq!(unique.fault(), Some(Fault::UniqueViolation));
    assert_eq!(unique.kind(), Kind::AlreadyExists);
    let foreign = sql!(
        "INSERT INTO things (id, owner) VALUES ($1, $2)",
        2_i64,
        "nobody"
    );
    let foreign = pool.execute(foreign).await.unwrap_err();
    assert_eq!(foreign.fault(), Some(Fault::ForeignKeyViolation));
    let check = sql!(
        "INSERT INTO things (id, amount) VALUES ($1, $2)",
        3_i64,
        -1_i64
    );
    let check = pool.execute(check).await.unwrap_err();
    assert_eq!(check.fault(), Some(Fault::CheckViolation));
    let null = sql!("INSERT INTO things (id) VALUES ($1)", None::<i64>);
    assert_eq!(
        pool.execute(null).await.unwrap_err().fault(),
        Some(Fault::CheckViolation)
    );
    let other = pool
        .fetch_rows(sql!("SELECT * FROM no_such_table"))
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(
        (other.fault(), other.kind()),
        (Some(Fault::Other), Kind::Internal)
    );
}

pub(crate) async fn an_error_names_the_statement_and_no_value(pool: Pool) {
    let query = sql!(
        "INSERT INTO things (id, owner) VALUES ($1, $2)",
        1_i64,
        "hunter2"
    );
    let error = pool.execute(query).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to execute \"INSERT INTO things (id, owner) VALUES ($1, $2)\""
    );
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path().join("missing").join("rat.db"));
    let error = Pool::open(&url).await.unwrap_err();
    assert_eq!(error.reason(), "DATABASE_CREATE_FAILED");
    assert!(error.to_string().ends_with("missing/rat.db"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rat.db");
    std::fs::write(
        &path,
        "this is a text and not a database, and long enough to be sure of it",
    )
    .unwrap();
    let error = Pool::open(&DatabaseUrl::sqlite(path)).await.unwrap_err();
    assert_eq!(error.reason(), "DATABASE_OPEN_FAILED");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres:///rat?user=rat&host={}", folder.path().display());
    let options = Options {
        acquire_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let error = Pool::open_with(&url.parse().unwrap(), options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
}

#[tokio::test]
async fn postgres_stops_a_statement_at_its_time_limit() {
    let Some(url) = rat_sql::test_util::postgres().await else {
        return;
    };
    let options = Options {
        statement_timeout: Duration::from_millis(50),
        ..Options::default()
    };
    let pool = Pool::open_with(&url, options).await.unwrap();
    let error = pool
        .fetch_rows(sql!("SELECT pg_sleep(30)"))
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(
        (error.fault(), error.kind()),
        (Some(Fault::Deadline), Kind::DeadlineExceeded)
    );
}

#[tokio::test]
async fn of_two_deadlocked_transactions_one_is_worth_another_try() {
    let Some(url) = rat_sql::test_util::postgres().await else {
        return;
    };
    let pool = crate::support::things(&url).await;
    for id in [1_i64, 2] {
        pool.execute(sql!("INSERT INTO things (id, amount) VALUES ($1, 0)", id))
            .await
            .unwrap();
    }
    let barrier = tokio::sync::Barrier::new(2);
    let failures = std::sync::atomic::AtomicU32::new(0);
    let add = async |first: i64, second: i64| {
        let mut attempts = 0_u32;
        retry(|| {
            attempts += 1;
            let (attempt, pool, barrier, failures) = (attempts, &pool, &barrier, &failures);
            async move {
                let mut tx = pool.begin().await?;
                let add = |id| sql!("UPDATE things SET amount = amount + 1 WHERE id = $1", id);
                tx.execute(add(first)).await?;
                if attempt == 1 {
                    barrier.wait().await;
                }
                tx.execute(add(second)).await.inspect_err(|error| {
                    assert_eq!(error.fault(), Some(Fault::Transient));
                    failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                })?;
                tx.commit().await
            }
        })
        .await
    };
    let (one, two) = tokio::join!(add(1, 2), add(2, 1));
    one.unwrap();
    two.unwrap();
    // The second try may meet the other one again.
    assert!(failures.into_inner() >= 1);
    let sum = sql!("SELECT CAST(SUM(amount) AS BIGINT) FROM things");
    assert_eq!(pool.fetch_one::<i64>(sum).await.unwrap(), 4);
}
