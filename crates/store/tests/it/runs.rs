//! The states of a run.

use chrono::Duration;
use rat_store::{Cancellation, RunEnd, Store};
use rat_types::{Kind, Phase, QualityResult, QualityStatus, RunId, RunStatus, Severity};

use crate::support::{end, ident, is_recent, new_run, outcome, run, run_of_new, sixteen, start};

const A: &str = "default.bronze.a";

pub(crate) async fn a_run_goes_through_its_whole_life(store: Store) {
    let created = run_of_new(&store, A).await;
    assert_eq!((created.status, created.attempt), (RunStatus::Pending, 0));
    assert_eq!(created.pipeline, ident(A));
    assert_eq!(
        (created.trigger.as_str(), created.created_by.as_str()),
        ("manual", "anna")
    );
    assert!(is_recent(created.created_at));
    assert_eq!(
        store.runs().get(created.id).await.unwrap(),
        Some(created.clone())
    );

    store.runs().claim_next(1).await.unwrap();
    assert!(
        store
            .runs()
            .mark_running(created.id, &start("aa"))
            .await
            .unwrap()
    );
    let running = store.runs().get(created.id).await.unwrap().unwrap();
    assert_eq!(running.status, RunStatus::Running);
    assert_eq!(running.executor.as_deref(), Some("warm-pool"));
    assert_eq!(running.source_hash.as_deref(), Some("5c"));
    assert_eq!(
        (running.attempt, &running.readable),
        (1, &start("").readable)
    );
    let started_at = running.started_at.unwrap();
    assert!(is_recent(started_at));

    assert!(
        store
            .runs()
            .record_outcome(created.id, &outcome(created.id))
            .await
            .unwrap()
    );
    let reported = store.runs().get(created.id).await.unwrap().unwrap();
    assert_eq!(reported.status, RunStatus::Running);
    assert_eq!(reported.outcome, Some(outcome(created.id)));

    let end = RunEnd {
        status: RunStatus::Success,
        error: None,
        rows_written: Some(7),
        bytes_written: Some(1 << 40),
        snapshot_id: Some(i64::MAX),
        phases: vec![Phase {
            name: "queue".to_owned(),
            duration_us: 5,
        }],
        finished_at: started_at + Duration::milliseconds(1500),
        last_line: None,
    };
    assert!(store.runs().finish(created.id, &end).await.unwrap());
    let ended = store.runs().get(created.id).await.unwrap().unwrap();
    assert_eq!(ended.status, RunStatus::Success);
    assert_eq!(
        (ended.rows_written, ended.bytes_written),
        (Some(7), Some(1 << 40))
    );
    assert_eq!((ended.snapshot_id, ended.error), (Some(i64::MAX), None));
    assert_eq!((ended.duration_ms, ended.phases), (Some(1500), end.phases));
    assert_eq!(ended.finished_at, Some(end.finished_at));
    assert!(store.runs().list_active().await.unwrap().is_empty());
}

