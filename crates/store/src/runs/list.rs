//! Lists of runs.

use chrono::{DateTime, Utc};
use rat_sql::{Builder, Query};
use rat_types::{Layer, NamespaceName, RunStatus, TableName};

use crate::{Only, Paging};

/// Fields that a list of runs can be sorted by.
const SORT_FIELDS: [&str; 6] = [
    "created_at",
    "started_at",
    "finished_at",
    "status",
    "run_trigger",
    "duration_ms",
];

/// Which runs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of pipelines in this namespace only.
    pub namespace: Option<NamespaceName>,
    /// Of pipelines in this layer only.
    pub layer: Option<Layer>,
    /// Of pipelines with this name only.
    pub pipeline: Option<TableName>,
    /// Of this selection of pipelines only.
    pub only: Option<Only>,
    /// In this state only.
    pub status: Option<RunStatus>,
    /// Started at this time or later.
    pub started_after: Option<DateTime<Utc>>,
    /// Started at this time or earlier.
    pub started_before: Option<DateTime<Utc>>,
    /// Page and order; fields `created_at`, `started_at`, `finished_at`, `status`, `trigger`,
    /// `duration_ms`. Default: newest first.
    pub paging: Paging,
}

impl RunFilter {
    pub(super) fn count(&self) -> Query {
        let mut query = Builder::new("SELECT COUNT(*) FROM runs");
        self.push_where(&mut query);
        query.build()
    }

    pub(super) fn select(&self) -> Query {
        let mut query = Builder::new("SELECT * FROM runs");
        self.push_where(&mut query);
        query.push(
            &self
                .paging()
                .order_by(&SORT_FIELDS, "created_at DESC", "id DESC"),
        );
        query.push(" LIMIT ").bind(self.paging.limit());
        query.push(" OFFSET ").bind(self.paging.offset);
        query.build()
    }

    fn push_where(&self, query: &mut Builder) {
        query.push(" WHERE TRUE");
        if let Some(namespace) = &self.namespace {
            query.push(" AND namespace = ").bind(namespace.as_str());
        }
        if let Some(layer) = self.layer {
            query.push(" AND layer = ").bind(layer.as_str());
        }
        if let Some(name) = &self.pipeline {
            query.push(" AND name = ").bind(name.as_str());
        }
        if let Some(only) = &self.only {
            only.push(query, "pipeline_id");
        }
        if let Some(status) = self.status {
            query.push(" AND status = ").bind(status.as_str());
        }
        if let Some(after) = self.started_after {
            query.push(" AND started_at >= ").bind(after);
        }
        if let Some(before) = self.started_before {
            query.push(" AND started_at <= ").bind(before);
        }
    }

    /// The API says `trigger`, a reserved word of SQL, where the column is `run_trigger`.
    fn paging(&self) -> Paging {
        let sort = match self.paging.sort.as_deref() {
            Some("trigger") => Some("run_trigger".to_owned()),
            Some("-trigger") => Some("-run_trigger".to_owned()),
            _ => self.paging.sort.clone(),
        };
        Paging {
            sort,
            ..self.paging.clone()
        }
    }
}
