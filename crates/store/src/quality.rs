//! Results of quality tests, as the run reported them.

use rat_sql::{FromRow, Pool, Row, sql};
use rat_types::{QualityResult, RunId};

use crate::Error;
use crate::error::{Constraint, encode};

struct Stored(QualityResult);

impl FromRow for Stored {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self(QualityResult {
            name: row.get("name")?,
            severity: row.parse("severity")?,
            status: row.parse("status")?,
            violations: row.get("violations")?,
            duration_us: row.get("duration_us")?,
            message: row.get("message")?,
            samples: row.json("samples")?,
        }))
    }
}

/// Results of quality tests. From [`crate::Store::quality`].
#[derive(Debug)]
pub struct Quality<'a> {
    pool: &'a Pool,
}

impl<'a> Quality<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// Stores the results of a run in this order, in place of those that were there.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the run, or the database fails.
    pub async fn replace(&self, run: RunId, results: &[QualityResult]) -> Result<(), Error> {
        rat_sql::retry(|| self.try_replace(run, results)).await
    }

    async fn try_replace(&self, run: RunId, results: &[QualityResult]) -> Result<(), Error> {
        let id = run.to_string();
        let mut tx = self.pool.begin().await?;
        // The run's row is the lock: two calls at once would both insert.
        let lock = sql!("UPDATE runs SET attempt = attempt WHERE id = $1", &id);
        crate::error::must_change(tx.execute(lock).await?, "run", run)?;
        tx.execute(sql!("DELETE FROM quality_results WHERE run_id = $1", &id))
            .await?;
        for (position, result) in results.iter().enumerate() {
            let query = sql!(
                "INSERT INTO quality_results (run_id, position, name, severity, status, violations,
                                              duration_us, message, samples)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &id,
                u64::try_from(position).unwrap_or(u64::MAX),
                &result.name,
                result.severity.as_str(),
                result.status.as_str(),
                result.violations,
                result.duration_us,
                &result.message,
                encode("samples", &result.samples)?,
            );
            tx.execute(query).await.or_missing("run", run)?;
        }
        Ok(tx.commit().await?)
    }

    /// The results of a run, in the order in which it reported them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, run: RunId) -> Result<Vec<QualityResult>, Error> {
        let query = sql!(
            "SELECT name, severity, status, violations, duration_us, message, samples
             FROM quality_results WHERE run_id = $1 ORDER BY position",
            run.to_string(),
        );
        let results: Vec<Stored> = self.pool.fetch_all(query).await?;
        Ok(results.into_iter().map(|stored| stored.0).collect())
    }
}