pub(crate) async fn a_run_needs_its_pipeline_and_a_new_id(store: Store) {
    let missing = store.runs().create(&new_run(A)).await.unwrap_err();
    assert_eq!(
        (missing.kind(), missing.to_string()),
        (
            Kind::NotFound,
            "pipeline default.bronze.a does not exist".to_owned()
        )
    );
    let created = run_of_new(&store, A).await;
    let again = rat_store::NewRun {
        id: created.id,
        ..new_run(A)
    };
    assert_eq!(
        store.runs().create(&again).await.unwrap_err().kind(),
        Kind::AlreadyExists
    );
    let unknown = new_run(A).id;
    assert_eq!(store.runs().get(unknown).await.unwrap(), None);
    assert_eq!(
        store
            .runs()
            .request_cancel(unknown, "anna")
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
    assert!(
        !store
            .runs()
            .mark_running(unknown, &start("aa"))
            .await
            .unwrap()
    );
    assert!(
        !store
            .runs()
            .finish(unknown, &end(RunStatus::Failed))
            .await
            .unwrap()
    );
    assert_eq!(store.runs().back_to_pending(unknown).await.unwrap(), None);
}

async fn holder(store: &Store, token_hash: &str) -> Option<RunId> {
    store
        .runs()
        .find_by_token_hash(token_hash)
        .await
        .unwrap()
        .map(|run| run.id)
}

pub(crate) async fn an_attempt_that_no_executor_took_does_not_count(store: Store) {
    let id = run_of_new(&store, A).await.id;
    assert_eq!(
        store.runs().not_taken(id).await.unwrap(),
        None,
        "it is pending"
    );
    for _ in 0..2 {
        assert!(store.runs().mark_running(id, &start("aa")).await.unwrap());
        let pending = store.runs().not_taken(id).await.unwrap();
        assert_eq!(pending, Some(RunStatus::Pending));
        let run = store.runs().get(id).await.unwrap().unwrap();
        assert_eq!((run.attempt, run.executor), (0, None));
        assert_eq!(holder(&store, "aa").await, None);
    }
    assert!(store.runs().mark_running(id, &start("aa")).await.unwrap());
    store.runs().request_cancel(id, "anna").await.unwrap();
    let ended = store.runs().not_taken(id).await.unwrap();
    assert_eq!(ended, Some(RunStatus::Cancelled));
}

pub(crate) async fn a_token_dies_with_its_run(store: Store) {
    let id = run_of_new(&store, A).await.id;
    assert_eq!(holder(&store, "aa").await, None);
    assert!(store.runs().mark_running(id, &start("aa")).await.unwrap());
    assert_eq!(holder(&store, "aa").await, Some(id));
    assert!(store.runs().record_outcome(id, &outcome(id)).await.unwrap());
    assert_eq!(
        holder(&store, "aa").await,
        Some(id),
        "publishing still needs it"
    );
    assert_eq!(
        store.runs().back_to_pending(id).await.unwrap(),
        Some(RunStatus::Pending)
    );
    assert_eq!(holder(&store, "aa").await, None);
    assert!(store.runs().mark_running(id, &start("bb")).await.unwrap());
    assert_eq!(
        (holder(&store, "aa").await, holder(&store, "bb").await),
        (None, Some(id))
    );
    assert!(
        store
            .runs()
            .finish(id, &end(RunStatus::Failed))
            .await
            .unwrap()
    );
    assert_eq!(holder(&store, "bb").await, None);
}

pub(crate) async fn a_run_ends_once(store: Store) {
    let id = run_of_new(&store, A).await.id;
    assert!(store.runs().mark_running(id, &start("aa")).await.unwrap());
    let no_end = store
        .runs()
        .finish(id, &end(RunStatus::Running))
        .await
        .unwrap_err();
    assert_eq!(no_end.kind(), Kind::InvalidArgument);
    assert!(
        store
            .runs()
            .finish(id, &end(RunStatus::Failed))
            .await
            .unwrap()
    );
    for status in [RunStatus::Success, RunStatus::Failed, RunStatus::Cancelled] {
        assert!(!store.runs().finish(id, &end(status)).await.unwrap());
    }
    assert!(!store.runs().mark_running(id, &start("bb")).await.unwrap());
    assert!(!store.runs().record_outcome(id, &outcome(id)).await.unwrap());
    assert_eq!(store.runs().back_to_pending(id).await.unwrap(), None);
    let run = store.runs().get(id).await.unwrap().unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error, end(RunStatus::Failed).error);
}

pub(crate) async fn a_pending_run_can_fail_and_not_succeed(store: Store) {
    let id = run_of_new(&store, A).await.id;
    assert!(
        !store
            .runs()
            .finish(id, &end(RunStatus::Success))
            .await
            .unwrap()
    );
    assert!(!store.runs().record_outcome(id, &outcome(id)).await.unwrap());
    assert!(
        store
            .runs()
            .finish(id, &end(RunStatus::Failed))
            .await
            .unwrap()
    );
    let run = store.runs().get(id).await.unwrap().unwrap();
    assert_eq!((run.started_at, run.duration_ms), (None, None));
}

pub(crate) async fn a_run_that_goes_back_begins_anew(store: Store) {
    let id = run_of_new(&store, A).await.id;
    assert!(store.runs().mark_running(id, &start("aa")).await.unwrap());
    assert!(store.runs().record_outcome(id, &outcome(id)).await.unwrap());
    assert_eq!(
        store.runs().back_to_pending(id).await.unwrap(),
        Some(RunStatus::Pending)
    );
    let back = store.runs().get(id).await.unwrap().unwrap();
    assert_eq!((back.status, back.attempt), (RunStatus::Pending, 1));
    assert_eq!(
        (back.executor, back.started_at, back.outcome),
        (None, None, None)
    );
    assert_eq!(back.readable, []);
    let second = rat_store::RunStart {
        attempt: 2,
        ..start("bb")
    };
    assert!(store.runs().mark_running(id, &second).await.unwrap());
    assert_eq!(store.runs().get(id).await.unwrap().unwrap().attempt, 2);
}

pub(crate) async fn the_first_outcome_of_an_attempt_counts(store: Store) {
    let id = run_of_new(&store, A).await.id;
    store.runs().claim_next(1).await.unwrap();
    assert!(
        !store.runs().record_outcome(id, &outcome(id)).await.unwrap(),
        "no executor yet"
    );
    assert!(store.runs().mark_running(id, &start("aa")).await.unwrap());
    assert!(store.runs().record_outcome(id, &outcome(id)).await.unwrap());
    let late = rat_types::RunOutcome {
        rows_written: 99,
        ..outcome(id)
    };
    assert!(!store.runs().record_outcome(id, &late).await.unwrap());
    let run = store.runs().get(id).await.unwrap().unwrap();
    assert_eq!(run.outcome.unwrap().rows_written, 3);
}

