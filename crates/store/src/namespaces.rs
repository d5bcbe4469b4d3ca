//! Namespaces: the unit of ownership.

use chrono::{DateTime, Utc};
use rat_sql::{FromRow, Pool, Row, Transaction, sql};
use rat_types::NamespaceName;

use crate::Error;
use crate::error::{Constraint, must_change};
use crate::time::now;

/// The namespace that every installation has.
const DEFAULT: &str = "default";

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// Name.
    pub name: NamespaceName,
    /// Free text; empty where nothing was said.
    pub description: String,
    /// User id of who created it, or took it over since.
    pub owner: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

impl FromRow for NamespaceRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            name: row.parse("name")?,
            description: row.get("description")?,
            owner: row.get("owner")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Namespaces. From [`crate::Store::namespaces`].
#[derive(Debug)]
pub struct Namespaces<'a> {
    pool: &'a Pool,
}

impl<'a> Namespaces<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// All namespaces by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self) -> Result<Vec<NamespaceRecord>, Error> {
        let query =
            sql!("SELECT name, description, owner, created_at FROM namespaces ORDER BY name");
        Ok(self.pool.fetch_all(query).await?)
    }

    /// The namespace called `name`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, name: &NamespaceName) -> Result<Option<NamespaceRecord>, Error> {
        let query = sql!(
            "SELECT name, description, owner, created_at FROM namespaces WHERE name = $1",
            name.as_str(),
        );
        Ok(self.pool.fetch_optional(query).await?)
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], or the database fails.
    pub async fn create(
        &self,
        name: &NamespaceName,
        description: &str,
        owner: &str,
    ) -> Result<NamespaceRecord, Error> {
        let created_at = now();
        let query = sql!(
            "INSERT INTO namespaces (name, description, owner, created_at) VALUES ($1, $2, $3, $4)",
            name.as_str(),
            description,
            owner,
            created_at,
        );
        self.pool
            .execute(query)
            .await
            .or_exists("namespace", name)?;
        Ok(NamespaceRecord {
            name: name.clone(),
            description: description.to_owned(),
            owner: owner.to_owned(),
            created_at,
        })
    }

    /// Replaces the description.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn update(&self, name: &NamespaceName, description: &str) -> Result<(), Error> {
        let query = sql!(
            "UPDATE namespaces SET description = $2 WHERE name = $1",
            name.as_str(),
            description,
        );
        must_change(self.pool.execute(query).await?, "namespace", name)
    }

    /// Deletes an empty namespace, with the history of pipelines that were deleted before and with
    /// files that belong to no pipeline.
    ///
    /// # Errors
    /// [`Error::InUse`] while it has pipelines, landing zones or tables, [`Error::Protected`] for
    /// `default`, [`Error::NotFound`], or the database fails.
    pub async fn delete(&self, name: &NamespaceName) -> Result<(), Error> {
        if name.as_str() == DEFAULT {
            return Err(Error::Protected {
                name: name.to_string(),
            });
        }
        rat_sql::retry(|| self.try_delete(name)).await
    }

    async fn try_delete(&self, name: &NamespaceName) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        require(&mut tx, name).await?;
        if let Some(by) = users(&mut tx, name).await? {
            return Err(Error::InUse {
                what: "namespace",
                key: name.to_string(),
                by,
            });
        }
        // Only soft-deleted pipelines are left; their runs go with them.
        tx.execute(sql!(
            "DELETE FROM pipelines WHERE namespace = $1",
            name.as_str()
        ))
        .await?;
        crate::files::delete_folder(&mut tx, &format!("{name}/")).await?;
        crate::table_metadata::delete_namespace(&mut tx, name).await?;
        crate::tables::delete_properties(&mut tx, name).await?;
        tx.execute(sql!(
            "DELETE FROM namespaces WHERE name = $1",
            name.as_str()
        ))
        .await?;
        Ok(tx.commit().await?)
    }
}

/// Locks the namespace's row until the transaction ends, and says whether there is one.
///
/// An UPDATE that changes nothing is the row lock that both databases have. It stands between two
/// transactions that would each be right alone: deleting a namespace and creating a table in it,
/// or two files of one pipeline that both want to write its source hash.
pub(crate) async fn lock(tx: &mut Transaction, name: &NamespaceName) -> Result<bool, Error> {
    let query = sql!(
        "UPDATE namespaces SET description = description WHERE name = $1",
        name.as_str()
    );
    Ok(tx.execute(query).await? == 1)
}

/// [`lock`] for a namespace that must exist.
pub(crate) async fn require(tx: &mut Transaction, name: &NamespaceName) -> Result<(), Error> {
    if lock(tx, name).await? {
        Ok(())
    } else {
        Err(Error::not_found("namespace", name))
    }
}

/// What keeps a namespace from being deleted.
async fn users(tx: &mut Transaction, name: &NamespaceName) -> Result<Option<String>, Error> {
    let pipelines = sql!(
        "SELECT COUNT(*) FROM pipelines WHERE namespace = $1 AND deleted_at IS NULL",
        name.as_str(),
    );
    let zones = sql!(
        "SELECT COUNT(*) FROM landing_zones WHERE namespace = $1",
        name.as_str()
    );
    let counts = [
        (tx.fetch_one(pipelines).await?, "pipeline"),
        (tx.fetch_one(zones).await?, "landing zone"),
        (crate::tables::count(tx, name).await?, "table"),
    ];
    let users: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    Ok((!users.is_empty()).then(|| users.join(", ")))
}
