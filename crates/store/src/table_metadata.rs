//! What people say about tables: description, owner, description of columns.
//!
//! Kept apart from the Iceberg metadata, so that describing a table is no commit, and so that a
//! description outlives the table's re-creation.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rat_sql::{FromRow, Pool, Row, Transaction, sql};
use rat_types::{NamespaceName, TableIdent};

use crate::Error;
use crate::error::encode;
use crate::time::now;

/// What people say about one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableMetadataRecord {
    /// Free text.
    pub description: String,
    /// User id of the owner; empty where nobody said.
    pub owner: String,
    /// Descriptions by column.
    pub column_descriptions: BTreeMap<String, String>,
    /// When this was last changed; `None` before it was stored.
    pub updated_at: Option<DateTime<Utc>>,
}

impl FromRow for TableMetadataRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            description: row.get("description")?,
            owner: row.get("owner")?,
            column_descriptions: row.json("column_descriptions")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// Descriptions of tables. From [`crate::Store::table_metadata`].
#[derive(Debug)]
pub struct TableMetadata<'a> {
    pool: &'a Pool,
}

impl<'a> TableMetadata<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// What is said about `table`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, table: &TableIdent) -> Result<Option<TableMetadataRecord>, Error> {
        let query = sql!(
            "SELECT description, owner, column_descriptions, updated_at FROM table_metadata
             WHERE namespace = $1 AND layer = $2 AND name = $3",
            table.namespace.as_str(),
            table.layer.as_str(),
            table.name.as_str(),
        );
        Ok(self.pool.fetch_optional(query).await?)
    }

    /// Everything that is said about tables, in one statement, for lists of tables.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<BTreeMap<TableIdent, TableMetadataRecord>, Error> {
        let query = sql!(
            "SELECT namespace, layer, name, description, owner, column_descriptions, updated_at
             FROM table_metadata"
        );
        let rows = self.pool.fetch_rows(query).await?;
        let record = |row: &Row| -> Result<_, Error> {
            Ok((
                crate::pipelines::ident(row)?,
                TableMetadataRecord::from_row(row)?,
            ))
        };
        rows.iter().map(record).collect()
    }

    /// The owners of tables that have one: of a namespace, or of all. Descriptions, which may be
    /// long, are not read for it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn owners(
        &self,
        namespace: Option<&NamespaceName>,
    ) -> Result<BTreeMap<TableIdent, String>, Error> {
        let query = sql!(
            "SELECT namespace, layer, name, owner FROM table_metadata
             WHERE namespace = COALESCE($1, namespace) AND owner <> ''",
            namespace.map(NamespaceName::as_str),
        );
        let rows = self.pool.fetch_rows(query).await?;
        let owner = |row: &Row| Ok((crate::pipelines::ident(row)?, row.get("owner")?));
        rows.iter().map(owner).collect()
    }

    /// Stores what is said about `table`, replacing all of it but the owner, which
    /// [`crate::Owners::give_table`] changes: a description that was read before the table changed
    /// hands must not take it back. `updated_at` is set here.
    ///
    /// # Errors
    /// The database fails.
    pub async fn put(&self, table: &TableIdent, record: &TableMetadataRecord) -> Result<(), Error> {
        let query = sql!(
            "INSERT INTO table_metadata
                 (namespace, layer, name, description, owner, column_descriptions, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (namespace, layer, name) DO UPDATE SET
                 description = excluded.description,
                 column_descriptions = excluded.column_descriptions,
                 updated_at = excluded.updated_at",
            table.namespace.as_str(),
            table.layer.as_str(),
            table.name.as_str(),
            &record.description,
            &record.owner,
            encode("column descriptions", &record.column_descriptions)?,
            now(),
        );
        self.pool.execute(query).await?;
        Ok(())
    }

    /// Makes `owner` the owner of `table` if it has none, which is answered; everything else stays
    /// as it is.
    ///
    /// # Errors
    /// The database fails.
    pub async fn claim(&self, table: &TableIdent, owner: &str) -> Result<bool, Error> {
        let none: BTreeMap<String, String> = BTreeMap::new();
        let query = sql!(
            "INSERT INTO table_metadata
                 (namespace, layer, name, description, owner, column_descriptions, updated_at)
             VALUES ($1, $2, $3, '', $4, $5, $6)
             ON CONFLICT (namespace, layer, name) DO UPDATE SET
                 owner = excluded.owner,
                 updated_at = excluded.updated_at
             WHERE table_metadata.owner = ''",
            table.namespace.as_str(),
            table.layer.as_str(),
            table.name.as_str(),
            owner,
            encode("column descriptions", &none)?,
            now(),
        );
        Ok(self.pool.execute(query).await? > 0)
    }

    /// Forgets what was said about `table`; nothing happens where nothing was.
    ///
    /// # Errors
    /// The database fails.
    pub async fn delete(&self, table: &TableIdent) -> Result<(), Error> {
        let query = sql!(
            "DELETE FROM table_metadata WHERE namespace = $1 AND layer = $2 AND name = $3",
            table.namespace.as_str(),
            table.layer.as_str(),
            table.name.as_str(),
        );
        self.pool.execute(query).await?;
        Ok(())
    }
}

pub(crate) async fn delete_namespace(
    tx: &mut Transaction,
    namespace: &NamespaceName,
) -> Result<(), Error> {
    tx.execute(sql!(
        "DELETE FROM table_metadata WHERE namespace = $1",
        namespace.as_str()
    ))
    .await?;
    Ok(())
}
