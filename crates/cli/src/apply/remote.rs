//! What the server has, as far as a project touches it.

use std::collections::{BTreeMap, BTreeSet};

use rat_types::{NamespaceName, TableIdent};

use crate::client::{
    Client, Error, NamespaceList, Pipeline, PipelineList, TableList, Zone, ZoneList,
};

/// Pipelines and tables of the whole server, zones of the project's namespaces.
#[derive(Debug, Clone, Default)]
pub struct Remote {
    namespaces: BTreeSet<String>,
    pipelines: BTreeMap<TableIdent, Pipeline>,
    depends: BTreeMap<TableIdent, BTreeSet<TableIdent>>,
    tables: BTreeSet<TableIdent>,
    zones: BTreeSet<(String, String)>,
}

impl Remote {
    /// Asks the server.
    ///
    /// # Errors
    /// Whatever a request ended with.
    pub async fn load(client: &Client, wanted: BTreeSet<NamespaceName>) -> Result<Self, Error> {
        let namespaces = client
            .list::<NamespaceList>("/api/v1/namespaces", &[])
            .await?;
        let pipelines = client
            .list::<PipelineList>("/api/v1/pipelines", &[])
            .await?;
        let tables = client.list::<TableList>("/api/v1/tables", &[]).await?;
        let mut zones: Vec<Zone> = Vec::new();
        for namespace in wanted {
            let query = [("namespace", namespace.to_string())];
            zones.extend(
                client
                    .list::<ZoneList>("/api/v1/landing-zones", &query)
                    .await?,
            );
        }
        let mut remote = Self {
            namespaces: namespaces
                .into_iter()
                .map(|namespace| namespace.name)
                .collect(),
            zones: zones
                .into_iter()
                .map(|zone| (zone.namespace, zone.name))
                .collect(),
            ..Self::default()
        };
        // Names that this program does not accept cannot be referred to by a project either.
        for table in tables {
            let name = format!("{}.{}.{}", table.namespace, table.layer, table.name);
            remote.tables.extend(name.parse::<TableIdent>());
        }
        for pipeline in pipelines {
            if let Ok(ident) = pipeline.ident() {
                let depends = pipeline
                    .depends_on
                    .iter()
                    .filter_map(|name| name.parse().ok());
                remote.depends.insert(ident.clone(), depends.collect());
                remote.pipelines.insert(ident, pipeline);
            }
        }
        Ok(remote)
    }

    /// Whether a namespace exists.
    pub fn has_namespace(&self, name: &NamespaceName) -> bool {
        self.namespaces.contains(name.as_str())
    }

    /// Whether a zone exists.
    pub fn has_zone(&self, zone: &rat_types::ZoneIdent) -> bool {
        self.zones
            .contains(&(zone.namespace.to_string(), zone.name.to_string()))
    }

    /// Whether a table exists or a pipeline will write it.
    pub fn has_table(&self, ident: &TableIdent) -> bool {
        self.pipelines.contains_key(ident) || self.tables.contains(ident)
    }

    /// Every table that exists or has a pipeline.
    pub fn tables(&self) -> impl Iterator<Item = &TableIdent> {
        self.pipelines.keys().chain(&self.tables)
    }

    /// The pipelines.
    pub fn pipelines(&self) -> &BTreeMap<TableIdent, Pipeline> {
        &self.pipelines
    }

    /// What each pipeline reads.
    pub fn dependencies(&self) -> &BTreeMap<TableIdent, BTreeSet<TableIdent>> {
        &self.depends
    }
}
