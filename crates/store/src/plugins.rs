//! Plugins: what is configured, and how each was when it was last asked.

use chrono::{DateTime, Utc};
use rat_sql::{FromRow, Pool, Row, sql};

use crate::Error;
use crate::error::must_change;
use crate::time::now;

/// How a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginStatus {
    /// It can do its work.
    Healthy,
    /// It can do part of its work.
    Degraded,
    /// It says that it cannot, or does not answer.
    Down,
    /// It was not asked yet.
    Unknown,
}

impl PluginStatus {
    /// The status as it stands in the API and in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl std::str::FromStr for PluginStatus {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "healthy" => Ok(Self::Healthy),
            "degraded" => Ok(Self::Degraded),
            "down" => Ok(Self::Down),
            "unknown" => Ok(Self::Unknown),
            _ => {
                let rule = "it must be healthy, degraded, down or unknown";
                Err(Error::invalid("plugin status", text, rule))
            }
        }
    }
}

/// A plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRecord {
    /// Name.
    pub name: String,
    /// Slot that it fills, for example `auth`.
    pub slot: String,
    /// Where it came from: `image` of the configuration; empty where nothing was said.
    pub image: String,
    /// Address.
    pub address: String,
    /// How it is.
    pub status: PluginStatus,
    /// What it says about that.
    pub message: String,
    /// Its version; empty before the first answer.
    pub version: String,
    /// How long the last answer took, in microseconds.
    pub latency_us: Option<u64>,
    /// When it was last asked.
    pub last_health: Option<DateTime<Utc>>,
    /// When it was first configured.
    pub created_at: DateTime<Utc>,
    /// When this record was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A plugin as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlugin {
    /// Name.
    pub name: String,
    /// Slot that it fills.
    pub slot: String,
    /// Where it came from; empty where nothing was said.
    pub image: String,
    /// Address.
    pub address: String,
}

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginHealth {
    /// How it is.
    pub status: PluginStatus,
    /// What it says about that.
    pub message: String,
    /// Its version; `None` keeps the one that is known.
    pub version: Option<String>,
    /// How long the answer took, in microseconds; `None` when there was no answer.
    pub latency_us: Option<u64>,
    /// When it was asked.
    pub at: DateTime<Utc>,
}

impl FromRow for PluginRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            name: row.get("name")?,
            slot: row.get("slot")?,
            image: row.get("image")?,
            address: row.get("address")?,
            status: row.parse("status")?,
            message: row.get("message")?,
            version: row.get("version")?,
            latency_us: row.get("latency_us")?,
            last_health: row.get("last_health")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// Plugins. From [`crate::Store::plugins`].
#[derive(Debug)]
pub struct Plugins<'a> {
    pool: &'a Pool,
}

impl<'a> Plugins<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// Stores what is configured. The status becomes `unknown` until the plugin is asked; version
    /// and the time of the last check stay.
    ///
    /// # Errors
    /// The database fails.
    pub async fn upsert(&self, plugin: &NewPlugin) -> Result<(), Error> {
        let query = sql!(
            "INSERT INTO plugins (name, slot, image, address, status, message, version,
                                  created_at, updated_at)
             VALUES ($1, $2, $3, $4, 'unknown', '', '', $5, $5)
             ON CONFLICT (name) DO UPDATE SET slot = excluded.slot, image = excluded.image,
                 address = excluded.address, status = 'unknown', message = '',
                 updated_at = excluded.updated_at",
            &plugin.name,
            &plugin.slot,
            &plugin.image,
            &plugin.address,
            now(),
        );
        self.pool.execute(query).await?;
        Ok(())
    }

    /// All plugins by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<PluginRecord>, Error> {
        Ok(self
            .pool
            .fetch_all(sql!("SELECT * FROM plugins ORDER BY name"))
            .await?)
    }

    /// The plugin called `name`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, name: &str) -> Result<Option<PluginRecord>, Error> {
        Ok(self
            .pool
            .fetch_optional(sql!("SELECT * FROM plugins WHERE name = $1", name))
            .await?)
    }

    /// Stores what a health check found.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn set_status(&self, name: &str, health: &PluginHealth) -> Result<(), Error> {
        let query = sql!(
            "UPDATE plugins SET status = $2, message = $3, version = COALESCE($4, version),
                 latency_us = $5, last_health = $6, updated_at = $6
             WHERE name = $1",
            name,
            health.status.as_str(),
            &health.message,
            health.version.as_deref(),
            health.latency_us,
            health.at,
        );
        must_change(self.pool.execute(query).await?, "plugin", name)
    }

    /// Stores why nothing is known of a plugin that was not asked.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn explain(&self, name: &str, message: &str) -> Result<(), Error> {
        let query = sql!(
            "UPDATE plugins SET message = $2, updated_at = $3 WHERE name = $1",
            name,
            message,
            now(),
        );
        must_change(self.pool.execute(query).await?, "plugin", name)
    }

    /// Forgets a plugin.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let query = sql!("DELETE FROM plugins WHERE name = $1", name);
        must_change(self.pool.execute(query).await?, "plugin", name)
    }
}
