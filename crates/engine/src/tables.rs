//! The tables that a statement names, loaded once and pinned.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::sql::TableReference;
use futures::future::try_join_all;
use rat_types::{InvalidName, NamespaceName, TableIdent};

use crate::Error;

/// Pinned tables by name.
pub(crate) type Pinned = BTreeMap<TableIdent, Arc<dyn TableProvider>>;

/// Where tables come from.
#[async_trait]
pub(crate) trait Tables: fmt::Debug + Send + Sync {
    /// The table as it is on `main` now; `None` if there is none, or the caller may not know.
    async fn load(&self, ident: &TableIdent) -> Result<Option<Arc<dyn TableProvider>>, Error>;

    /// The namespaces that the caller may see.
    async fn namespaces(&self) -> Result<Vec<NamespaceName>, Error>;

    /// What tables there are in a namespace, to suggest one. May be incomplete.
    async fn names(&self, namespace: &NamespaceName) -> Vec<TableIdent>;
}

/// What a name in a statement means.
pub(crate) fn ident_of(
    reference: &TableReference,
    namespace: &NamespaceName,
) -> Result<TableIdent, Error> {
    let parsed = match reference {
        TableReference::Bare { table } => {
            let hint = match is_file_name(table) {
                true => {
                    ", and the name of a file is no table's: files are read from landing zones, \
                         by pipelines"
                        .to_owned()
                }
                false => format!(", a table's name has its layer: bronze.{table}"),
            };
            return Err(Error::TableNotFound {
                table: shown(table),
                hint,
            });
        }
        TableReference::Partial { schema, table } => parse(namespace.as_str(), schema, table),
        TableReference::Full {
            catalog,
            schema,
            table,
        } => parse(catalog, schema, table),
    };
    parsed.map_err(|error| Error::TableNotFound {
        table: shown(&reference.to_string()),
        hint: format!(": {error}"),
    })
}

fn parse(namespace: &str, layer: &str, name: &str) -> Result<TableIdent, InvalidName> {
    Ok(TableIdent {
        namespace: namespace.parse()?,
        layer: layer.parse()?,
        name: name.parse()?,
    })
}

fn is_file_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains(['/', '\\', '*'])
        || [
            ".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".txt", ".gz", ".zst",
        ]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn shown(name: &str) -> String {
    name.chars().take(200).collect()
}

/// Loads all tables of `wanted` that are not in `pinned` yet, and puts them there.
pub(crate) async fn pin(
    tables: &dyn Tables,
    namespace: &NamespaceName,
    wanted: &BTreeSet<TableIdent>,
    pinned: &mut Pinned,
) -> Result<(), Error> {
    let missing = wanted.iter().filter(|ident| !pinned.contains_key(*ident));
    let loaded = try_join_all(missing.map(|ident| async move {
        match tables.load(ident).await? {
            Some(table) => Ok((ident.clone(), table)),
            None => {
                let hint = hint(tables, namespace, ident).await;
                Err(Error::TableNotFound {
                    table: ident.to_string(),
                    hint,
                })
            }
        }
    }))
    .await?;
    pinned.extend(loaded);
    Ok(())
}

async fn hint(tables: &dyn Tables, namespace: &NamespaceName, ident: &TableIdent) -> String {
    let mut names = tables.names(&ident.namespace).await;
    if ident.namespace != *namespace {
        names.extend(tables.names(namespace).await);
    }
    // The right name in the wrong layer or namespace is the commonest mistake.
    if let Some(other) = names.iter().find(|other| other.name == ident.name) {
        return format!(", did you mean {other}?");
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    rat_pipeline::nearest(&ident.to_string(), names.iter().map(String::as_str))
        .map(|near| format!(", did you mean {near}?"))
        .unwrap_or_default()
}
