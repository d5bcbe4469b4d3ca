//! Who waits for whom.

use std::time::Duration;

use rat_sql::{DatabaseUrl, Fault, Options, Pool, sql};

use crate::support::things;

#[tokio::test]
async fn reading_does_not_wait_for_a_transaction_that_writes() {
    let folder = tempfile::tempdir().unwrap();
    let pool = things(&DatabaseUrl::sqlite(folder.path().join("rat.db"))).await;
    let mut tx = pool.begin().await.unwrap();
    tx.execute(sql!("INSERT INTO things (id) VALUES (1)"))
        .await
        .unwrap();
    let count = || sql!("SELECT COUNT(*) FROM things");
    assert_eq!(pool.fetch_one::<i64>(count()).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(pool.fetch_one::<i64>(count()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_statement_that_pretends_to_read_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let pool = things(&DatabaseUrl::sqlite(folder.path().join("rat.db"))).await;
    let sly = sql!("WITH one AS (SELECT 1 AS id) INSERT INTO things (id) SELECT id FROM one");
    assert!(pool.fetch_rows(sly).await.is_err());
    assert_eq!(
        pool.fetch_one::<i64>(sql!("SELECT COUNT(*) FROM things"))
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_writer_of_another_process_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path().join("rat.db"));
    let (one, other) = (things(&url).await, Pool::open(&url).await.unwrap());
    let mut tx = one.begin().await.unwrap();
    tx.execute(sql!("INSERT INTO things (id) VALUES (1)"))
        .await
        .unwrap();
    let insert = sql!("INSERT INTO things (id) VALUES (2)");
    let (inserted, committed) = tokio::join!(other.execute(insert), async {
        // Two round trips to the database: by now the other one has begun to wait.
        tx.fetch_rows(sql!("SELECT * FROM things")).await.unwrap();
        tx.fetch_rows(sql!("SELECT * FROM things")).await.unwrap();
        tx.commit().await
    });
    committed.unwrap();
    assert_eq!(inserted.unwrap(), 1);
}

#[tokio::test]
async fn waiting_for_a_connection_has_an_end() {
    let options = Options {
        acquire_timeout: Duration::from_millis(50),
        ..Options::default()
    };
    let pool = Pool::open_with(&"sqlite::memory:".parse().unwrap(), options)
        .await
        .unwrap();
    let _held = pool.begin().await.unwrap();
    let error = pool.ping().await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::Unavailable));
}

#[tokio::test]
async fn a_closed_pool_is_unavailable() {
    let pool = Pool::open(&"sqlite::memory:".parse().unwrap())
        .await
        .unwrap();
    pool.ping().await.unwrap();
    pool.close().await;
    assert_eq!(
        pool.ping().await.unwrap_err().fault(),
        Some(Fault::Unavailable)
    );
}
