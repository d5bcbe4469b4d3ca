//! Pipelines: what exists, who owns it, and which sources it has now.

use chrono::{DateTime, Utc};
use rat_sql::{Builder, FromRow, Pool, Row, Transaction, sql};
use rat_types::{Layer, NamespaceName, TableIdent, TableName};
use uuid::Uuid;

use crate::error::{Constraint, must_change};
use crate::time::now;
use crate::{Error, Page, Paging, files, namespaces, runs};

/// Fields that a list of pipelines can be sorted by.
const SORT_FIELDS: [&str; 6] = [
    "name",
    "namespace",
    "layer",
    "kind",
    "created_at",
    "updated_at",
];

/// A pipeline, and the table it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRecord {
    /// Id: a UUIDv7.
    pub id: String,
    /// Name of the pipeline and of its table.
    pub ident: TableIdent,
    /// Type of the source: `sql`.
    pub kind: String,
    /// Free text.
    pub description: String,
    /// User id of the owner.
    pub owner: String,
    /// Hash over the files as they are now; `None` while there is none. See
    /// [`crate::source_hash`].
    pub source_hash: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When the record or a source file was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A pipeline to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPipeline {
    /// Name of the pipeline and of its table.
    pub ident: TableIdent,
    /// Type of the source: `sql`.
    pub kind: String,
    /// Free text.
    pub description: String,
    /// User id of the owner.
    pub owner: String,
}

/// What to change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PipelineUpdate {
    /// Type of the source.
    pub kind: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

/// A pipeline and whose it is, also of one that was deleted: its runs are still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineKey {
    /// Id: a UUIDv7.
    pub id: String,
    /// Name of the pipeline.
    pub ident: TableIdent,
    /// User id of the owner.
    pub owner: String,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

/// A selection of pipelines by their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Only {
    /// These.
    These(Vec<String>),
    /// All but these.
    AllBut(Vec<String>),
}

impl Only {
    /// Adds the condition that the id in `column` is among the selected.
    pub(crate) fn push(&self, query: &mut Builder, column: &str) {
        let (ids, word, everything) = match self {
            Self::These(ids) => (ids, "IN", " AND FALSE"),
            Self::AllBut(ids) => (ids, "NOT IN", ""),
        };
        if ids.is_empty() {
            query.push(everything);
            return;
        }
        query.push(&format!(" AND {column} {word} ("));
        for (position, id) in ids.iter().enumerate() {
            if position > 0 {
                query.push(", ");
            }
            query.bind(id.as_str());
        }
        query.push(")");
    }
}

/// Which pipelines to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PipelineFilter {
    /// In this namespace only.
    pub namespace: Option<NamespaceName>,
    /// In this layer only.
    pub layer: Option<Layer>,
    /// Whose name or description contains this text, in upper or lower case.
    pub search: Option<String>,
    /// Of this selection only.
    pub only: Option<Only>,
    /// Page and order; fields `name`, `namespace`, `layer`, `kind` (also as `type`),
    /// `created_at`, `updated_at`. Default: namespace, layer, name.
    pub paging: Paging,
}

impl FromRow for PipelineRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            id: row.get("id")?,
            ident: ident(row)?,
            kind: row.get("kind")?,
            description: row.get("description")?,
            owner: row.get("owner")?,
            source_hash: row.get("source_hash")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

impl FromRow for PipelineKey {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            id: row.get("id")?,
            ident: ident(row)?,
            owner: row.get("owner")?,
            is_deleted: row.get::<Option<DateTime<Utc>>>("deleted_at")?.is_some(),
        })
    }
}

/// The table named by the columns `namespace`, `layer` and `name`.
pub(crate) fn ident(row: &Row) -> Result<TableIdent, rat_sql::Error> {
    Ok(TableIdent {
        namespace: row.parse("namespace")?,
        layer: row.parse("layer")?,
        name: row.parse("name")?,
    })
}

/// Pipelines. From [`crate::Store::pipelines`].
#[derive(Debug)]
pub struct Pipelines<'a> {
    pool: &'a Pool,
}

