//! The catalog's tables: where the current metadata file of each lies.
//!
//! `iceberg_tables` and `iceberg_namespace_properties` are the tables of PyIceberg's SQL catalog,
//! column by column, under the catalog name `rat`; a namespace is stored as `namespace.layer`. So
//! the lake can be opened without ratd should it ever have to be. Moving a pointer is a
//! compare-and-set on the old location, which is what makes a commit atomic.
//!
//! `staged_tables` is ours: a table that a run created is there, visible to that run only, until
//! publishing promotes it.

mod properties;
mod staged;

use rat_sql::{FromRow, Pool, Row, Transaction, sql};
use rat_types::{Layer, NamespaceName, TableIdent};

use crate::error::{Constraint, must_change};
use crate::{Error, namespaces};

pub use staged::StagedTable;

/// Longest metadata location: PyIceberg's column is VARCHAR(1000).
const MAX_LOCATION: usize = 1000;

/// Where the current metadata of a table lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePointer {
    /// The table.
    pub ident: TableIdent,
    /// URI of the current metadata file.
    pub metadata_location: String,
    /// URI of the one before.
    pub previous: Option<String>,
}

/// The pointer, or `None` for a row that no RAT table can be (some other program wrote it).
struct Found(Option<TablePointer>);

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        let namespace: String = row.get("table_namespace")?;
        let name: String = row.get("table_name")?;
        let location: Option<String> = row.get("metadata_location")?;
        let ident = format!("{namespace}.{name}").parse().ok();
        let (Some(ident), Some(metadata_location)) = (ident, location) else {
            tracing::warn!(%namespace, %name, "ignoring a catalog row that is not a table of rat");
            return Ok(Self(None));
        };
        let previous = row.get("previous_metadata_location")?;
        Ok(Self(Some(TablePointer {
            ident,
            metadata_location,
            previous,
        })))
    }
}

/// The catalog's table pointers. From [`crate::Store::tables`].
#[derive(Debug)]
pub struct Tables<'a> {
    pool: &'a Pool,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// The pointer of `table`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, table: &TableIdent) -> Result<Option<TablePointer>, Error> {
        let query = sql!(
            "SELECT table_namespace, table_name, metadata_location, previous_metadata_location
             FROM iceberg_tables
             WHERE catalog_name = 'rat' AND table_namespace = $1 AND table_name = $2",
            namespace_of(table),
            table.name.as_str(),
        );
        let found: Option<Found> = self.pool.fetch_optional(query).await?;
        Ok(found.and_then(|found| found.0))
    }

    /// Tables in a namespace, in a layer, in both or everywhere, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        &self,
        namespace: Option<&NamespaceName>,
        layer: Option<Layer>,
    ) -> Result<Vec<TablePointer>, Error> {
        let query = sql!(
            "SELECT table_namespace, table_name, metadata_location, previous_metadata_location
             FROM iceberg_tables
             WHERE catalog_name = 'rat'
               AND (CAST($1 AS TEXT) IS NULL OR table_namespace IN ($1, $2, $3))",
            namespace.map(|name| layered(name, Layer::Bronze)),
            namespace.map(|name| layered(name, Layer::Silver)),
            namespace.map(|name| layered(name, Layer::Gold)),
        );
        let found: Vec<Found> = self.pool.fetch_all(query).await?;
        let mut tables: Vec<TablePointer> = found
            .into_iter()
            .filter_map(|found| found.0)
            .filter(|table| layer.is_none_or(|layer| table.ident.layer == layer))
            .collect();
        // Sorted here: PyIceberg's columns have the database's collation, which is not ours.
        tables.sort_by(|a, b| a.ident.cmp(&b.ident));
        Ok(tables)
    }

    /// Adds a table.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NotFound`] for the namespace, [`Error::Invalid`] for a
    /// location that is too long, or the database fails.
    pub async fn insert(&self, table: &TableIdent, location: &str) -> Result<(), Error> {
        check_location(location)?;
        rat_sql::retry(|| self.try_insert(table, location)).await
    }

    async fn try_insert(&self, table: &TableIdent, location: &str) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        insert_pointer(&mut tx, table, location).await?;
        Ok(tx.commit().await?)
    }

    /// Moves the pointer of `table` from `old` to `new`. Answers `false` when it does not stand at
    /// `old`, or there is no such table.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a location that is too long, or the database fails.
    pub async fn compare_and_set(
        &self,
        table: &TableIdent,
        old: &str,
        new: &str,
    ) -> Result<bool, Error> {
        check_location(new)?;
        let query = sql!(
            "UPDATE iceberg_tables
             SET metadata_location = $4, previous_metadata_location = $3
             WHERE catalog_name = 'rat' AND table_namespace = $1 AND table_name = $2
               AND metadata_location = $3",
            namespace_of(table),
            table.name.as_str(),
            old,
            new,
        );
        Ok(self.pool.execute(query).await? == 1)
    }

    /// Removes a table from the catalog; its files are the caller's.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn delete(&self, table: &TableIdent) -> Result<(), Error> {
        let query = sql!(
            "DELETE FROM iceberg_tables
             WHERE catalog_name = 'rat' AND table_namespace = $1 AND table_name = $2",
            namespace_of(table),
            table.name.as_str(),
        );
        must_change(self.pool.execute(query).await?, "table", table)
    }
}

fn layered(namespace: &NamespaceName, layer: Layer) -> String {
    format!("{namespace}.{layer}")
}

fn namespace_of(table: &TableIdent) -> String {
    layered(&table.namespace, table.layer)
}

fn check_location(location: &str) -> Result<(), Error> {
    if location.is_empty() || location.chars().count() > MAX_LOCATION {
        let rule = "it must have between 1 and 1000 characters";
        return Err(Error::invalid("metadata location", location, rule));
    }
    Ok(())
}

async fn insert_pointer(
    tx: &mut Transaction,
    table: &TableIdent,
    location: &str,
) -> Result<(), Error> {
    namespaces::require(tx, &table.namespace).await?;
    let query = sql!(
        "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location,
                                     previous_metadata_location, iceberg_type)
         VALUES ('rat', $1, $2, $3, NULL, 'TABLE')",
        namespace_of(table),
        table.name.as_str(),
        location,
    );
    tx.execute(query).await.or_exists("table", table)?;
    Ok(())
}

/// Number of tables in all layers of a namespace.
pub(crate) async fn count(tx: &mut Transaction, namespace: &NamespaceName) -> Result<u64, Error> {
    let query = sql!(
        "SELECT COUNT(*) FROM iceberg_tables
         WHERE catalog_name = 'rat' AND table_namespace IN ($1, $2, $3)",
        layered(namespace, Layer::Bronze),
        layered(namespace, Layer::Silver),
        layered(namespace, Layer::Gold),
    );
    Ok(tx.fetch_one(query).await?)
}

/// Removes the properties of a namespace and of its layers.
pub(crate) async fn delete_properties(
    tx: &mut Transaction,
    namespace: &NamespaceName,
) -> Result<(), Error> {
    let query = sql!(
        "DELETE FROM iceberg_namespace_properties
         WHERE catalog_name = 'rat' AND namespace IN ($1, $2, $3, $4)",
        namespace.as_str(),
        layered(namespace, Layer::Bronze),
        layered(namespace, Layer::Silver),
        layered(namespace, Layer::Gold),
    );
    tx.execute(query).await?;
    Ok(())
}
