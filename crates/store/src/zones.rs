//! Landing zones: where files arrive, and which files arrived.
//!
//! A record of a file says that it lies completely under the zone's folder; writing the file comes
//! first, the record second.

mod file;
mod zone;

use rat_sql::{Builder, Pool, Transaction, sql};
use rat_types::{NamespaceName, ZoneIdent};
use uuid::Uuid;

use crate::error::{Constraint, must_change};
use crate::time::now;
use crate::{Error, namespaces};

pub use file::{NewZoneFile, ZoneFileRecord};
pub use zone::{NewZone, ZoneRecord, ZoneUpdate};

/// Landing zones. From [`crate::Store::zones`].
#[derive(Debug)]
pub struct Zones<'a> {
    pool: &'a Pool,
}

impl<'a> Zones<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// Creates a zone.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NotFound`] for the namespace, or the database fails.
    pub async fn create(&self, new: &NewZone) -> Result<ZoneRecord, Error> {
        rat_sql::retry(|| self.try_create(new)).await?;
        self.get(&new.ident)
            .await?
            .ok_or_else(|| Error::not_found("landing zone", &new.ident))
    }

    async fn try_create(&self, new: &NewZone) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        namespaces::require(&mut tx, &new.ident.namespace).await?;
        let query = sql!(
            "INSERT INTO landing_zones (id, namespace, name, description, owner, expected_schema,
                                        auto_purge, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, '', FALSE, $6, $6)",
            Uuid::now_v7().to_string(),
            new.ident.namespace.as_str(),
            new.ident.name.as_str(),
            &new.description,
            &new.owner,
            now(),
        );
        tx.execute(query)
            .await
            .or_exists("landing zone", &new.ident)?;
        Ok(tx.commit().await?)
    }

    /// The zone `ident`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, ident: &ZoneIdent) -> Result<Option<ZoneRecord>, Error> {
        let query = sql!(
            "SELECT z.id, z.namespace, z.name, z.description, z.owner, z.expected_schema,
                    z.processed_max_age_days, z.auto_purge, z.created_at, z.updated_at,
                    (SELECT COUNT(*) FROM landing_files f WHERE f.zone_id = z.id) AS file_count,
                    (SELECT CAST(COALESCE(SUM(f.size_bytes), 0) AS BIGINT)
                     FROM landing_files f WHERE f.zone_id = z.id) AS total_bytes
             FROM landing_zones z WHERE z.namespace = $1 AND z.name = $2",
            ident.namespace.as_str(),
            ident.name.as_str(),
        );
        Ok(self.pool.fetch_optional(query).await?)
    }

    /// The zones of one namespace, or all, by namespace and name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, namespace: Option<&NamespaceName>) -> Result<Vec<ZoneRecord>, Error> {
        let query = sql!(
            "SELECT z.id, z.namespace, z.name, z.description, z.owner, z.expected_schema,
                    z.processed_max_age_days, z.auto_purge, z.created_at, z.updated_at,
                    (SELECT COUNT(*) FROM landing_files f WHERE f.zone_id = z.id) AS file_count,
                    (SELECT CAST(COALESCE(SUM(f.size_bytes), 0) AS BIGINT)
                     FROM landing_files f WHERE f.zone_id = z.id) AS total_bytes
             FROM landing_zones z WHERE CAST($1 AS TEXT) IS NULL OR z.namespace = $1
             ORDER BY z.namespace, z.name",
            namespace.map(NamespaceName::as_str),
        );
        Ok(self.pool.fetch_all(query).await?)
    }

    /// Changes the given fields and answers the zone as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn update(
        &self,
        ident: &ZoneIdent,
        update: &ZoneUpdate,
    ) -> Result<ZoneRecord, Error> {
        let query = sql!(
            "UPDATE landing_zones SET
                 description = COALESCE($3, description),
                 expected_schema = COALESCE($4, expected_schema),
                 processed_max_age_days = COALESCE($5, processed_max_age_days),
                 auto_purge = COALESCE($6, auto_purge),
                 updated_at = $7
             WHERE namespace = $1 AND name = $2",
            ident.namespace.as_str(),
            ident.name.as_str(),
            update.description.as_deref(),
            update.expected_schema.as_deref(),
            update.processed_max_age_days,
            update.auto_purge,
            now(),
        );
        must_change(self.pool.execute(query).await?, "landing zone", ident)?;
        self.get(ident)
            .await?
            .ok_or_else(|| Error::not_found("landing zone", ident))
    }

    /// Deletes a zone and the records of its files; the files themselves are the caller's.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn delete(&self, ident: &ZoneIdent) -> Result<(), Error> {
        let query = sql!(
            "DELETE FROM landing_zones WHERE namespace = $1 AND name = $2",
            ident.namespace.as_str(),
            ident.name.as_str(),
        );
        must_change(self.pool.execute(query).await?, "landing zone", ident)
    }

    /// Records a file that arrived. With `overwrite` a record for the same path is replaced and
    /// keeps its id.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] for the path without `overwrite`, [`Error::NotFound`] for the
    /// zone, [`Error::Invalid`] for an impossible path, or the database fails.
    pub async fn add_file(
        &self,
        zone: &ZoneIdent,
        new: &NewZoneFile,
        overwrite: bool,
    ) -> Result<ZoneFileRecord, Error> {
        crate::files::check_path(&new.path)?;
        rat_sql::retry(|| self.try_add_file(zone, new, overwrite)).await
    }

    async fn try_add_file(
        &self,
        zone: &ZoneIdent,
        new: &NewZoneFile,
        overwrite: bool,
    ) -> Result<ZoneFileRecord, Error> {
        let mut tx = self.pool.begin().await?;
        let zone_id = lock_zone(&mut tx, zone).await?;
        write_file(&mut tx, &zone_id, new, overwrite)
            .await
            .or_exists("landing file", &new.path)?;
        let query = sql!(
            "SELECT * FROM landing_files WHERE zone_id = $1 AND path = $2",
            &zone_id,
            &new.path,
        );
        let record = tx.fetch_one(query).await?;
        tx.commit().await?;
        Ok(record)
    }

    /// The files of a zone by path. Empty for a zone that does not exist.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list_files(&self, zone: &ZoneIdent) -> Result<Vec<ZoneFileRecord>, Error> {
        let query = sql!(
            "SELECT f.* FROM landing_files f JOIN landing_zones z ON z.id = f.zone_id
             WHERE z.namespace = $1 AND z.name = $2
             ORDER BY f.path",
            zone.namespace.as_str(),
            zone.name.as_str(),
        );
        Ok(self.pool.fetch_all(query).await?)
    }

    /// The file of `zone` with this id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get_file(
        &self,
        zone: &ZoneIdent,
        id: &str,
    ) -> Result<Option<ZoneFileRecord>, Error> {
        self.file_where("id", id, zone).await
    }

    /// The file of `zone` at this path.
    ///
    /// # Errors
    /// The database fails.
    pub async fn file_at(
        &self,
        zone: &ZoneIdent,
        path: &str,
    ) -> Result<Option<ZoneFileRecord>, Error> {
        self.file_where("path", path, zone).await
    }

    /// The file of `zone` whose `column` has this value.
    async fn file_where(
        &self,
        column: &'static str,
        value: &str,
        zone: &ZoneIdent,
    ) -> Result<Option<ZoneFileRecord>, Error> {
        let mut query = Builder::new(
            "SELECT f.* FROM landing_files f JOIN landing_zones z ON z.id = f.zone_id",
        );
        query
            .push(" WHERE z.namespace = ")
            .bind(zone.namespace.as_str());
        query.push(" AND z.name = ").bind(zone.name.as_str());
        query.push(" AND f.").push(column).push(" = ").bind(value);
        Ok(self.pool.fetch_optional(query.build()).await?)
    }

    /// Deletes the record of a file; the file itself is the caller's.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn delete_file(&self, zone: &ZoneIdent, id: &str) -> Result<(), Error> {
        let query = sql!(
            "DELETE FROM landing_files
             WHERE id = $3 AND zone_id IN
                 (SELECT z.id FROM landing_zones z WHERE z.namespace = $1 AND z.name = $2)",
            zone.namespace.as_str(),
            zone.name.as_str(),
            id,
        );
        must_change(self.pool.execute(query).await?, "landing file", id)
    }
}

