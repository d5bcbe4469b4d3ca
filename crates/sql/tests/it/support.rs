//! A database with a table to play with.

use rat_sql::{DatabaseUrl, Migration, Pool};

/// The first migrations of an imaginary program.
pub(crate) const THINGS: Migration = Migration {
    name: "0001_things",
    oldest_reader: None,
    sqlite: "CREATE TABLE owners (name TEXT NOT NULL PRIMARY KEY);
             CREATE TABLE things (
                 id     BIGINT NOT NULL PRIMARY KEY,
                 owner  TEXT REFERENCES owners (name),
                 name   TEXT,
                 flag   BOOLEAN,
                 amount BIGINT CHECK (amount >= 0),
                 bytes  BLOB,
                 at     DATETIME
             );",
    postgres: "CREATE TABLE owners (name TEXT NOT NULL PRIMARY KEY);
               CREATE TABLE things (
                   id     BIGINT NOT NULL PRIMARY KEY,
                   owner  TEXT REFERENCES owners (name),
                   name   TEXT,
                   flag   BOOLEAN,
                   amount BIGINT CHECK (amount >= 0),
                   bytes  BYTEA,
                   at     TIMESTAMPTZ
               );",
};

pub(crate) async fn things(url: &DatabaseUrl) -> Pool {
    let pool = Pool::open(url).await.unwrap();
    assert_eq!(pool.migrate(&[THINGS]).await.unwrap(), 1);
    pool
}

/// A migration with the same text for both databases.
pub(crate) const fn migration(name: &'static str, script: &'static str) -> Migration {
    Migration {
        name,
        oldest_reader: None,
        sqlite: script,
        postgres: script,
    }
}
