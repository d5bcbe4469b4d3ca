//! Who gets which run.

use std::collections::BTreeSet;
use std::sync::Arc;

use rat_store::{Cancellation, Store};
use rat_types::{RunId, RunStatus};
use tokio::sync::Mutex;

use crate::support::{end, pipeline, run, run_of_new, sixteen, start};

async fn claim(store: &Store, limit: u32) -> Vec<RunId> {
    store
        .runs()
        .claim_next(limit)
        .await
        .unwrap()
        .into_iter()
        .map(|run| run.id)
        .collect()
}

pub(crate) async fn a_claimed_run_is_running_without_an_executor(store: Store) {
    let created = run_of_new(&store, "default.bronze.orders").await;
    let claimed = store.runs().claim_next(10).await.unwrap().remove(0);
    assert_eq!(claimed.id, created.id);
    assert_eq!(
        (claimed.status, claimed.executor.as_deref()),
        (RunStatus::Running, None)
    );
    assert_eq!(
        store.runs().get(created.id).await.unwrap(),
        Some(claimed.clone())
    );
    assert_eq!(store.runs().list_active().await.unwrap(), [claimed]);
    assert!(claim(&store, 10).await.is_empty());
    // What a crash between claiming and submitting leaves behind can be given back.
    assert_eq!(
        store.runs().back_to_pending(created.id).await.unwrap(),
        Some(RunStatus::Pending)
    );
    assert_eq!(claim(&store, 10).await, [created.id]);
}

pub(crate) async fn the_oldest_run_of_each_pipeline_is_claimed_first(store: Store) {
    let first = run_of_new(&store, "default.bronze.a").await.id;
    let second = run_of_new(&store, "default.bronze.b").await.id;
    let third = run(&store, "default.bronze.a").await.id;
    let fourth = run_of_new(&store, "default.bronze.c").await.id;
    assert_eq!(claim(&store, 2).await, [first, second]);
    assert_eq!(claim(&store, 0).await, []);
    assert_eq!(claim(&store, 10).await, [fourth]);
    assert!(
        store
            .runs()
            .finish(first, &end(RunStatus::Failed))
            .await
            .unwrap()
    );
    assert_eq!(claim(&store, 10).await, [third]);
}

pub(crate) async fn a_pipeline_never_has_two_running_runs(store: Store) {
    let first = run_of_new(&store, "default.bronze.a").await.id;
    let second = run(&store, "default.bronze.a").await.id;
    assert_eq!(claim(&store, 10).await, [first]);
    assert!(claim(&store, 10).await.is_empty());
    assert!(
        !store
            .runs()
            .mark_running(second, &start("02"))
            .await
            .unwrap()
    );
    assert!(
        store
            .runs()
            .mark_running(first, &start("01"))
            .await
            .unwrap()
    );
    assert!(
        !store
            .runs()
            .mark_running(second, &start("02"))
            .await
            .unwrap()
    );
    assert!(claim(&store, 10).await.is_empty());
    assert!(
        store
            .runs()
            .finish(first, &end(RunStatus::Success))
            .await
            .unwrap()
    );
    // A pending run may also go to an executor without being claimed first.
    assert!(
        store
            .runs()
            .mark_running(second, &start("02"))
            .await
            .unwrap()
    );
}

pub(crate) async fn sixteen_claimers_share_the_runs_without_overlap(store: Store) {
    let mut expected = BTreeSet::new();
    for number in 0..5 {
        let name = format!("default.bronze.p{number}");
        pipeline(&store, &name).await;
        for _ in 0..4 {
            expected.insert(run(&store, &name).await.id);
        }
    }
    let done = Arc::new(Mutex::new(Vec::new()));
    sixteen(|_| {
        let (store, done) = (store.clone(), Arc::clone(&done));
        async move {
            while done.lock().await.len() < 20 {
                for claimed in store.runs().claim_next(3).await.unwrap() {
                    let active = store.runs().list_active().await.unwrap();
                    let pipelines: BTreeSet<_> =
                        active.iter().map(|run| run.pipeline.clone()).collect();
                    assert_eq!(pipelines.len(), active.len(), "one writer per table");
                    done.lock().await.push(claimed.id);
                    assert!(
                        store
                            .runs()
                            .finish(claimed.id, &end(RunStatus::Success))
                            .await
                            .unwrap()
                    );
                }
            }
        }
    })
    .await;
    let done = done.lock().await;
    assert_eq!(done.len(), 20, "each run is claimed once");
    assert_eq!(done.iter().copied().collect::<BTreeSet<_>>(), expected);
}

pub(crate) async fn a_cancelled_run_is_never_claimed(store: Store) {
    let first = run_of_new(&store, "default.bronze.a").await.id;
    let second = run(&store, "default.bronze.a").await.id;
    let outcome = store.runs().request_cancel(first, "anna").await.unwrap();
    assert_eq!(outcome, Cancellation::Cancelled);
    assert_eq!(claim(&store, 10).await, [second]);
}
