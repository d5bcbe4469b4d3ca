//! The `database` and `storage` sections.
//!
//! No message repeats a URL: it may hold the very password that is refused.

use url::Url;

use super::Checker;
use crate::problem::Path;
use crate::settings::{Database, DatabaseSource, Storage};
use crate::{FileReference, wire};

/// rat-sql has the meaning of each, and the other parameters.
const SSL_MODES: [&str; 4] = ["disable", "prefer", "require", "verify-full"];

pub(super) fn database(wire: &wire::Database, check: &mut Checker) -> Option<Database> {
    let at = |key| Path::dotted("database").key(key);
    let max_connections = check.count(&at("max_connections"), wire.max_connections);
    let source = match (&wire.url, &wire.url_file) {
        (Some(_), Some(_)) => {
            check.problem(&at("url_file"), "must not be given together with url");
            None
        }
        (None, Some(file)) => check
            .parse::<FileReference>(&at("url_file"), file)
            .map(DatabaseSource::File),
        (url, None) => {
            let text = url.as_ref().map_or(wire::DATABASE_URL, |url| &url.0);
            check
                .take(&at("url"), database_url(text))
                .map(DatabaseSource::Url)
        }
    };
    Some(Database {
        source: source?,
        max_connections: max_connections?,
    })
}

pub(super) fn storage(wire: &wire::Storage, check: &mut Checker) -> Option<Storage> {
    let url = check.take(&Path::dotted("storage.url"), storage_url(&wire.url.0))?;
    Some(Storage { url })
}

fn database_url(text: &str) -> Result<String, &'static str> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        return sqlite_url(path);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return postgres_url(text);
    }
    Err("must be sqlite:/path or postgres://user@host:port/name")
}

fn sqlite_url(path: &str) -> Result<String, &'static str> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') {
        return Err("must name a file, as in sqlite:/var/lib/rat/rat.db");
    }
    if path.starts_with(':') {
        return Err("must name a file: a database in memory would be empty after each restart");
    }
    if path.contains(['?', '#', '%']) || path.chars().any(char::is_control) {
        return Err("must be sqlite: and a path, without parameters and without ?, # and %");
    }
    Ok(format!("sqlite:{path}"))
}

fn postgres_url(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "must be postgres://user@host:port/name")?;
    let parameter = |name| url.query_pairs().any(|(key, _)| key == name);
    if url.password().is_some() || parameter("password") {
        return Err("must not hold a password: put the whole URL into a file and set url_file");
    }
    if url.path().trim_matches('/').is_empty() {
        return Err("must name a database, as in postgres://user@host:port/name");
    }
    if url.host_str().is_none_or(str::is_empty) && !parameter("host") {
        return Err("must name a host (or the folder of a socket, as in ?host=/run/postgresql)");
    }
    let mode = url.query_pairs().find(|(key, _)| key == "sslmode");
    if mode.is_some_and(|(_, mode)| !SSL_MODES.contains(&&*mode)) {
        return Err("must have an sslmode of disable, prefer, require or verify-full, or none");
    }
    Ok(text.to_owned())
}

/// The lake's root. Its text becomes part of every table's metadata, where other engines read
/// it: only characters that all of them take as they are.
fn storage_url(text: &str) -> Result<Url, String> {
    let fail = |rule: &str| Err(rule.to_owned());
    if let Some((scheme @ ("s3" | "s3a" | "gs" | "abfs" | "abfss" | "az" | "http" | "https"), _)) =
        text.split_once("://")
    {
        return Err(format!(
            "{scheme}:// is not supported by this version; use file:///path"
        ));
    }
    let Some(path) = text.strip_prefix("file://") else {
        return fail("must be file:///absolute/path");
    };
    let path = path.trim_end_matches('/');
    if !path.starts_with('/') {
        return fail("must be file:// followed by an absolute path below /, three slashes in all");
    }
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-+~=@,".contains(char);
    if !path.chars().all(plain) {
        return fail("must have a path of letters, digits and . _ - + ~ = @ , only");
    }
    let mut parts = path[1..].split('/');
    if parts.any(|part| part.is_empty() || part == "." || part == "..") {
        return fail("must have a path without empty parts, `.` and `..`");
    }
    Url::parse(&format!("file://{path}")).map_err(|_| "must be file:///absolute/path".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_urls_of_both_backends_are_accepted() {
        for (text, shown) in [
            ("sqlite:/var/lib/rat/rat.db", "sqlite:/var/lib/rat/rat.db"),
            ("sqlite:///var/lib/rat/rat.db", "sqlite:/var/lib/rat/rat.db"),
            ("sqlite:rat.db", "sqlite:rat.db"),
            (
                "postgres://rat@db.example.org:5432/rat",
                "postgres://rat@db.example.org:5432/rat",
            ),
            (
                "postgresql:///rat?host=/run/postgresql",
                "postgresql:///rat?host=/run/postgresql",
            ),
            (
                "postgres://rat@db/rat?sslmode=verify-full&sslrootcert=/etc/ca.pem",
                "postgres://rat@db/rat?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            ),
        ] {
            assert_eq!(database_url(text).as_deref(), Ok(shown));
        }
        for text in [
            "",
            "mysql://a/b",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:/a?mode=memory",
            "postgres://",
            "postgres://host",
            "postgres:///rat",
            "postgres://u:p@host/rat",
            "postgres://u@host/rat?password=p",
            "postgres://u@host/rat?sslmode=required",
            "postgres://u@host/rat?sslmode=verify-ca",
        ] {
            assert!(database_url(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_lake_is_a_plain_absolute_folder() {
        for (text, shown) in [
            ("file:///var/lib/rat/lake", "file:///var/lib/rat/lake"),
            ("file:///var/lib/rat/lake//", "file:///var/lib/rat/lake"),
            ("file:///a", "file:///a"),
        ] {
            assert_eq!(storage_url(text).unwrap().as_str(), shown);
        }
        for text in [
            "",
            "/var/lib",
            "file:",
            "file:/a",
            "file:///",
            "file://host/a",
            "file:///a/../b",
            "file:///a/./b",
            "file:///a//b",
            "file:///a%20b",
            "file:///a b",
            "file:///a?b",
            "file:///é",
            "s3://bucket/path",
        ] {
            assert!(storage_url(text).is_err(), "{text:?}");
        }
    }
}
