//! The schema's history.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use rat_sql::{Backend, DatabaseUrl, Pool, sql};
use rat_store::{Store, migrations};

const URL: &str = "RAT_STORE_TEST_OPEN";

#[test]
fn both_databases_have_the_same_migrations_without_gap() {
    let folder = |name: &str| -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("migrations")
            .join(name);
        std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let known: BTreeSet<String> = migrations()
        .iter()
        .map(|migration| format!("{}.sql", migration.name))
        .collect();
    assert_eq!(folder("sqlite"), known);
    assert_eq!(folder("postgres"), known);
    for (number, name) in (1..).zip(&known) {
        assert!(name.starts_with(&format!("{number:04}_")), "{name}");
    }
}

/// Tables, columns and indexes as text.
async fn schema(pool: &Pool) -> String {
    let lines: Vec<String> = match pool.backend() {
        Backend::Sqlite => pool
            .fetch_all(sql!(
                "SELECT name || ' ' || COALESCE(sql, '') FROM sqlite_schema ORDER BY name"
            ))
            .await
            .unwrap(),
        Backend::Postgres => pool
            .fetch_all(sql!(
                "SELECT concat_ws(' ', table_name, column_name, data_type, collation_name,
                                  character_maximum_length, is_nullable, column_default) AS line
                 FROM information_schema.columns WHERE table_schema = 'public'
                 UNION ALL
                 SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
                 UNION ALL
                 SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
                 WHERE connamespace = 'public'::regnamespace
                 ORDER BY line"
            ))
            .await
            .unwrap(),
    };
    lines.join("\n")
}

/// A database that lived through every release has the schema of a new one.
async fn step_by_step_equals_at_once(old: &Pool, new: &Pool) {
    for known in 1..=migrations().len() {
        assert_eq!(old.migrate(&migrations()[..known]).await.unwrap(), 1);
    }
    assert_eq!(new.migrate(migrations()).await.unwrap(), migrations().len());
    assert_eq!(new.migrate(migrations()).await.unwrap(), 0);
    let schema = schema(new).await;
    assert!(schema.contains("runs_one_running_per_pipeline"), "{schema}");
    assert_eq!(self::schema(old).await, schema);
}

async fn open(url: &str) -> Pool {
    Pool::open(&url.parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn an_old_database_gets_the_schema_of_a_new_one_on_sqlite() {
    step_by_step_equals_at_once(
        &open("sqlite::memory:").await,
        &open("sqlite::memory:").await,
    )
    .await;
}

#[tokio::test]
async fn an_old_database_gets_the_schema_of_a_new_one_on_postgres() {
    let Some(old) = rat_sql::test_util::postgres_url().await else {
        return;
    };
    let Some(new) = rat_sql::test_util::postgres_url().await else {
        return;
    };
    step_by_step_equals_at_once(&open(&old).await, &open(&new).await).await;
}

async fn a_newer_schema_is_refused(url: &DatabaseUrl) {
    let store = Store::open(url).await.unwrap();
    store.close().await;
    let pool = Pool::open(url).await.unwrap();
    let insert = sql!(
        "INSERT INTO rat_migrations (version, name, checksum, oldest_reader, applied_at)
         SELECT MAX(version) + 1, 'from the future', '', MAX(version) + 1, MAX(applied_at)
         FROM rat_migrations"
    );
    pool.execute(insert).await.unwrap();
    pool.close().await;
    let error = Store::open(url).await.unwrap_err();
    assert!(error.is_schema_too_new(), "{error}");
    assert_eq!(error.reason(), "SCHEMA_TOO_NEW");
}

#[tokio::test]
async fn a_newer_schema_is_refused_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    a_newer_schema_is_refused(&DatabaseUrl::sqlite(folder.path().join("rat.db"))).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_on_postgres() {
    if let Some(url) = rat_sql::test_util::postgres().await {
        a_newer_schema_is_refused(&url).await;
    }
}

/// What a child process of the tests below does; in the test process itself it does nothing.
#[tokio::test]
async fn a_child_process_opens_the_store() {
    if let Ok(url) = std::env::var(URL) {
        let store = Store::open(&url.parse().unwrap()).await.unwrap();
        assert_eq!(store.namespaces().list().await.unwrap().len(), 1);
        store.close().await;
    }
}

fn four_processes_open(url: &str) {
    let children: Vec<_> = (0..4)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "migrations::a_child_process_opens_the_store"])
                .env(URL, url)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
    }
}

#[tokio::test]
async fn four_processes_open_a_new_sqlite_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("rat.db").display());
    four_processes_open(&url);
    let pool = open(&url).await;
    assert_eq!(pool.migrate(migrations()).await.unwrap(), 0);
}

#[tokio::test]
async fn four_processes_open_a_new_postgres_database_at_once() {
    let Some(url) = rat_sql::test_util::postgres_url().await else {
        return;
    };
    four_processes_open(&url);
    assert_eq!(open(&url).await.migrate(migrations()).await.unwrap(), 0);
}
