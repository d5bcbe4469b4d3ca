//! What an SQLite database leaves on disk.

use std::os::unix::fs::PermissionsExt as _;

use rat_sql::{DatabaseUrl, sql};

use crate::support::things;

#[tokio::test]
async fn every_file_can_be_read_by_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let pool = things(&DatabaseUrl::sqlite(folder.path().join("rat.db"))).await;
    pool.execute(sql!("INSERT INTO things (id) VALUES (1)"))
        .await
        .unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["rat.db", "rat.db-shm", "rat.db-wal", "rat.db.lock"]);
}

#[tokio::test]
async fn the_database_is_in_wal_mode_and_keeps_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path().join("rat.db"));
    let pool = things(&url).await;
    let pragma = async |text: &'static str| {
        pool.fetch_one::<String>(rat_sql::Query::new(text, Vec::new()))
            .await
            .unwrap()
    };
    assert_eq!(
        pragma("SELECT journal_mode FROM pragma_journal_mode").await,
        "wal"
    );
    let full = sql!("SELECT synchronous FROM pragma_synchronous");
    assert_eq!(
        pool.begin()
            .await
            .unwrap()
            .fetch_one::<i64>(full)
            .await
            .unwrap(),
        2
    );
    pool.execute(sql!("INSERT INTO things (id) VALUES (1)"))
        .await
        .unwrap();
    pool.close().await;
    let again = rat_sql::Pool::open(&url).await.unwrap();
    assert_eq!(
        again
            .fetch_one::<i64>(sql!("SELECT COUNT(*) FROM things"))
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_itself_does_not_stop_those_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let pool = things(&DatabaseUrl::sqlite(folder.path().join("rat.db"))).await;
    let mut tx = pool.begin().await.unwrap();
    let insert = || sql!("INSERT OR ROLLBACK INTO things (id) VALUES (1)");
    tx.execute(insert()).await.unwrap();
    // As a full disk at the commit does.
    tx.execute(insert()).await.unwrap_err();
    drop(tx);
    pool.ping().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    tx.execute(insert()).await.unwrap();
    tx.commit().await.unwrap();
    let count = pool.fetch_one::<i64>(sql!("SELECT COUNT(*) FROM things"));
    assert_eq!(count.await.unwrap(), 1);
}
