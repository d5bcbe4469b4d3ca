//! Pipelines.

use rat_store::{PipelineUpdate, Store};
use rat_types::{Kind, RunStatus};

use crate::support::{ident, is_recent, new_pipeline, pipeline, run, start};

const A: &str = "default.bronze.a";

pub(crate) async fn a_pipeline_is_created_and_found(store: Store) {
    assert_eq!(store.pipelines().get(&ident(A)).await.unwrap(), None);
    let created = pipeline(&store, A).await;
    assert_eq!(created.ident, ident(A));
    assert_eq!(
        (created.kind.as_str(), created.owner.as_str()),
        ("sql", "anna")
    );
    assert_eq!(
        (created.source_hash.as_deref(), created.created_at),
        (None, created.updated_at)
    );
    assert!(is_recent(created.created_at));
    assert_eq!(
        store.pipelines().get(&ident(A)).await.unwrap(),
        Some(created)
    );
}

pub(crate) async fn a_pipeline_needs_its_namespace_and_a_free_name(store: Store) {
    let nowhere = store
        .pipelines()
        .create(&new_pipeline("shop.bronze.a"))
        .await
        .unwrap_err();
    assert_eq!(nowhere.to_string(), "namespace shop does not exist");
    assert_eq!(nowhere.kind(), Kind::NotFound);
    pipeline(&store, A).await;
    let taken = store
        .pipelines()
        .create(&new_pipeline(A))
        .await
        .unwrap_err();
    assert_eq!(
        taken.to_string(),
        "pipeline default.bronze.a already exists"
    );
    assert_eq!(taken.kind(), Kind::AlreadyExists);
    pipeline(&store, "default.silver.a").await;
}

pub(crate) async fn an_update_changes_what_it_names(store: Store) {
    let created = pipeline(&store, A).await;
    let nothing = PipelineUpdate::default();
    let same = store.pipelines().update(&ident(A), &nothing).await.unwrap();
    assert_eq!(
        (&same.description, &same.owner),
        (&created.description, &created.owner)
    );
    let update = PipelineUpdate {
        kind: Some("python".to_owned()),
        ..nothing.clone()
    };
    let changed = store.pipelines().update(&ident(A), &update).await.unwrap();
    assert_eq!(
        (changed.kind.as_str(), &changed.description),
        ("python", &created.description)
    );
    assert!(changed.updated_at > created.updated_at);
    let emptied = PipelineUpdate {
        description: Some(String::new()),
        ..nothing.clone()
    };
    let emptied = store.pipelines().update(&ident(A), &emptied).await.unwrap();
    assert_eq!(
        (emptied.description.as_str(), emptied.kind.as_str()),
        ("", "python")
    );
    let missing = store
        .pipelines()
        .update(&ident("default.gold.x"), &nothing)
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
}

pub(crate) async fn a_deleted_pipeline_frees_its_name_and_keeps_its_runs(store: Store) {
    let created = pipeline(&store, A).await;
    let (running, waiting) = (run(&store, A).await.id, run(&store, A).await.id);
    assert!(
        store
            .runs()
            .mark_running(running, &start("aa"))
            .await
            .unwrap()
    );
    let source = "default/pipelines/bronze/a/pipeline.sql";
    store
        .files()
        .put(source, b"SELECT 1", "anna")
        .await
        .unwrap();

    store.pipelines().delete(&ident(A)).await.unwrap();
    assert_eq!(store.pipelines().get(&ident(A)).await.unwrap(), None);
    assert_eq!(
        store
            .pipelines()
            .delete(&ident(A))
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
    assert_eq!(store.files().get(source).await.unwrap(), None);
    let running = store.runs().get(running).await.unwrap().unwrap();
    assert_eq!(
        (running.status, running.cancel_requested),
        (RunStatus::Running, true)
    );
    let waiting = store.runs().get(waiting).await.unwrap().unwrap();
    assert_eq!(waiting.status, RunStatus::Cancelled);
    assert!(is_recent(waiting.finished_at.unwrap()));

    let again = pipeline(&store, A).await;
    assert_ne!(again.id, created.id);
    assert_eq!(again.source_hash, None);
    // The old pipeline's run is not in the way of the new one's.
    let next = run(&store, A).await.id;
    assert_eq!(store.runs().claim_next(10).await.unwrap().len(), 1);
    assert_eq!(
        store.runs().get(next).await.unwrap().unwrap().status,
        RunStatus::Running
    );
}
