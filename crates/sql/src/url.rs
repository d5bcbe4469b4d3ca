//! Which database, as it is written in a configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::Error;

mod postgres;

pub(crate) use postgres::check_files;

/// A sort of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Backend {
    /// `sqlite` or `postgres`, as in a URL.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A database:
/// - `sqlite:PATH` (also `sqlite://PATH`): a file, created when missing. Its folder must exist.
/// - `sqlite::memory:`: nothing on disk, one connection; for tests.
/// - `postgres://USER:PASSWORD@HOST:PORT/NAME?…` (also `postgresql://`), and over a Unix socket
///   `postgres://USER@%2Frun%2Fpostgresql/NAME` or `postgres:///NAME?host=/run/postgresql`.
///   Without user it is the one of the process, as libpq does it.
///
/// Parameters of a PostgreSQL URL: `host`, `port`, `dbname`, `user`, `password`,
/// `application_name`, `options` and, for TLS, `sslmode`, `sslrootcert`, `sslcert` and `sslkey`.
/// Any other one is refused, so that no slip turns TLS off. `sslmode` is
/// - `disable`: never TLS;
/// - `prefer` (the default): TLS if the server offers it, with whatever certificate;
/// - `require`: TLS or nothing, with whatever certificate;
/// - `verify-full`: TLS or nothing, with a certificate for `host` that the system's authorities or
///   those in the file `sslrootcert` have signed.
///
/// libpq's `allow` and `verify-ca` are refused: the driver takes the first for `disable`, and
/// trusts the system's authorities beside those of `sslrootcert`, which makes the second accept
/// any host that has any certificate.
///
/// `Debug` and `Display` never show a password.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Target);

#[derive(Clone)]
pub(crate) enum Target {
    SqliteFile(PathBuf),
    SqliteMemory,
    Postgres {
        options: Box<PgConnectOptions>,
        shown: String,
        /// Those that TLS needs.
        files: Vec<PathBuf>,
    },
}

impl DatabaseUrl {
    /// The SQLite database in the file `path`.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Target::SqliteFile(path.into()))
    }

    /// Which sort of database this is.
    pub fn backend(&self) -> Backend {
        match &self.0 {
            Target::SqliteFile(_) | Target::SqliteMemory => Backend::Sqlite,
            Target::Postgres { .. } => Backend::Postgres,
        }
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Target::SqliteFile(path) => Some(path),
            Target::SqliteMemory | Target::Postgres { .. } => None,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            return sqlite(rest);
        }
        if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            return postgres::parse(text);
        }
        Err(invalid("it must begin with sqlite: or postgres:"))
    }
}

fn sqlite(rest: &str) -> Result<DatabaseUrl, Error> {
    if rest == ":memory:" {
        return Ok(DatabaseUrl(Target::SqliteMemory));
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(invalid("a path must follow sqlite:"));
    }
    if path.contains(['?', '\0']) {
        return Err(invalid(
            "the path must not contain '?': there are no parameters for SQLite",
        ));
    }
    Ok(DatabaseUrl::sqlite(path))
}

fn invalid(rule: impl Into<String>) -> Error {
    Error::Url { rule: rule.into() }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::SqliteFile(path) => write!(f, "sqlite database {}", path.display()),
            Target::SqliteMemory => f.write_str("sqlite database in memory"),
            Target::Postgres { shown, .. } => f.write_str(shown),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<DatabaseUrl>()
            .map_or_else(|error| error.to_string(), |url| url.to_string())
    }

    #[test]
    fn every_documented_form_is_read() {
        assert_eq!(shown("sqlite:/a/b.db"), "sqlite database /a/b.db");
        assert_eq!(shown("sqlite:///a/b.db"), "sqlite database /a/b.db");
        assert_eq!(shown("sqlite:b.db"), "sqlite database b.db");
        assert_eq!(shown("sqlite::memory:"), "sqlite database in memory");
        assert_eq!(shown("postgres://u:p@h:1/n"), "postgres database n at h:1");
        let socket = "postgres database n at /run/postgresql";
        assert_eq!(shown("postgres://u@%2Frun%2Fpostgresql/n"), socket);
        assert_eq!(shown("postgresql:///n?host=/run/postgresql"), socket);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "sqlite:",
            "sqlite:a?mode=ro",
            "mysql://x",
            "postgres://h:port/n",
            "/a.db",
        ] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(error.reason(), "DATABASE_URL_INVALID", "{bad}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let good: DatabaseUrl = "postgres://u:hunter2@h/n?application_name=x"
            .parse()
            .unwrap();
        let bad = "postgres://u:hunter2@h:x/n"
            .parse::<DatabaseUrl>()
            .unwrap_err();
        assert!(!format!("{good} {good:?} {bad} {bad:?}").contains("hunter2"));
    }
}
