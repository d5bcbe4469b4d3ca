//! Who owns what: of everything that has an owner, in one place.

use std::fmt::Display;

use rat_sql::{Pool, Row, sql};
use rat_types::{NamespaceName, TableIdent, ZoneIdent};

use crate::pipelines::ident;
use crate::{Error, TableMetadata};

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

    /// Makes `to` the owner of a namespace that is `from`'s.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::OwnerChanged`] where it is not `from`'s; or the database
    /// fails.
    pub async fn give_namespace(
        &self,
        name: &NamespaceName,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        let query = sql!(
            "UPDATE namespaces SET owner = $3 WHERE name = $1 AND owner = $2",
            name.as_str(),
            from,
            to,
        );
        let changed = self.pool.execute(query).await?;
        let exists = sql!("SELECT 1 FROM namespaces WHERE name = $1", name.as_str());
        self.must_give(changed, exists, "namespace", name).await
    }

    /// Makes `to` the owner of a pipeline that is `from`'s.
    ///
    /// # Errors
    /// As [`Self::give_namespace`].
    pub async fn give_pipeline(
        &self,
        ident: &TableIdent,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        let (namespace, layer) = (ident.namespace.as_str(), ident.layer.as_str());
        let query = sql!(
            "UPDATE pipelines SET owner = $5, updated_at = $6
             WHERE namespace = $1 AND layer = $2 AND name = $3 AND owner = $4
                 AND deleted_at IS NULL",
            namespace,
            layer,
            ident.name.as_str(),
            from,
            to,
            crate::time::now(),
        );
        let changed = self.pool.execute(query).await?;
        let exists = sql!(
            "SELECT 1 FROM pipelines
             WHERE namespace = $1 AND layer = $2 AND name = $3 AND deleted_at IS NULL",
            namespace,
            layer,
            ident.name.as_str(),
        );
        self.must_give(changed, exists, "pipeline", ident).await
    }

    /// Makes `to` the owner of a landing zone that is `from`'s.
    ///
    /// # Errors
    /// As [`Self::give_namespace`].
    pub async fn give_zone(&self, ident: &ZoneIdent, from: &str, to: &str) -> Result<(), Error> {
        let (namespace, name) = (ident.namespace.as_str(), ident.name.as_str());
        let query = sql!(
            "UPDATE landing_zones SET owner = $4, updated_at = $5
             WHERE namespace = $1 AND name = $2 AND owner = $3",
            namespace,
            name,
            from,
            to,
            crate::time::now(),
        );
        let changed = self.pool.execute(query).await?;
        let exists = sql!(
            "SELECT 1 FROM landing_zones WHERE namespace = $1 AND name = $2",
            namespace,
            name,
        );
        self.must_give(changed, exists, "landing zone", ident).await
    }

    /// Makes `to` the owner of a table that is `from`'s, or nobody's where `from` is empty. That
    /// there is such a table is the caller's to know.
    ///
    /// # Errors
    /// [`Error::OwnerChanged`], or the database fails.
    pub async fn give_table(&self, ident: &TableIdent, from: &str, to: &str) -> Result<(), Error> {
        if from.is_empty() {
            let claimed = TableMetadata::new(self.pool).claim(ident, to).await?;
            return given(claimed, "table", ident);
        }
        let query = sql!(
            "UPDATE table_metadata SET owner = $5, updated_at = $6
             WHERE namespace = $1 AND layer = $2 AND name = $3 AND owner = $4",
            ident.namespace.as_str(),
            ident.layer.as_str(),
            ident.name.as_str(),
            from,
            to,
            crate::time::now(),
        );
        let changed = self.pool.execute(query).await?;
        given(changed > 0, "table", ident)
    }

    async fn must_give(
        &self,
        changed: u64,
        exists: rat_sql::Query,
        what: &'static str,
        key: &impl Display,
    ) -> Result<(), Error> {
        if changed > 0 {
            return Ok(());
        }
        match self.pool.fetch_optional_row(exists).await? {
            Some(_) => given(false, what, key),
            None => Err(Error::not_found(what, key)),
        }
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

fn given(is_given: bool, what: &'static str, key: &impl Display) -> Result<(), Error> {
    match is_given {
        true => Ok(()),
        false => Err(Error::OwnerChanged {
            what,
            key: key.to_string(),
        }),
    }
}
