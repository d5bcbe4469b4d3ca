//! Settings of the installation that are changed while it runs: a key and a JSON value.

use rat_sql::{Pool, sql};
use serde_json::Value;

use crate::Error;
use crate::error::encode;
use crate::time::now;

/// Settings. From [`crate::Store::settings`].
#[derive(Debug)]
pub struct Settings<'a> {
    pool: &'a Pool,
}

impl<'a> Settings<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// The value of `key`, if one was put.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        let query = sql!("SELECT value FROM settings WHERE name = $1", key);
        match self.pool.fetch_optional_row(query).await? {
            Some(row) => Ok(Some(row.json("value")?)),
            None => Ok(None),
        }
    }

    /// Puts `value` under `key`, replacing what was there.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put(&self, key: &str, value: &Value) -> Result<(), Error> {
        let query = sql!(
            "INSERT INTO settings (name, value, updated_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
            key,
            encode("setting", value)?,
            now(),
        );
        self.pool.execute(query).await?;
        Ok(())
    }
}
