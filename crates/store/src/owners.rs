//! Who owns what: of everything that has an owner, in one place.

use rat_sql::{Pool, Row, sql};
use rat_types::{NamespaceName, TableIdent, ZoneIdent};

use crate::error::must_change;
use crate::pipelines::ident;
use crate::{Error, PipelineUpdate, Pipelines, TableMetadata, ZoneUpdate, Zones};

/// What one user owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owned {
    /// Namespaces.
    pub namespaces: Vec<NamespaceName>,
    /// Pipelines.
    pub pipelines: Vec<TableIdent>,
    /// Landing zones.
    pub zones: Vec<ZoneIdent>,
    /// Tables.
    pub tables: Vec<TableIdent>,
}

/// Owners. From [`crate::Store::owners`].
#[derive(Debug)]
pub struct Owners<'a> {
    pool: &'a Pool,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// What `user` owns. Of tables, those that the catalog of this database has.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(&self, user: &str) -> Result<Owned, Error> {
        let namespaces = sql!(
            "SELECT name FROM namespaces WHERE owner = $1 ORDER BY name",
            user
        );
        let pipelines = sql!(
            "SELECT namespace, layer, name FROM pipelines
             WHERE owner = $1 AND deleted_at IS NULL ORDER BY namespace, layer, name",
            user,
        );
        let zones = sql!(
            "SELECT namespace, name FROM landing_zones WHERE owner = $1 ORDER BY namespace, name",
            user,
        );
        let tables = sql!(
            "SELECT namespace, layer, name FROM table_metadata
             WHERE owner = $1 ORDER BY namespace, layer, name",
            user,
        );
        let zone = |row: &Row| -> Result<ZoneIdent, rat_sql::Error> {
            Ok(ZoneIdent {
                namespace: row.parse("namespace")?,
                name: row.parse("name")?,
            })
        };
        let rows = self.pool.fetch_rows(namespaces).await?;
        let namespaces: Result<_, _> = rows.iter().map(|row| row.parse("name")).collect();
        let rows = self.pool.fetch_rows(pipelines).await?;
        let pipelines: Result<_, _> = rows.iter().map(ident).collect();
        let rows = self.pool.fetch_rows(zones).await?;
        let zones: Result<_, _> = rows.iter().map(zone).collect();
        let rows = self.pool.fetch_rows(tables).await?;
        let tables: Result<_, _> = rows.iter().map(ident).collect();
        Ok(Owned {
            namespaces: namespaces?,
            pipelines: pipelines?,
            zones: zones?,
            tables: tables?,
        })
    }

    /// Gives a namespace to `owner`.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn give_namespace(&self, name: &NamespaceName, owner: &str) -> Result<(), Error> {
        let query = sql!(
            "UPDATE namespaces SET owner = $2 WHERE name = $1",
            name.as_str(),
            owner,
        );
        must_change(self.pool.execute(query).await?, "namespace", name)
    }

    /// Gives a pipeline to `owner`.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn give_pipeline(&self, ident: &TableIdent, owner: &str) -> Result<(), Error> {
        let update = PipelineUpdate {
            owner: Some(owner.to_owned()),
            ..PipelineUpdate::default()
        };
        Pipelines::new(self.pool).update(ident, &update).await?;
        Ok(())
    }

    /// Gives a landing zone to `owner`.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn give_zone(&self, ident: &ZoneIdent, owner: &str) -> Result<(), Error> {
        let update = ZoneUpdate {
            owner: Some(owner.to_owned()),
            ..ZoneUpdate::default()
        };
        Zones::new(self.pool).update(ident, &update).await?;
        Ok(())
    }

    /// Gives a table to `owner`, whether or not anything was said about it before. That there is
    /// such a table is the caller's to know.
    ///
    /// # Errors
    /// The database fails.
    pub async fn give_table(&self, ident: &TableIdent, owner: &str) -> Result<(), Error> {
        let metadata = TableMetadata::new(self.pool);
        metadata.claim(ident, owner).await?;
        let query = sql!(
            "UPDATE table_metadata SET owner = $4, updated_at = $5
             WHERE namespace = $1 AND layer = $2 AND name = $3 AND owner <> $4",
            ident.namespace.as_str(),
            ident.layer.as_str(),
            ident.name.as_str(),
            owner,
            crate::time::now(),
        );
        self.pool.execute(query).await?;
        Ok(())
    }

    /// Makes a table nobody's: it is gone, and one of the same name is not its owner's.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_table(&self, ident: &TableIdent) -> Result<(), Error> {
        let query = sql!(
            "UPDATE table_metadata SET owner = '', updated_at = $4
             WHERE namespace = $1 AND layer = $2 AND name = $3",
            ident.namespace.as_str(),
            ident.layer.as_str(),
            ident.name.as_str(),
            crate::time::now(),
        );
        self.pool.execute(query).await?;
        Ok(())
    }
}
