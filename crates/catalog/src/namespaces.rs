//! Namespaces as Iceberg sees them.
//!
//! `[ns]` is a row of the store. `[ns, bronze]`, `[ns, silver]` and `[ns, gold]` are there for
//! every namespace, and nothing else is. Owner, comment and location are shown among the
//! properties; of these only the comment can be set.

use std::collections::{BTreeMap, BTreeSet};

use rat_types::{Identity, Layer, NamespaceName};

use crate::Error;
use crate::catalog::Catalog;
use crate::name::Namespace;

const OWNER: &str = "owner";
const COMMENT: &str = "comment";
const LOCATION: &str = "location";

/// What became of an update of properties.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PropertyChanges {
    pub(crate) updated: Vec<String>,
    pub(crate) removed: Vec<String>,
    pub(crate) missing: Vec<String>,
}

impl Catalog {
    /// The namespaces directly under `parent`, sorted.
    pub(crate) async fn list_namespaces(
        &self,
        parent: Option<&Namespace>,
    ) -> Result<Vec<Namespace>, Error> {
        let Some(parent) = parent else {
            let rows = self.store().namespaces().list().await?;
            return Ok(rows
                .into_iter()
                .map(|row| Namespace::Top(row.name))
                .collect());
        };
        self.require_namespace(parent).await?;
        Ok(match parent {
            Namespace::Top(name) => Layer::ALL
                .into_iter()
                .map(|layer| Namespace::Layered(name.clone(), layer))
                .collect(),
            Namespace::Layered(..) => Vec::new(),
        })
    }

    /// # Errors
    /// [`Error::NoSuchNamespace`].
    pub(crate) async fn require_namespace(&self, namespace: &Namespace) -> Result<(), Error> {
        match self.store().namespaces().get(namespace.name()).await? {
            Some(_) => Ok(()),
            None => Err(missing(namespace)),
        }
    }

