//! What is stored about a file in a landing zone.

use chrono::{DateTime, Utc};
use rat_sql::{FromRow, Row};

/// A file in a landing zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFileRecord {
    /// Id: a UUIDv7.
    pub id: String,
    /// Id of the zone's record.
    pub zone_id: String,
    /// Path within the zone, with `/`.
    pub path: String,
    /// Size.
    pub size_bytes: u64,
    /// SHA-256 of the content in lower-case hex; `None` of a file that is older than this field.
    pub hash: Option<String>,
    /// Media type that the uploader gave; empty where none was given.
    pub content_type: String,
    /// User id of the uploader.
    pub uploaded_by: String,
    /// When it arrived.
    pub uploaded_at: DateTime<Utc>,
}

/// A file that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewZoneFile {
    /// Path within the zone, with `/`.
    pub path: String,
    /// Size.
    pub size_bytes: u64,
    /// SHA-256 of the content in lower-case hex.
    pub hash: String,
    /// Media type that the uploader gave; empty where none was given.
    pub content_type: String,
    /// User id of the uploader.
    pub uploaded_by: String,
}

impl FromRow for ZoneFileRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            id: row.get("id")?,
            zone_id: row.get("zone_id")?,
            path: row.get("path")?,
            size_bytes: row.get("size_bytes")?,
            hash: row.get("hash")?,
            content_type: row.get("content_type")?,
            uploaded_by: row.get("uploaded_by")?,
            uploaded_at: row.get("uploaded_at")?,
        })
    }
}
