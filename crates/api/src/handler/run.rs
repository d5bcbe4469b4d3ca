//! Runs.

use axum::extract::State;
use axum::response::IntoResponse;
use chrono::Utc;
use http::StatusCode;
use rat_store::{NewRun, RunFilter, RunRecord};
use rat_types::{
    Layer, NamespaceName, Phase, QualityResult, QualityStatus, RunFailure, RunId, RunStatus,
    Severity, TableIdent, TableName,
};
use serde::{Deserialize, Serialize};

use super::pipeline;
use crate::access::{Access, Action, Resource};
use crate::extract::{Json, Path, Query};
use crate::fault::Fault;
use crate::parameter::{Count, Moment};
use crate::state::AppState;
use crate::time::Time;
use crate::{graph, limit};

/// What a caller may say of a run: that somebody wanted it.
const MANUAL: &str = "manual";

#[derive(Serialize)]
struct Run {
    id: RunId,
    pipeline_id: String,
    namespace: NamespaceName,
    layer: Layer,
    pipeline: TableName,
    status: RunStatus,
    trigger: String,
    attempt: u32,
    executor: Option<String>,
    created_by: String,
    source_hash: Option<String>,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    duration_ms: Option<u64>,
    rows_written: Option<u64>,
    bytes_written: Option<u64>,
    snapshot_id: Option<i64>,
    error: Option<RunFailure>,
    cancel_requested: bool,
    phases: Vec<Phase>,
    created_at: Time,
}

impl From<RunRecord> for Run {
    fn from(record: RunRecord) -> Self {
        let TableIdent {
            namespace,
            layer,
            name,
        } = record.pipeline;
        Self {
            id: record.id,
            pipeline_id: record.pipeline_id,
            namespace,
            layer,
            pipeline: name,
            status: record.status,
            trigger: record.trigger,
            attempt: record.attempt,
            executor: record.executor,
            created_by: record.created_by,
            source_hash: record.source_hash,
            started_at: record.started_at.map(Time),
            finished_at: record.finished_at.map(Time),
            duration_ms: record.duration_ms,
            rows_written: record.rows_written,
            bytes_written: record.bytes_written,
            snapshot_id: record.snapshot_id,
            error: record.error,
            cancel_requested: record.cancel_requested,
            phases: record.phases,
            created_at: record.created_at.into(),
        }
    }
}

#[derive(Serialize)]
struct List {
    runs: Vec<Run>,
    total: u64,
}

#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    run: Run,
    quality: Summary,
}

/// How many tests ended how. `failed` counts those that discard a run, `warned` those that do not.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Summary {
    passed: usize,
    warned: usize,
    failed: usize,
    total: usize,
}

#[derive(Serialize)]
struct Quality {
    results: Vec<QualityResult>,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Serialize)]
struct Accepted {
    run_id: RunId,
    status: RunStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    namespace: NamespaceName,
    layer: Layer,
    pipeline: TableName,
    #[serde(default = "manual")]
    trigger: String,
}

fn manual() -> String {
    MANUAL.to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    namespace: Option<NamespaceName>,
    layer: Option<Layer>,
    pipeline: Option<TableName>,
    status: Option<RunStatus>,
    started_after: Option<Moment>,
    started_before: Option<Moment>,
    sort: Option<String>,
    limit: Option<Count>,
    offset: Option<Count>,
}

#[derive(Deserialize)]
pub(crate) struct Id {
    pub(crate) run_id: RunId,
}

impl Summary {
    fn of(results: &[QualityResult]) -> Self {
        let mut summary = Self {
            total: results.len(),
            ..Self::default()
        };
        for result in results {
            match (result.status, result.severity) {
                (QualityStatus::Pass, _) => summary.passed += 1,
                (_, Severity::Warn) => summary.warned += 1,
                (_, Severity::Error) => summary.failed += 1,
            }
        }
        summary
    }
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, Fault> {
    let paging = limit::page(filter.limit, filter.offset, filter.sort)?;
    let only = access
        .visible_pipelines(
            filter.namespace.as_ref(),
            filter.layer,
            filter.pipeline.as_ref(),
        )
        .await?;
    let filter = RunFilter {
        namespace: filter.namespace,
        layer: filter.layer,
        pipeline: filter.pipeline,
        only,
        status: filter.status,
        started_after: filter.started_after.map(|moment| moment.0),
        started_before: filter.started_before.map(|moment| moment.0),
        paging,
    };
    let page = state.store.runs().list(&filter).await?;
    let runs = page.items.into_iter().map(Run::from).collect();
    Ok(axum::Json(List {
        runs,
        total: page.total,
    }))
}

pub(crate) async fn create(
    State(state): State<AppState>,
    access: Access,
    Json(body): Json<Create>,
) -> Result<impl IntoResponse, Fault> {
    if body.trigger != MANUAL {
        let message =
            format!("trigger: must be {MANUAL:?}; RAT itself names what else starts runs");
        return Err(Fault::invalid(message));
    }
    let ident = TableIdent {
        namespace: body.namespace,
        layer: body.layer,
        name: body.pipeline,
    };
    access
        .check(&Resource::pipeline(&ident), Action::Run)
        .await?;
    pipeline::require(&state, &ident).await?;
    if let Some(cycle) = graph::find_cycle(&state, &ident).await? {
        return Err(
            Fault::invalid(graph::describe(&access, &cycle).await?).because("DEPENDENCY_CYCLE")
        );
    }
    let new = NewRun {
        id: RunId::new_at(Utc::now()),
        pipeline: ident,
        trigger: body.trigger,
        created_by: access.user().to_owned(),
        created_by_roles: access.identity().roles.clone(),
    };
    let run = state.store.runs().create(&new).await?;
    state.scheduler.notify();
    let accepted = Accepted {
        run_id: run.id,
        status: run.status,
    };
    Ok((StatusCode::ACCEPTED, axum::Json(accepted)))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(Id { run_id }): Path<Id>,
) -> Result<impl IntoResponse, Fault> {
    let run = access.run(&state, run_id, Action::Read).await?;
    let quality = Summary::of(&state.store.quality().list(run_id).await?);
    Ok(axum::Json(Detail {
        run: run.into(),
        quality,
    }))
}

pub(crate) async fn cancel(
    State(state): State<AppState>,
    access: Access,
    Path(Id { run_id }): Path<Id>,
) -> Result<impl IntoResponse, Fault> {
    access.run(&state, run_id, Action::Run).await?;
    let status = state.scheduler.cancel(run_id, access.user()).await?;
    Ok(axum::Json(Accepted { run_id, status }))
}

pub(crate) async fn quality(
    State(state): State<AppState>,
    access: Access,
    Path(Id { run_id }): Path<Id>,
) -> Result<impl IntoResponse, Fault> {
    access.run(&state, run_id, Action::Read).await?;
    let results = state.store.quality().list(run_id).await?;
    let summary = Summary::of(&results);
    Ok(axum::Json(Quality { results, summary }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_cannot_be_executed_counts_by_its_severity() {
        let result = |status, severity| QualityResult {
            name: "a".to_owned(),
            severity,
            status,
            violations: 0,
            duration_us: 0,
            message: String::new(),
            samples: Vec::new(),
        };
        let summary = Summary::of(&[
            result(QualityStatus::Pass, Severity::Error),
            result(QualityStatus::Error, Severity::Error),
            result(QualityStatus::Fail, Severity::Warn),
            result(QualityStatus::Error, Severity::Warn),
        ]);
        assert_eq!(
            summary,
            Summary {
                passed: 1,
                warned: 2,
                failed: 1,
                total: 4
            }
        );
    }
}
