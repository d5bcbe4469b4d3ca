//! The audit log: who did what, when, from where, and what became of it.

use chrono::{DateTime, Utc};
use rat_sql::{Builder, FromRow, Pool, Row, sql};
use uuid::Uuid;

use crate::{Error, Page, Paging};

/// Rows that one statement removes: a longer one would hold up everybody who writes.
const BATCH: u32 = 5_000;

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Id: a UUIDv7.
    pub id: String,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// Who did it; empty where nobody knows.
    pub user_id: String,
    /// What was done, for example `pipeline.write`.
    pub action: String,
    /// What it was done to, by name; empty where it was nothing in particular.
    pub resource: String,
    /// The request, and why it was refused.
    pub detail: String,
    /// Address that the request came from; empty where there is none.
    pub ip: String,
    /// Id of the request.
    pub request_id: String,
    /// HTTP status of the answer; 0 where nobody waited for it.
    pub status: u16,
    /// `done`, `refused`, `denied`, `failed` or `aborted`.
    pub outcome: String,
}

/// Which entries to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this user only.
    pub user_id: Option<String>,
    /// Of this action only.
    pub action: Option<String>,
    /// Of this resource only.
    pub resource: Option<String>,
    /// From this time on.
    pub since: Option<DateTime<Utc>>,
    /// Page; the order is fixed.
    pub paging: Paging,
}

impl AuditRecord {
    /// A new id.
    pub fn new_id() -> String {
        Uuid::now_v7().to_string()
    }
}

impl FromRow for AuditRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        let status: u32 = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            at: row.get("at")?,
            user_id: row.get("user_id")?,
            action: row.get("action")?,
            resource: row.get("resource")?,
            detail: row.get("detail")?,
            ip: row.get("ip")?,
            request_id: row.get("request_id")?,
            status: u16::try_from(status).unwrap_or(u16::MAX),
            outcome: row.get("outcome")?,
        })
    }
}

/// The audit log. From [`crate::Store::audit_log`].
#[derive(Debug)]
pub struct AuditLog<'a> {
    pool: &'a Pool,
}

impl<'a> AuditLog<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// Adds entries, all or none. Those that are there already are left alone, so that a call
    /// whose answer was lost can be repeated.
    ///
    /// # Errors
    /// The database fails.
    pub async fn append(&self, entries: &[AuditRecord]) -> Result<(), Error> {
        rat_sql::retry(|| self.try_append(entries)).await
    }

    async fn try_append(&self, entries: &[AuditRecord]) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        for entry in entries {
            let query = sql!(
                "INSERT INTO audit_log (id, at, user_id, action, resource, detail, ip, request_id,
                                        status, outcome)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 ON CONFLICT (id) DO NOTHING",
                &entry.id,
                entry.at,
                &entry.user_id,
                &entry.action,
                &entry.resource,
                &entry.detail,
                &entry.ip,
                &entry.request_id,
                u32::from(entry.status),
                &entry.outcome,
            );
            tx.execute(query).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Entries that match `filter`, newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, filter: &AuditFilter) -> Result<Page<AuditRecord>, Error> {
        let mut count = Builder::new("SELECT COUNT(*) FROM audit_log");
        filter.push_where(&mut count);
        let mut list = Builder::new("SELECT * FROM audit_log");
        filter.push_where(&mut list);
        list.push(" ORDER BY at DESC, id DESC LIMIT ")
            .bind(filter.paging.limit());
        list.push(" OFFSET ").bind(filter.paging.offset);
        // In this order: what is added meanwhile must not make the whole smaller than its part.
        Ok(Page {
            items: self.pool.fetch_all(list.build()).await?,
            total: self.pool.fetch_one(count.build()).await?,
        })
    }

    /// Removes entries from before `oldest`, and the oldest of more than `most`. Answers how many
    /// are gone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn prune(&self, oldest: DateTime<Utc>, most: u64) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let query = sql!(
                "DELETE FROM audit_log WHERE id IN
                     (SELECT id FROM audit_log WHERE at < $1 ORDER BY at, id LIMIT $2)",
                oldest,
                BATCH,
            );
            let batch = self.pool.execute(query).await?;
            removed += batch;
            if batch < u64::from(BATCH) {
                break;
            }
        }
        let count: u64 = self
            .pool
            .fetch_one(sql!("SELECT COUNT(*) FROM audit_log"))
            .await?;
        let mut surplus = count.saturating_sub(most);
        while surplus > 0 {
            let query = sql!(
                "DELETE FROM audit_log WHERE id IN
                     (SELECT id FROM audit_log ORDER BY at, id LIMIT $1)",
                surplus.min(u64::from(BATCH)),
            );
            let batch = self.pool.execute(query).await?;
            removed += batch;
            surplus = surplus.saturating_sub(batch.max(1));
        }
        Ok(removed)
    }
}

impl AuditFilter {
    fn push_where(&self, query: &mut Builder) {
        query.push(" WHERE TRUE");
        let texts = [
            (" AND user_id = ", &self.user_id),
            (" AND action = ", &self.action),
            (" AND resource = ", &self.resource),
        ];
        for (condition, value) in texts {
            if let Some(value) = value {
                query.push(condition).bind(value.as_str());
            }
        }
        if let Some(since) = self.since {
            query.push(" AND at >= ").bind(since);
        }
    }
}