/// Notes on the zone that something in it changed, which locks it, and answers its id.
async fn lock_zone(tx: &mut Transaction, zone: &ZoneIdent) -> Result<String, Error> {
    let query = sql!(
        "UPDATE landing_zones SET updated_at = $3 WHERE namespace = $1 AND name = $2 RETURNING id",
        zone.namespace.as_str(),
        zone.name.as_str(),
        now(),
    );
    tx.fetch_optional(query)
        .await?
        .ok_or_else(|| Error::not_found("landing zone", zone))
}

async fn write_file(
    tx: &mut Transaction,
    zone_id: &str,
    new: &NewZoneFile,
    overwrite: bool,
) -> Result<u64, rat_sql::Error> {
    let mut query = Builder::new(
        "INSERT INTO landing_files (id, zone_id, path, size_bytes, content_type, uploaded_by,
                                    uploaded_at, hash)
         VALUES (",
    );
    query.bind(Uuid::now_v7().to_string());
    query.push(", ").bind(zone_id);
    query.push(", ").bind(&new.path);
    query.push(", ").bind(new.size_bytes);
    query.push(", ").bind(&new.content_type);
    query.push(", ").bind(&new.uploaded_by);
    query.push(", ").bind(now());
    query.push(", ").bind(&new.hash);
    query.push(")");
    if overwrite {
        query.push(
            " ON CONFLICT (zone_id, path) DO UPDATE SET size_bytes = excluded.size_bytes,
                 content_type = excluded.content_type, uploaded_by = excluded.uploaded_by,
                 uploaded_at = excluded.uploaded_at, hash = excluded.hash",
        );
    }
    tx.execute(query.build()).await
}
