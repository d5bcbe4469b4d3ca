//! What is stored about a landing zone.

use chrono::{DateTime, Utc};
use rat_sql::{FromRow, Row};
use rat_types::ZoneIdent;

/// A landing zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// Id: a UUIDv7.
    pub id: String,
    /// Name.
    pub ident: ZoneIdent,
    /// Free text.
    pub description: String,
    /// User id of the owner.
    pub owner: String,
    /// What files should look like: free text, not enforced.
    pub expected_schema: String,
    /// For how many days processed files are kept; `None` means the installation's default.
    pub processed_max_age_days: Option<u32>,
    /// Whether processed files are purged.
    pub auto_purge: bool,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it, or a file in it, was last changed.
    pub updated_at: DateTime<Utc>,
    /// Number of files.
    pub file_count: u64,
    /// Size of all files.
    pub total_bytes: u64,
}

/// A landing zone to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewZone {
    /// Name.
    pub ident: ZoneIdent,
    /// Free text.
    pub description: String,
    /// User id of the owner.
    pub owner: String,
}

/// What to change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneUpdate {
    /// Free text.
    pub description: Option<String>,
    /// What files should look like.
    pub expected_schema: Option<String>,
    /// For how many days processed files are kept.
    pub processed_max_age_days: Option<u32>,
    /// Whether processed files are purged.
    pub auto_purge: Option<bool>,
}

impl FromRow for ZoneRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            id: row.get("id")?,
            ident: ZoneIdent {
                namespace: row.parse("namespace")?,
                name: row.parse("name")?,
            },
            description: row.get("description")?,
            owner: row.get("owner")?,
            expected_schema: row.get("expected_schema")?,
            processed_max_age_days: row.get("processed_max_age_days")?,
            auto_purge: row.get("auto_purge")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            file_count: row.get("file_count")?,
            total_bytes: row.get("total_bytes")?,
        })
    }
}
