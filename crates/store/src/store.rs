//! The open database and its handles.

use rat_sql::{Backend, DatabaseUrl, Options, Pool};

use crate::{
    AuditLog, Error, Files, Namespaces, Owners, Pipelines, Plugins, Quality, RunLogs, Runs,
    Settings, TableMetadata, Tables, Zones, migrations,
};

/// The platform database. Cheap to clone; all clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
}

impl Store {
    /// Opens the database and brings its schema up to date, under a lock that only one process
    /// holds at a time.
    ///
    /// # Errors
    /// The database cannot be reached, a migration fails, or the schema belongs to a newer ratd
    /// ([`rat_sql::Error::SchemaTooNew`], see [`Error::is_schema_too_new`]).
    pub async fn open(url: &DatabaseUrl) -> Result<Self, Error> {
        Self::open_with(url, Options::default()).await
    }

    /// [`Self::open`] with other limits than the usual ones.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(url: &DatabaseUrl, options: Options) -> Result<Self, Error> {
        let pool = Pool::open_with(url, options).await?;
        if let Err(error) = pool.migrate(migrations()).await {
            pool.close().await;
            return Err(error.into());
        }
        Ok(Self { pool })
    }

    /// Which database this is.
    pub fn backend(&self) -> Backend {
        self.pool.backend()
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// It does not answer in time.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.pool.ping().await?)
    }

    /// Waits for statements under way and closes every connection. Later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Namespaces.
    pub fn namespaces(&self) -> Namespaces<'_> {
        Namespaces::new(&self.pool)
    }

    /// Pipelines.
    pub fn pipelines(&self) -> Pipelines<'_> {
        Pipelines::new(&self.pool)
    }

    /// Source files of pipelines.
    pub fn files(&self) -> Files<'_> {
        Files::new(&self.pool)
    }

    /// Runs.
    pub fn runs(&self) -> Runs<'_> {
        Runs::new(&self.pool)
    }

    /// Log lines of runs.
    pub fn run_logs(&self) -> RunLogs<'_> {
        RunLogs::new(&self.pool)
    }

    /// Results of quality tests.
    pub fn quality(&self) -> Quality<'_> {
        Quality::new(&self.pool)
    }

    /// Landing zones and the files in them.
    pub fn zones(&self) -> Zones<'_> {
        Zones::new(&self.pool)
    }

    /// Plugins.
    pub fn plugins(&self) -> Plugins<'_> {
        Plugins::new(&self.pool)
    }

    /// The catalog's table pointers.
    pub fn tables(&self) -> Tables<'_> {
        Tables::new(&self.pool)
    }

    /// Descriptions of tables.
    pub fn table_metadata(&self) -> TableMetadata<'_> {
        TableMetadata::new(&self.pool)
    }

    /// Who owns what.
    pub fn owners(&self) -> Owners<'_> {
        Owners::new(&self.pool)
    }

    /// The audit log.
    pub fn audit_log(&self) -> AuditLog<'_> {
        AuditLog::new(&self.pool)
    }

    /// Settings of the installation.
    pub fn settings(&self) -> Settings<'_> {
        Settings::new(&self.pool)
    }
}

impl Error {
    /// Whether the database belongs to a newer ratd: a configuration error, exit code 78.
    pub fn is_schema_too_new(&self) -> bool {
        matches!(self, Self::Database(rat_sql::Error::SchemaTooNew { .. }))
    }
}
