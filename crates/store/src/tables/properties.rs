//! Properties of the catalog's namespaces.

use std::collections::BTreeMap;

use rat_sql::sql;
use rat_types::{Layer, NamespaceName};

use super::{Tables, layered};
use crate::Error;

const MAX_KEY: usize = 255;
const MAX_VALUE: usize = 1000;

impl Tables<'_> {
    /// Properties of a namespace (`layer` is `None`) or of one of its layers.
    ///
    /// # Errors
    /// The database fails.
    pub async fn namespace_properties(
        &self,
        namespace: &NamespaceName,
        layer: Option<Layer>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let query = sql!(
            "SELECT property_key, property_value FROM iceberg_namespace_properties
             WHERE catalog_name = 'rat' AND namespace = $1",
            text(namespace, layer),
        );
        let rows = self.pool.fetch_rows(query).await?;
        rows.iter()
            .map(|row| Ok((row.get("property_key")?, row.get("property_value")?)))
            .collect()
    }

    /// Removes `removals`, then sets `updates`, in one transaction. Removing what is not there is
    /// no error. Answers which of `removals` were there.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key of more than 255 or a value of more than 1000 characters, or
    /// the database fails.
    pub async fn update_namespace_properties(
        &self,
        namespace: &NamespaceName,
        layer: Option<Layer>,
        removals: &[String],
        updates: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, Error> {
        for (key, value) in updates {
            check(key, value)?;
        }
        let stored = text(namespace, layer);
        rat_sql::retry(|| self.try_update_properties(&stored, removals, updates)).await
    }

    async fn try_update_properties(
        &self,
        namespace: &str,
        removals: &[String],
        updates: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, Error> {
        let mut tx = self.pool.begin().await?;
        let mut removed = Vec::new();
        for key in removals {
            let query = sql!(
                "DELETE FROM iceberg_namespace_properties
                 WHERE catalog_name = 'rat' AND namespace = $1 AND property_key = $2",
                namespace,
                key,
            );
            if tx.execute(query).await? > 0 {
                removed.push(key.clone());
            }
        }
        for (key, value) in updates {
            let query = sql!(
                "INSERT INTO iceberg_namespace_properties
                     (catalog_name, namespace, property_key, property_value)
                 VALUES ('rat', $1, $2, $3)
                 ON CONFLICT (catalog_name, namespace, property_key)
                 DO UPDATE SET property_value = excluded.property_value",
                namespace,
                key,
                value,
            );
            tx.execute(query).await?;
        }
        tx.commit().await?;
        Ok(removed)
    }
}

fn text(namespace: &NamespaceName, layer: Option<Layer>) -> String {
    layer.map_or_else(|| namespace.to_string(), |layer| layered(namespace, layer))
}

fn check(key: &str, value: &str) -> Result<(), Error> {
    if key.is_empty() || key.chars().count() > MAX_KEY {
        let rule = "it must have between 1 and 255 characters";
        return Err(Error::invalid("namespace property", key, rule));
    }
    if value.chars().count() > MAX_VALUE {
        let rule = "it must have at most 1000 characters";
        return Err(Error::invalid("value of a namespace property", value, rule));
    }
    Ok(())
}