    /// Creates a namespace, and for a layer the namespace it is in.
    ///
    /// # Errors
    /// [`Error::NamespaceExists`]: the layers of a namespace exist with it.
    pub(crate) async fn create_namespace(
        &self,
        owner: &Identity,
        namespace: &Namespace,
        properties: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Error> {
        refuse_reserved(properties.keys())?;
        let comment = match namespace {
            Namespace::Top(_) => properties.get(COMMENT).cloned().unwrap_or_default(),
            Namespace::Layered(..) => String::new(),
        };
        let namespaces = self.store().namespaces();
        match namespaces
            .create(namespace.name(), &comment, &owner.user_id)
            .await
        {
            Ok(_) => {}
            Err(rat_store::Error::AlreadyExists { .. }) => {
                return Err(Error::NamespaceExists {
                    namespace: namespace.to_string(),
                });
            }
            Err(error) => return Err(error.into()),
        }
        self.update_properties(namespace, &[], properties).await?;
        self.namespace_properties(namespace).await
    }

    pub(crate) async fn namespace_properties(
        &self,
        namespace: &Namespace,
    ) -> Result<BTreeMap<String, String>, Error> {
        let row = self.store().namespaces().get(namespace.name()).await?;
        let row = row.ok_or_else(|| missing(namespace))?;
        let (name, layer) = (namespace.name(), namespace.layer());
        let mut properties = self
            .store()
            .tables()
            .namespace_properties(name, layer)
            .await?;
        let folder = namespace.levels().join("/");
        let location = format!("{}/{folder}", self.warehouse().location());
        properties.insert(LOCATION.to_owned(), location);
        properties.insert(OWNER.to_owned(), row.owner);
        if layer.is_none() && !row.description.is_empty() {
            properties.insert(COMMENT.to_owned(), row.description);
        }
        Ok(properties)
    }

    /// Removes, then sets.
    ///
    /// # Errors
    /// [`Error::Contradiction`] for a property in both; [`Error::Invalid`] for one that cannot be
    /// set.
    pub(crate) async fn update_properties(
        &self,
        namespace: &Namespace,
        removals: &[String],
        mut updates: BTreeMap<String, String>,
    ) -> Result<PropertyChanges, Error> {
        if let Some(key) = removals.iter().find(|key| updates.contains_key(*key)) {
            return Err(Error::Contradiction { key: key.clone() });
        }
        refuse_reserved(updates.keys().chain(removals))?;
        let row = self.store().namespaces().get(namespace.name()).await?;
        let row = row.ok_or_else(|| missing(namespace))?;
        let mut changes = PropertyChanges {
            updated: updates.keys().cloned().collect(),
            ..PropertyChanges::default()
        };
        let (name, layer) = (namespace.name(), namespace.layer());
        if layer.is_none() {
            let removed = removals.iter().any(|key| key == COMMENT);
            if let Some(comment) = updates.remove(COMMENT).or(removed.then(String::new)) {
                self.store().namespaces().update(name, &comment).await?;
            }
            if removed && !row.description.is_empty() {
                changes.removed.push(COMMENT.to_owned());
            }
        }
        let tables = self.store().tables();
        changes.removed.extend(
            tables
                .update_namespace_properties(name, layer, removals, &updates)
                .await?,
        );
        let removed: BTreeSet<&String> = changes.removed.iter().collect();
        changes.missing = removals
            .iter()
            .filter(|key| !removed.contains(key))
            .cloned()
            .collect();
        Ok(changes)
    }

    /// Drops an empty namespace. A layer goes on existing as long as its namespace does; dropping
    /// it forgets its properties.
    ///
    /// # Errors
    /// [`Error::NamespaceNotEmpty`], [`Error::NoSuchNamespace`].
    pub(crate) async fn drop_namespace(&self, namespace: &Namespace) -> Result<(), Error> {
        let Namespace::Layered(name, layer) = namespace else {
            return match self.delete_namespace(namespace.name()).await {
                Err(Error::Store(rat_store::Error::NotFound { .. })) => Err(missing(namespace)),
                Err(Error::Store(rat_store::Error::InUse { by, .. })) => {
                    Err(Error::NamespaceNotEmpty {
                        namespace: namespace.to_string(),
                        by,
                    })
                }
                result => result,
            };
        };
        self.require_namespace(namespace).await?;
        self.require_no_tables(namespace).await?;
        let tables = self.store().tables();
        let stored = tables.namespace_properties(name, Some(*layer)).await?;
        let keys: Vec<String> = stored.into_keys().collect();
        tables
            .update_namespace_properties(name, Some(*layer), &keys, &BTreeMap::new())
            .await?;
        Ok(())
    }
}

impl Catalog {
    /// Deletes a namespace that nothing uses, whatever holds its tables.
    ///
    /// # Errors
    /// As the store says it; [`Error::NamespaceNotEmpty`] for tables in an external catalog.
    pub async fn delete_namespace(&self, name: &NamespaceName) -> Result<(), Error> {
        if self.is_shared() {
            self.require_no_tables(&Namespace::Top(name.clone()))
                .await?;
        }
        self.store().namespaces().delete(name).await?;
        self.tables().forget_namespace(name).await;
        Ok(())
    }

    async fn require_no_tables(&self, namespace: &Namespace) -> Result<(), Error> {
        let tables = self.list_tables(Some(namespace.name()), namespace.layer());
        match tables.await?.len() {
            0 => Ok(()),
            count => Err(Error::NamespaceNotEmpty {
                namespace: namespace.to_string(),
                by: format!("{count} table{}", if count == 1 { "" } else { "s" }),
            }),
        }
    }
}

fn missing(namespace: &Namespace) -> Error {
    Error::NoSuchNamespace {
        namespace: namespace.to_string(),
    }
}

fn refuse_reserved<'a>(mut keys: impl Iterator<Item = &'a String>) -> Result<(), Error> {
    match keys.find(|key| [OWNER, LOCATION].contains(&key.as_str())) {
        Some(key) => Err(Error::invalid(format!(
            "the property {key:?} is kept by the catalog"
        ))),
        None => Ok(()),
    }
}
