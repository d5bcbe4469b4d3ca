//! Runs: their states and who may move them from one to the next.
//!
//! ```text
//! pending ──claim_next──▶ running (claimed: no executor, no token yet)
//!    ▲  │                    │ mark_running: executor, token, attempt
//!    │  └─request_cancel─▶ cancelled
//!    │                       ▼
//!    └──back_to_pending── running ──record_outcome──▶ running ──finish──▶ success│failed│cancelled
//! ```
//!
//! Every transition is one UPDATE that names the state it starts from, so of several callers one
//! wins and the others are told `false`. That a pipeline never has two running runs is a partial
//! unique index and not a habit of the code. Nothing about a run lives in memory alone: a ratd
//! that starts finds in [`Runs::list_active`] what it left behind; rows without an executor were
//! claimed and never submitted, and go [`back to pending`](Runs::back_to_pending).

mod last_line;
mod list;
mod record;
mod transitions;

use rat_sql::{Pool, sql};
use rat_types::{RunId, TableIdent};

use crate::error::{Constraint, encode};
use crate::time::now;
use crate::{Error, Page};

pub use last_line::LastLine;
pub use list::RunFilter;
pub use record::{Cancellation, NewRun, RunEnd, RunRecord, RunStart};
pub(crate) use transitions::cancel_all;

/// Runs. From [`crate::Store::runs`].
#[derive(Debug)]
pub struct Runs<'a> {
    pool: &'a Pool,
}

impl<'a> Runs<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// Creates a pending run.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the pipeline, [`Error::AlreadyExists`] for the id, or the database
    /// fails.
    pub async fn create(&self, new: &NewRun) -> Result<RunRecord, Error> {
        let query = sql!(
            "INSERT INTO runs (id, pipeline_id, namespace, layer, name, status, run_trigger,
                               attempt, created_by, created_by_roles, cancel_requested, created_at)
             SELECT $1, id, namespace, layer, name, 'pending', $5, 0, $6, $7, FALSE, $8
             FROM pipelines
             WHERE namespace = $2 AND layer = $3 AND name = $4 AND deleted_at IS NULL",
            new.id.to_string(),
            new.pipeline.namespace.as_str(),
            new.pipeline.layer.as_str(),
            new.pipeline.name.as_str(),
            &new.trigger,
            &new.created_by,
            encode("roles", &new.created_by_roles)?,
            now(),
        );
        let created = self.pool.execute(query).await.or_exists("run", new.id)?;
        crate::error::must_change(created, "pipeline", &new.pipeline)?;
        self.get(new.id)
            .await?
            .ok_or_else(|| Error::not_found("run", new.id))
    }

    /// The run `id`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, id: RunId) -> Result<Option<RunRecord>, Error> {
        let query = sql!("SELECT * FROM runs WHERE id = $1", id.to_string());
        Ok(self.pool.fetch_optional(query).await?)
    }

    /// Runs that match `filter`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, filter: &RunFilter) -> Result<Page<RunRecord>, Error> {
        let total: u64 = self.pool.fetch_one(filter.count()).await?;
        Ok(Page {
            items: self.pool.fetch_all(filter.select()).await?,
            total,
        })
    }

    /// Every running run, oldest first: submitted, being published, or (no executor) claimed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list_active(&self) -> Result<Vec<RunRecord>, Error> {
        let query = sql!("SELECT * FROM runs WHERE status = 'running' ORDER BY created_at, id");
        Ok(self.pool.fetch_all(query).await?)
    }

    /// The running run whose token has this SHA-256 (lower-case hex).
    ///
    /// # Errors
    /// The database fails.
    pub async fn find_by_token_hash(&self, token_hash: &str) -> Result<Option<RunRecord>, Error> {
        let query = sql!(
            "SELECT * FROM runs WHERE token_hash = $1 AND status = 'running'",
            token_hash,
        );
        Ok(self.pool.fetch_optional(query).await?)
    }

    /// The latest successful run of `pipeline`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn success_for(&self, pipeline: &TableIdent) -> Result<Option<RunRecord>, Error> {
        let query = sql!(
            "SELECT * FROM runs
             WHERE namespace = $1 AND layer = $2 AND name = $3 AND status = 'success'
             ORDER BY finished_at DESC, id DESC
             LIMIT 1",
            pipeline.namespace.as_str(),
            pipeline.layer.as_str(),
            pipeline.name.as_str(),
        );
        Ok(self.pool.fetch_optional(query).await?)
    }
}
