//! Short ways to make things.

use chrono::{DateTime, SubsecRound, Utc};
use rat_store::{NewPipeline, NewRun, NewZone, PipelineRecord, RunEnd, RunRecord, RunStart, Store};
use rat_types::{
    NamespaceName, RunFailure, RunId, RunOutcome, RunState, RunStatus, TableIdent, ZoneIdent,
};

pub(crate) fn ident(text: &str) -> TableIdent {
    text.parse().unwrap()
}

pub(crate) fn namespace(text: &str) -> NamespaceName {
    text.parse().unwrap()
}

pub(crate) fn zone(namespace: &str, name: &str) -> ZoneIdent {
    ZoneIdent {
        namespace: namespace.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

pub(crate) fn new_pipeline(text: &str) -> NewPipeline {
    NewPipeline {
        ident: ident(text),
        kind: "sql".to_owned(),
        description: format!("about {text}"),
        owner: "anna".to_owned(),
    }
}

pub(crate) async fn pipeline(store: &Store, text: &str) -> PipelineRecord {
    store.pipelines().create(&new_pipeline(text)).await.unwrap()
}

pub(crate) fn new_zone(namespace: &str, name: &str) -> NewZone {
    NewZone {
        ident: zone(namespace, name),
        description: "d".to_owned(),
        owner: "anna".to_owned(),
    }
}

pub(crate) fn new_run(pipeline: &str) -> NewRun {
    NewRun {
        id: RunId::new_at(Utc::now()),
        pipeline: ident(pipeline),
        trigger: "manual".to_owned(),
        created_by: "anna".to_owned(),
        created_by_roles: vec!["analyst".to_owned()],
    }
}

/// A pending run of a pipeline that exists.
pub(crate) async fn run(store: &Store, pipeline: &str) -> RunRecord {
    store.runs().create(&new_run(pipeline)).await.unwrap()
}

/// A pending run of a pipeline that is created for it.
pub(crate) async fn run_of_new(store: &Store, name: &str) -> RunRecord {
    pipeline(store, name).await;
    run(store, name).await
}

pub(crate) fn start(token_hash: &str) -> RunStart {
    RunStart {
        executor: "warm-pool".to_owned(),
        token_hash: token_hash.to_owned(),
        attempt: 1,
        source_hash: "5c".to_owned(),
        readable: vec![ident("default.bronze.orders"), ident("other.silver.items")],
    }
}

pub(crate) fn end(status: RunStatus) -> RunEnd {
    RunEnd {
        status,
        error: (status == RunStatus::Failed).then(|| RunFailure::new("SQL_INVALID", "no column")),
        rows_written: None,
        bytes_written: None,
        snapshot_id: None,
        phases: Vec::new(),
        finished_at: Utc::now(),
        last_line: None,
    }
}

pub(crate) fn outcome(run: RunId) -> RunOutcome {
    RunOutcome {
        run_id: run,
        state: RunState::Succeeded,
        failure: None,
        rows_written: 3,
        bytes_written: 4,
        snapshot_id: Some(i64::MIN),
        phases: Vec::new(),
        quality: Vec::new(),
        finished_at: at(9),
    }
}

/// A time without parts of a second.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

/// Whether `time` is now, in the precision of the database.
pub(crate) fn is_recent(time: DateTime<Utc>) -> bool {
    let age = (Utc::now() - time).num_seconds();
    (0..60).contains(&age) && time == time.trunc_subsecs(6)
}

/// Calls `task` sixteen times at once and answers what the calls answered.
pub(crate) async fn sixteen<T, F, Fut>(task: F) -> Vec<T>
where
    T: Send + 'static,
    F: Fn(usize) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        tasks.spawn(task(number));
    }
    tasks.join_all().await
}