pub(crate) async fn cancelling_depends_on_the_state(store: Store) {
    let pending = run_of_new(&store, A).await.id;
    assert_eq!(
        store.runs().request_cancel(pending, "anna").await.unwrap(),
        Cancellation::Cancelled
    );
    let cancelled = store.runs().get(pending).await.unwrap().unwrap();
    assert_eq!(cancelled.status, RunStatus::Cancelled);
    assert!(is_recent(cancelled.finished_at.unwrap()));
    let lines = store.run_logs().read(pending, 0, 10).await.unwrap();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| (line.seq, line.message.as_str()))
        .collect();
    assert_eq!(lines, [(1, "Cancelled by anna")]);
    let again = store.runs().request_cancel(pending, "anna").await.unwrap();
    assert_eq!(again, Cancellation::AlreadyEnded(RunStatus::Cancelled));

    let running = run(&store, A).await.id;
    assert!(
        store
            .runs()
            .mark_running(running, &start("aa"))
            .await
            .unwrap()
    );
    for _ in 0..2 {
        let asked = store.runs().request_cancel(running, "anna").await.unwrap();
        assert_eq!(asked, Cancellation::Requested);
    }
    store.runs().request_cancel(running, "bert").await.unwrap();
    let asked = store.runs().get(running).await.unwrap().unwrap();
    assert_eq!(
        (asked.status, asked.cancel_requested),
        (RunStatus::Running, true)
    );
    assert_eq!(asked.cancelled_by.as_deref(), Some("anna"), "the first");
    assert_eq!(asked.finished_at, None);
    assert!(
        store
            .runs()
            .finish(running, &end(RunStatus::Cancelled))
            .await
            .unwrap()
    );
}

pub(crate) async fn a_run_that_was_asked_to_stop_does_not_start_again(store: Store) {
    let id = run_of_new(&store, A).await.id;
    store.runs().claim_next(1).await.unwrap();
    store.runs().request_cancel(id, "anna").await.unwrap();
    assert!(!store.runs().mark_running(id, &start("aa")).await.unwrap());
    assert_eq!(
        store.runs().back_to_pending(id).await.unwrap(),
        Some(RunStatus::Cancelled)
    );
    let run = store.runs().get(id).await.unwrap().unwrap();
    assert!(is_recent(run.finished_at.unwrap()));
    assert!(store.runs().claim_next(1).await.unwrap().is_empty());
}

pub(crate) async fn sixteen_that_finish_one_run_agree_on_its_end(store: Store) {
    let id = run_of_new(&store, A).await.id;
    assert!(store.runs().mark_running(id, &start("aa")).await.unwrap());
    let outcomes = sixteen(|number| {
        let store = store.clone();
        async move {
            let rows = u64::try_from(number).unwrap();
            let end = RunEnd {
                rows_written: Some(rows),
                ..end(RunStatus::Success)
            };
            store.runs().finish(id, &end).await.unwrap().then_some(rows)
        }
    })
    .await;
    let winners: Vec<u64> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let run = store.runs().get(id).await.unwrap().unwrap();
    assert_eq!(run.rows_written, Some(winners[0]));
}

pub(crate) async fn the_latest_success_is_found(store: Store) {
    assert_eq!(store.runs().success_for(&ident(A)).await.unwrap(), None);
    let mut last = run_of_new(&store, A).await.id;
    for status in [RunStatus::Success, RunStatus::Success, RunStatus::Failed] {
        let id = run(&store, A).await.id;
        assert!(store.runs().mark_running(id, &start("aa")).await.unwrap());
        assert!(store.runs().finish(id, &end(status)).await.unwrap());
        if status == RunStatus::Success {
            last = id;
        }
    }
    let found = store.runs().success_for(&ident(A)).await.unwrap().unwrap();
    assert_eq!(found.id, last);
    assert_eq!(
        store
            .runs()
            .success_for(&ident("default.bronze.b"))
            .await
            .unwrap(),
        None
    );
}

pub(crate) async fn quality_results_are_replaced_together(store: Store) {
    let result = |name: &str| QualityResult {
        name: name.to_owned(),
        severity: Severity::Warn,
        status: QualityStatus::Fail,
        violations: 3,
        duration_us: 12,
        message: "three rows".to_owned(),
        samples: vec!["{\"a\":1}".to_owned(), "{\"a\":\"\\u0000\"}".to_owned()],
    };
    let unknown = new_run(A).id;
    let missing = store
        .quality()
        .replace(unknown, &[result("x")])
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    let id = run_of_new(&store, A).await.id;
    assert_eq!(store.quality().list(id).await.unwrap(), []);
    let results = [result("z"), result("a")];
    store.quality().replace(id, &results).await.unwrap();
    assert_eq!(store.quality().list(id).await.unwrap(), results);
    // A run that is executed again reports again, perhaps several times at once.
    sixteen(|_| {
        let store = store.clone();
        async move {
            store
                .quality()
                .replace(id, &[result("only")])
                .await
                .unwrap()
        }
    })
    .await;
    assert_eq!(store.quality().list(id).await.unwrap(), [result("only")]);
    store.quality().replace(id, &[]).await.unwrap();
    assert_eq!(store.quality().list(id).await.unwrap(), []);
}
