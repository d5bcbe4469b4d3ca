//! A throw-away PostgreSQL for tests (feature `test-util`).
//!
//! With `RAT_TEST_POSTGRES_URL` the server it names is used. Otherwise, if `initdb` and `postgres`
//! are found, every test process starts a private server in a temporary folder, reachable over a
//! Unix socket only. That server ends with the process, however the process ends: its parent is a
//! shell which waits for the end of a pipe that only the process holds open.

mod cluster;

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _,
    Statement as _,
};
use tokio::time::Instant;

use crate::pool::Inner;
use crate::url::Target;
use crate::{DatabaseUrl, Error, Pool};

use cluster::Cluster;

const START: Duration = Duration::from_secs(60);
const PREFIX: &str = "rat_test_";

/// A new and empty PostgreSQL database, or `None` where there is no PostgreSQL: then this has said
/// so on stderr, and the test returns.
///
/// # Panics
/// With `RAT_REQUIRE_ALL=1` where there is no PostgreSQL, and when there is one that fails.
pub async fn postgres() -> Option<DatabaseUrl> {
    let url = postgres_url().await?;
    Some(
        url.parse()
            .expect("the URL of a test database is well-formed"),
    )
}

/// [`postgres`] as text, for the configuration of another process.
///
/// # Panics
/// As [`postgres`].
pub async fn postgres_url() -> Option<String> {
    match server() {
        Ok(server) => Some(create_database(server).await),
        Err(reason) => {
            skipped("PostgreSQL", reason);
            None
        }
    }
}

/// A PostgreSQL server for one sort of test, with a database and role `rat`; it ends when this is
/// dropped, or with the process.
pub struct Server {
    _cluster: Cluster,
}

impl Server {
    /// Starts a server with additional `settings`, and with `files` in its data folder, such as
    /// `pg_hba.conf` or the key of its certificate. `None` where there is no PostgreSQL on this
    /// machine: then this has said so on stderr, and the test returns.
    ///
    /// # Panics
    /// With `RAT_REQUIRE_ALL=1` where there is no PostgreSQL, and when it fails.
    pub async fn start(settings: &[(&str, &str)], files: &[(&str, &str)]) -> Option<Self> {
        let cluster = match Cluster::start(settings, files) {
            Ok(cluster) => cluster,
            Err(reason) => {
                skipped("a PostgreSQL server of its own", &reason);
                return None;
            }
        };
        let mut connection = connect(&cluster.connect()).await;
        sqlx::raw_sql("CREATE DATABASE rat")
            .execute(&mut connection)
            .await
            .expect("a test database can be created");
        // A failure to say goodbye harms nobody.
        let _ = connection.close().await;
        Some(Self { _cluster: cluster })
    }
}

/// Says on stderr, past the test harness, that something was not tested and why.
///
/// # Panics
/// With `RAT_REQUIRE_ALL=1`.
pub fn skipped(what: &str, reason: &str) {
    assert!(
        std::env::var_os("RAT_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "{what} is required by RAT_REQUIRE_ALL: {reason}",
    );
    // Nothing else can be done when stderr is closed.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {reason}");
}

/// Has the database parse a statement, and answers how many parameters it sees.
///
/// # Errors
/// It does not understand the statement.
pub async fn prepare(pool: &Pool, text: &str) -> Result<usize, Error> {
    let statement = AssertSqlSafe(text).into_sql_str();
    let refused = |source| Error::statement(text, source);
    let parameters = match &pool.inner {
        Inner::Sqlite(pools) => {
            let statement = (&pools.writer).prepare(statement).await.map_err(refused)?;
            statement
                .parameters()
                .map(|types| types.map_left(<[_]>::len).into_inner())
        }
        Inner::Postgres { pool, .. } => {
            let statement = pool.prepare(statement).await.map_err(refused)?;
            statement
                .parameters()
                .map(|types| types.map_left(<[_]>::len).into_inner())
        }
    };
    Ok(parameters.unwrap_or_default())
}

/// The server's administrative database.
fn server() -> Result<&'static PgConnectOptions, &'static str> {
    static SERVER: OnceLock<Result<(PgConnectOptions, Option<Cluster>), String>> = OnceLock::new();
    let server = SERVER.get_or_init(|| match std::env::var("RAT_TEST_POSTGRES_URL") {
        Ok(url) => match url.parse::<DatabaseUrl>().map(|url| url.0) {
            Ok(Target::Postgres { options, .. }) => Ok((*options, None)),
            _ => panic!("RAT_TEST_POSTGRES_URL is no postgres URL"),
        },
        Err(_) => Cluster::start(&[], &[]).map(|cluster| (cluster.connect(), Some(cluster))),
    });
    server
        .as_ref()
        .map(|(options, _)| options)
        .map_err(String::as_str)
}

async fn create_database(server: &PgConnectOptions) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut connection = connect(server).await;
    if NUMBER.load(Ordering::Relaxed) == 0 {
        drop_leftovers(&mut connection).await;
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let seconds = chrono::Utc::now().timestamp();
    let unique = uuid::Uuid::new_v4().simple();
    let name = format!("{PREFIX}{seconds}_{number}_{unique}");
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .expect("a test database can be created");
    // A failure to say goodbye harms nobody.
    let _ = connection.close().await;
    server.clone().database(&name).to_url_lossy().to_string()
}

/// Waits until a server that was just started accepts connections.
async fn connect(server: &PgConnectOptions) -> PgConnection {
    let deadline = Instant::now() + START;
    loop {
        match server.connect().await {
            Ok(connection) => return connection,
            Err(error) if Instant::now() >= deadline => {
                panic!("PostgreSQL did not accept connections within {START:?}: {error}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Removes databases of test processes that ended more than an hour ago, from a server that lives
/// longer than they.
async fn drop_leftovers(connection: &mut PgConnection) {
    let rows = sqlx::query("SELECT datname FROM pg_database WHERE starts_with(datname, $1)")
        .bind(PREFIX)
        .fetch_all(&mut *connection)
        .await
        .unwrap_or_default();
    let hour_ago = chrono::Utc::now().timestamp() - 3600;
    for row in rows {
        let name: String = row.get(0);
        let created = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('_').next());
        let created = created.and_then(|seconds| seconds.parse::<i64>().ok());
        if created.is_some_and(|created| created < hour_ago) {
            // Another process may be doing the same.
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let _ = sqlx::raw_sql(AssertSqlSafe(drop))
                .execute(&mut *connection)
                .await;
        }
    }
}
