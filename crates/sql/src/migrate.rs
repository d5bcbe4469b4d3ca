//! The schema's history, applied in order, once, by one process at a time.
//!
//! Own code and not sqlx's migrator, for three reasons: that one takes no lock on SQLite; it
//! refuses every database that knows a migration more than the program, where we want to let the
//! previous program run on a schema that was only expanded (`nixos-rebuild --rollback`); and it
//! keeps one set of files, where we have one per database.
//!
//! Applied migrations stand in `rat_migrations` with the SHA-256 of their text. Each is one
//! transaction together with its row. There is no way back down: a mistake is mended by the next
//! migration.

mod lock;

use std::fmt::Write as _;
use std::time::Duration;

use chrono::Utc;
use sha2::{Digest, Sha256};

use crate::{Backend, Error, FromRow, Pool, Row, Transaction, sql};

use lock::Lock;

/// After how long a single migration is given up.
const DEADLINE: Duration = Duration::from_secs(600);

/// One change of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Number and slug, `0001_namespaces`; numbers start at 1 and have no gaps.
    pub name: &'static str,
    /// Number of the newest migration that the oldest program knows which can still run on the
    /// schema after this change. `None` stands for this migration itself: older programs are
    /// refused ([`Error::SchemaTooNew`]). Set it where the change only adds what older programs
    /// do not look at, so that going back one release needs no other database.
    pub oldest_reader: Option<i64>,
    /// Script for SQLite.
    pub sqlite: &'static str,
    /// Script for PostgreSQL.
    pub postgres: &'static str,
}

struct Applied {
    version: i64,
    name: String,
    checksum: String,
    oldest_reader: i64,
}

impl FromRow for Applied {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            version: row.get("version")?,
            name: row.get("name")?,
            checksum: row.get("checksum")?,
            oldest_reader: row.get("oldest_reader")?,
        })
    }
}

impl Migration {
    fn script(&self, backend: Backend) -> &'static str {
        match backend {
            Backend::Sqlite => self.sqlite,
            Backend::Postgres => self.postgres,
        }
    }
}

impl Pool {
    /// Brings the schema up to date and answers how many migrations that took. Other processes
    /// that do the same wait.
    ///
    /// # Errors
    /// [`Error::SchemaTooNew`], [`Error::MigrationChanged`], [`Error::MigrationLock`], a wrong
    /// number, or a migration fails; then those before it stay applied and it is rolled back.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<usize, Error> {
        let numbered = numbered(migrations)?;
        let lock = Lock::acquire(&self.inner, self.options.migration_lock_timeout).await?;
        let outcome = self.migrate_locked(&numbered).await;
        lock.release().await;
        outcome
    }

    async fn migrate_locked(&self, migrations: &[(i64, &Migration)]) -> Result<usize, Error> {
        self.execute(sql!(
            "CREATE TABLE IF NOT EXISTS rat_migrations (
                 version       BIGINT NOT NULL PRIMARY KEY,
                 name          TEXT NOT NULL,
                 checksum      TEXT NOT NULL,
                 oldest_reader BIGINT NOT NULL,
                 applied_at    TIMESTAMPTZ NOT NULL
             )"
        ))
        .await?;
        let applied: Vec<Applied> = self
            .fetch_all(sql!(
                "SELECT version, name, checksum, oldest_reader FROM rat_migrations ORDER BY version"
            ))
            .await?;
        verify(&applied, migrations, self.backend())?;
        let missing = migrations.get(applied.len()..).unwrap_or_default();
        for (version, migration) in missing {
            self.apply(*version, migration)
                .await
                .map_err(|source| Error::Migration {
                    name: migration.name,
                    source: Box::new(source),
                })?;
            tracing::info!(migration = migration.name, "applied a migration");
        }
        Ok(missing.len())
    }

    async fn apply(&self, version: i64, migration: &Migration) -> Result<(), Error> {
        let script = migration.script(self.backend());
        let mut tx = self
            .begin()
            .await?
            .with_deadline(DEADLINE + self.options.statement_timeout);
        allow_long_statements(&mut tx, self.backend()).await?;
        tx.script(script).await?;
        let query = sql!(
            "INSERT INTO rat_migrations (version, name, checksum, oldest_reader, applied_at)
             VALUES ($1, $2, $3, $4, $5)",
            version,
            migration.name,
            checksum(script),
            migration.oldest_reader.unwrap_or(version),
            Utc::now(),
        );
        tx.execute(query).await?;
        tx.commit().await
    }
}

async fn allow_long_statements(tx: &mut Transaction, backend: Backend) -> Result<(), Error> {
    match backend {
        Backend::Postgres => tx.script("SET LOCAL statement_timeout = '600s'").await,
        Backend::Sqlite => Ok(()),
    }
}

/// The migrations with their numbers, which must be 1, 2, 3, …
fn numbered(migrations: &[Migration]) -> Result<Vec<(i64, &Migration)>, Error> {
    let number = |name: &str| {
        name.split_once('_')
            .and_then(|(n, _)| n.parse::<i64>().ok())
    };
    (1..)
        .zip(migrations)
        .map(|(expected, migration)| match number(migration.name) {
            Some(found) if found == expected => Ok((expected, migration)),
            _ => Err(Error::MigrationNumber {
                name: migration.name,
                expected,
            }),
        })
        .collect()
}

/// Compares what the database went through with what the program knows.
fn verify(applied: &[Applied], known: &[(i64, &Migration)], backend: Backend) -> Result<(), Error> {
    let program = i64::try_from(known.len()).unwrap_or(i64::MAX);
    let oldest_reader = applied
        .iter()
        .map(|row| row.oldest_reader)
        .max()
        .unwrap_or(0);
    if oldest_reader > program {
        let database = applied.last().map_or(0, |row| row.version);
        return Err(Error::SchemaTooNew { database, program });
    }
    for (expected, row) in (1..).zip(applied) {
        let same = match known.get(usize::try_from(expected - 1).unwrap_or(usize::MAX)) {
            Some((_, migration)) => {
                row.name == migration.name && row.checksum == checksum(migration.script(backend))
            }
            // Newer than this program, which may nevertheless read it.
            None => true,
        };
        if row.version != expected || !same {
            return Err(Error::MigrationChanged {
                name: row.name.clone(),
            });
        }
    }
    if applied.len() > known.len() {
        tracing::warn!(
            program,
            "the database was migrated by a newer program and can be read"
        );
    }
    Ok(())
}

fn checksum(script: &str) -> String {
    Sha256::digest(script)
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
