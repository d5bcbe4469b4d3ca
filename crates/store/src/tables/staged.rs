//! Tables that a run created and that are not published yet.

use rat_sql::{FromRow, Row, sql};
use rat_types::{RunId, TableIdent};

use super::{Tables, check_location, insert_pointer};
use crate::Error;
use crate::error::{Constraint, must_change};
use crate::time::now;

/// A table that only its run sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedTable {
    /// The run that created it.
    pub run: RunId,
    /// The table.
    pub ident: TableIdent,
    /// URI of the current metadata file.
    pub metadata_location: String,
}

impl FromRow for StagedTable {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            run: row.parse("run_id")?,
            ident: crate::pipelines::ident(row)?,
            metadata_location: row.get("metadata_location")?,
        })
    }
}

impl Tables<'_> {
    /// Stages a table for `run`.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when this run staged it before, [`Error::Invalid`] for a location
    /// that is too long, or the database fails.
    pub async fn stage(&self, run: RunId, table: &TableIdent, location: &str) -> Result<(), Error> {
        check_location(location)?;
        let query = sql!(
            "INSERT INTO staged_tables (run_id, namespace, layer, name, metadata_location, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            run.to_string(),
            table.namespace.as_str(),
            table.layer.as_str(),
            table.name.as_str(),
            location,
            now(),
        );
        self.pool
            .execute(query)
            .await
            .or_exists("staged table", table)?;
        Ok(())
    }

    /// The table as `run` staged it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get_staged(
        &self,
        run: RunId,
        table: &TableIdent,
    ) -> Result<Option<StagedTable>, Error> {
        let query = sql!(
            "SELECT run_id, namespace, layer, name, metadata_location FROM staged_tables
             WHERE run_id = $1 AND namespace = $2 AND layer = $3 AND name = $4",
            run.to_string(),
            table.namespace.as_str(),
            table.layer.as_str(),
            table.name.as_str(),
        );
        Ok(self.pool.fetch_optional(query).await?)
    }

    /// Moves the pointer of a staged table from `old` to `new`. Answers `false` when it does not
    /// stand at `old`, or `run` staged no such table.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a location that is too long, or the database fails.
    pub async fn cas_staged(
        &self,
        run: RunId,
        table: &TableIdent,
        old: &str,
        new: &str,
    ) -> Result<bool, Error> {
        check_location(new)?;
        let query = sql!(
            "UPDATE staged_tables SET metadata_location = $6
             WHERE run_id = $1 AND namespace = $2 AND layer = $3 AND name = $4
               AND metadata_location = $5",
            run.to_string(),
            table.namespace.as_str(),
            table.layer.as_str(),
            table.name.as_str(),
            old,
            new,
        );
        Ok(self.pool.execute(query).await? == 1)
    }

    /// Everything that `run` staged, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list_staged(&self, run: RunId) -> Result<Vec<StagedTable>, Error> {
        let query = sql!(
            "SELECT run_id, namespace, layer, name, metadata_location FROM staged_tables
             WHERE run_id = $1
             ORDER BY namespace, layer, name",
            run.to_string(),
        );
        Ok(self.pool.fetch_all(query).await?)
    }

    /// Everything that any run staged, by run.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list_all_staged(&self) -> Result<Vec<StagedTable>, Error> {
        let query = sql!(
            "SELECT run_id, namespace, layer, name, metadata_location FROM staged_tables
             ORDER BY run_id, namespace, layer, name"
        );
        Ok(self.pool.fetch_all(query).await?)
    }

    /// Forgets everything that `run` staged; the files are the caller's. Answers how many tables
    /// there were.
    ///
    /// # Errors
    /// The database fails.
    pub async fn unstage(&self, run: RunId) -> Result<u64, Error> {
        let query = sql!(
            "DELETE FROM staged_tables WHERE run_id = $1",
            run.to_string()
        );
        Ok(self.pool.execute(query).await?)
    }

    /// Makes a staged table visible to everybody, standing at `location`, in one transaction.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when somebody else created the table meanwhile,
    /// [`Error::NotFound`] when `run` staged no such table (it may be promoted already) or the
    /// namespace is gone, [`Error::Invalid`] for a location that is too long, or the database
    /// fails. In each case nothing was changed.
    pub async fn promote_staged(
        &self,
        run: RunId,
        table: &TableIdent,
        location: &str,
    ) -> Result<(), Error> {
        check_location(location)?;
        rat_sql::retry(|| self.try_promote(run, table, location)).await
    }

    async fn try_promote(
        &self,
        run: RunId,
        table: &TableIdent,
        location: &str,
    ) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        let query = sql!(
            "DELETE FROM staged_tables
             WHERE run_id = $1 AND namespace = $2 AND layer = $3 AND name = $4",
            run.to_string(),
            table.namespace.as_str(),
            table.layer.as_str(),
            table.name.as_str(),
        );
        must_change(tx.execute(query).await?, "staged table", table)?;
        insert_pointer(&mut tx, table, location).await?;
        Ok(tx.commit().await?)
    }
}
