//! A lake in memory, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use rat_types::{NamespaceName, TableIdent};

use crate::Error;
use crate::tables::Tables;

#[derive(Debug, Default)]
pub(crate) struct FakeTables(BTreeMap<TableIdent, Arc<dyn TableProvider>>);

impl FakeTables {
    /// With tables of the columns `id` (0, 1, …) and `name` (n0, n1, …).
    pub(crate) fn new(tables: &[(&str, i64)]) -> Self {
        let table = |(name, rows): &(&str, i64)| {
            let ids = Int64Array::from_iter_values(0..*rows);
            let names = StringArray::from_iter_values((0..*rows).map(|row| format!("n{row}")));
            let columns = [("id", Arc::new(ids) as ArrayRef), ("name", Arc::new(names))];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
            (
                name.parse().unwrap(),
                Arc::new(table) as Arc<dyn TableProvider>,
            )
        };
        Self(tables.iter().map(table).collect())
    }
}

#[async_trait]
impl Tables for FakeTables {
    async fn load(&self, ident: &TableIdent) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        Ok(self.0.get(ident).cloned())
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, Error> {
        let names: BTreeSet<_> = self.0.keys().map(|ident| ident.namespace.clone()).collect();
        Ok(names.into_iter().collect())
    }

    async fn names(&self, namespace: &NamespaceName) -> Vec<TableIdent> {
        self.0
            .keys()
            .filter(|ident| ident.namespace == *namespace)
            .cloned()
            .collect()
    }
}