impl<'a> Pipelines<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// Creates a pipeline, which has no sources yet.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NotFound`] for the namespace, or the database fails.
    pub async fn create(&self, new: &NewPipeline) -> Result<PipelineRecord, Error> {
        rat_sql::retry(|| self.try_create(new)).await
    }

    async fn try_create(&self, new: &NewPipeline) -> Result<PipelineRecord, Error> {
        let mut tx = self.pool.begin().await?;
        namespaces::require(&mut tx, &new.ident.namespace).await?;
        let at = now();
        let record = PipelineRecord {
            id: Uuid::now_v7().to_string(),
            ident: new.ident.clone(),
            kind: new.kind.clone(),
            description: new.description.clone(),
            owner: new.owner.clone(),
            source_hash: None,
            created_at: at,
            updated_at: at,
        };
        let query = sql!(
            "INSERT INTO pipelines (id, namespace, layer, name, kind, description, owner,
                                    source_hash, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            &record.id,
            new.ident.namespace.as_str(),
            new.ident.layer.as_str(),
            new.ident.name.as_str(),
            &record.kind,
            &record.description,
            &record.owner,
            record.source_hash.as_deref(),
            record.created_at,
            record.updated_at,
        );
        tx.execute(query).await.or_exists("pipeline", &new.ident)?;
        tx.commit().await?;
        Ok(record)
    }

    /// The pipeline called `ident`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, ident: &TableIdent) -> Result<Option<PipelineRecord>, Error> {
        let query = sql!(
            "SELECT id, namespace, layer, name, kind, description, owner, source_hash, created_at,
                    updated_at
             FROM pipelines
             WHERE namespace = $1 AND layer = $2 AND name = $3 AND deleted_at IS NULL",
            ident.namespace.as_str(),
            ident.layer.as_str(),
            ident.name.as_str(),
        );
        Ok(self.pool.fetch_optional(query).await?)
    }

    /// Pipelines that match `filter`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, filter: &PipelineFilter) -> Result<Page<PipelineRecord>, Error> {
        let mut count = Builder::new("SELECT COUNT(*) FROM pipelines");
        filter.push_where(&mut count);
        let total: u64 = self.pool.fetch_one(count.build()).await?;

        let mut list = Builder::new("SELECT * FROM pipelines");
        filter.push_where(&mut list);
        list.push(
            &filter
                .paging()
                .order_by(&SORT_FIELDS, "namespace, layer, name", "id"),
        );
        list.push(" LIMIT ").bind(filter.paging.limit());
        list.push(" OFFSET ").bind(filter.paging.offset);
        Ok(Page {
            items: self.pool.fetch_all(list.build()).await?,
            total,
        })
    }

    /// All pipelines by name: of a namespace, of a layer, of a name, or all. Deleted ones are among
    /// them as long as they have runs.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keys(
        &self,
        namespace: Option<&NamespaceName>,
        layer: Option<Layer>,
        name: Option<&TableName>,
    ) -> Result<Vec<PipelineKey>, Error> {
        let query = sql!(
            "SELECT id, namespace, layer, name, owner, deleted_at FROM pipelines
             WHERE namespace = COALESCE($1, namespace) AND layer = COALESCE($2, layer)
                   AND name = COALESCE($3, name)
                   AND (deleted_at IS NULL
                        OR EXISTS (SELECT 1 FROM runs WHERE pipeline_id = pipelines.id))
             ORDER BY namespace, layer, name, id",
            namespace.map(NamespaceName::as_str),
            layer.as_ref().map(Layer::as_str),
            name.map(TableName::as_str),
        );
        Ok(self.pool.fetch_all(query).await?)
    }

    /// Changes the given fields and answers the pipeline as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn update(
        &self,
        ident: &TableIdent,
        update: &PipelineUpdate,
    ) -> Result<PipelineRecord, Error> {
        let query = sql!(
            "UPDATE pipelines SET
                 kind = COALESCE($4, kind),
                 description = COALESCE($5, description),
                 updated_at = $6
             WHERE namespace = $1 AND layer = $2 AND name = $3 AND deleted_at IS NULL",
            ident.namespace.as_str(),
            ident.layer.as_str(),
            ident.name.as_str(),
            update.kind.as_deref(),
            update.description.as_deref(),
            now(),
        );
        must_change(self.pool.execute(query).await?, "pipeline", ident)?;
        self.get(ident)
            .await?
            .ok_or_else(|| Error::not_found("pipeline", ident))
    }

    /// Deletes the pipeline and its source files. Its runs stay as history: those that were
    /// waiting are cancelled and the one that is running is asked to stop. The table stays.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn delete(&self, ident: &TableIdent) -> Result<(), Error> {
        rat_sql::retry(|| self.try_delete(ident)).await
    }

    async fn try_delete(&self, ident: &TableIdent) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        namespaces::lock(&mut tx, &ident.namespace).await?;
        let id = live_id(&mut tx, ident)
            .await?
            .ok_or_else(|| Error::not_found("pipeline", ident))?;
        tx.execute(sql!(
            "UPDATE pipelines SET deleted_at = $2 WHERE id = $1",
            &id,
            now()
        ))
        .await?;
        runs::cancel_all(&mut tx, &id).await?;
        files::delete_folder(&mut tx, &files::pipeline_folder(ident)).await?;
        Ok(tx.commit().await?)
    }
}

impl PipelineFilter {
    fn push_where(&self, query: &mut Builder) {
        query.push(" WHERE deleted_at IS NULL");
        if let Some(namespace) = &self.namespace {
            query.push(" AND namespace = ").bind(namespace.as_str());
        }
        if let Some(layer) = self.layer {
            query.push(" AND layer = ").bind(layer.as_str());
        }
        if let Some(search) = self.search.as_deref().filter(|text| !text.is_empty()) {
            let pattern = rat_sql::like_contains(search);
            query
                .push(" AND (LOWER(name) LIKE ")
                .bind(&pattern)
                .push(r" ESCAPE '\'");
            query
                .push(" OR LOWER(description) LIKE ")
                .bind(&pattern)
                .push(r" ESCAPE '\')");
        }
        if let Some(only) = &self.only {
            only.push(query, "id");
        }
    }

    /// The API says `type` where the column is called `kind`.
    fn paging(&self) -> Paging {
        let sort = match self.paging.sort.as_deref() {
            Some("type") => Some("kind".to_owned()),
            Some("-type") => Some("-kind".to_owned()),
            _ => self.paging.sort.clone(),
        };
        Paging {
            sort,
            ..self.paging.clone()
        }
    }
}

/// Id of the pipeline called `ident` that is not deleted.
pub(crate) async fn live_id(
    tx: &mut Transaction,
    ident: &TableIdent,
) -> Result<Option<String>, Error> {
    let query = sql!(
        "SELECT id FROM pipelines
         WHERE namespace = $1 AND layer = $2 AND name = $3 AND deleted_at IS NULL",
        ident.namespace.as_str(),
        ident.layer.as_str(),
        ident.name.as_str(),
    );
    Ok(tx.fetch_optional(query).await?)
}
