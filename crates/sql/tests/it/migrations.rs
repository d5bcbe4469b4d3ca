//! The schema's history.

use rat_sql::{DatabaseUrl, Migration, Pool, sql};

use crate::support::{THINGS, migration};

const SECOND: Migration = migration("0002_more", "CREATE TABLE more (id BIGINT)");
const THIRD: Migration = migration("0003_even_more", "CREATE TABLE even_more (id BIGINT)");

pub(crate) async fn a_second_run_changes_nothing(pool: Pool) {
    assert_eq!(pool.migrate(&[THINGS]).await.unwrap(), 0);
    assert_eq!(pool.migrate(&[THINGS, SECOND, THIRD]).await.unwrap(), 2);
    assert_eq!(pool.migrate(&[THINGS, SECOND, THIRD]).await.unwrap(), 0);
    let versions: Vec<i64> = pool
        .fetch_all(sql!("SELECT version FROM rat_migrations ORDER BY version"))
        .await
        .unwrap();
    assert_eq!(versions, [1, 2, 3]);
}

pub(crate) async fn numbers_must_be_contiguous(pool: Pool) {
    let wrong: [&[Migration]; 5] = [
        &[THINGS, THIRD],
        &[SECOND],
        &[SECOND, THINGS],
        &[THINGS, migration("more", "")],
        &[THINGS, migration("0001_again", "")],
    ];
    for migrations in wrong {
        let error = pool.migrate(migrations).await.unwrap_err();
        assert_eq!(error.reason(), "MIGRATION_NUMBER_INVALID", "{migrations:?}");
    }
}

pub(crate) async fn an_edited_migration_is_found_out(pool: Pool) {
    let edited = Migration {
        sqlite: "SELECT 1",
        postgres: "SELECT 1",
        ..THINGS
    };
    let renamed = Migration {
        name: "0001_thingies",
        ..THINGS
    };
    for changed in [edited, renamed] {
        let error = pool.migrate(&[changed]).await.unwrap_err();
        assert_eq!(error.reason(), "MIGRATION_CHANGED", "{changed:?}");
    }
}

pub(crate) async fn a_newer_schema_is_refused(pool: Pool) {
    pool.migrate(&[THINGS, SECOND]).await.unwrap();
    let error = pool.migrate(&[THINGS]).await.unwrap_err();
    assert_eq!(error.reason(), "SCHEMA_TOO_NEW");
    assert_eq!(
        error.to_string(),
        "the database has schema 0002, this program knows up to 0001"
    );
}

pub(crate) async fn a_newer_schema_that_says_so_can_be_read(pool: Pool) {
    let harmless = Migration {
        oldest_reader: Some(1),
        ..SECOND
    };
    pool.migrate(&[THINGS, harmless]).await.unwrap();
    assert_eq!(pool.migrate(&[THINGS]).await.unwrap(), 0);
    pool.migrate(&[THINGS, harmless, THIRD]).await.unwrap();
    assert_eq!(
        pool.migrate(&[THINGS]).await.unwrap_err().reason(),
        "SCHEMA_TOO_NEW"
    );
    assert_eq!(
        pool.migrate(&[THINGS, harmless])
            .await
            .unwrap_err()
            .reason(),
        "SCHEMA_TOO_NEW"
    );
}

pub(crate) async fn a_failing_migration_leaves_those_before_it(pool: Pool) {
    let broken = migration(
        "0003_broken",
        "CREATE TABLE half (id BIGINT); CREATE TABLE half (id BIGINT)",
    );
    let error = pool.migrate(&[THINGS, SECOND, broken]).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to apply migration 0003_broken");
    assert!(pool.fetch_rows(sql!("SELECT * FROM half")).await.is_err());
    assert!(pool.fetch_rows(sql!("SELECT * FROM more")).await.is_ok());
    assert_eq!(pool.migrate(&[THINGS, SECOND, THIRD]).await.unwrap(), 1);
}

pub(crate) async fn a_missing_number_in_the_database_is_found_out(pool: Pool) {
    pool.migrate(&[THINGS, SECOND, THIRD]).await.unwrap();
    pool.execute(sql!("DELETE FROM rat_migrations WHERE version = 2"))
        .await
        .unwrap();
    let error = pool.migrate(&[THINGS, SECOND, THIRD]).await.unwrap_err();
    assert_eq!(error.reason(), "MIGRATION_CHANGED");
}

/// Four pools behave like four processes: each asks for the lock on a descriptor or connection of
/// its own.
async fn migrate_from_four_sides(url: &DatabaseUrl) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = url.clone();
        tasks.spawn(async move {
            let pool = Pool::open(&url).await.unwrap();
            pool.migrate(&[THINGS, SECOND, THIRD]).await.unwrap()
        });
    }
    let mut applied = 0;
    while let Some(task) = tasks.join_next().await {
        applied += task.unwrap();
    }
    assert_eq!(applied, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_at_once_apply_each_migration_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    migrate_from_four_sides(&DatabaseUrl::sqlite(folder.path().join("rat.db"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_at_once_apply_each_migration_once_on_postgres() {
    if let Some(url) = rat_sql::test_util::postgres().await {
        migrate_from_four_sides(&url).await;
    }
}

#[tokio::test]
async fn waiting_for_the_lock_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rat.db");
    let holder = std::fs::File::create(folder.path().join("rat.db.lock")).unwrap();
    holder.lock().unwrap();
    let options = rat_sql::Options {
        migration_lock_timeout: std::time::Duration::from_millis(30),
        ..rat_sql::Options::default()
    };
    let error = Pool::open_with(&DatabaseUrl::sqlite(path), options)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "MIGRATION_LOCKED");
}
