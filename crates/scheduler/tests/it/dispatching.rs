use rat_store::{NewZone, NewZoneFile};
use rat_types::{RunStatus, ZoneIdent};

use crate::fake::{Answer, NAME};
use crate::lake::Write;
use crate::world::World;

#[tokio::test]
async fn a_run_goes_from_pending_to_published() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    let running = world.run(request.run_id).await;
    assert_eq!(running.status, RunStatus::Running);
    assert_eq!(running.executor.as_deref(), Some(NAME));
    assert_eq!((running.attempt, request.attempt), (1, 1));
    assert_eq!(world.rows(&table).await, None);

    world.fake.log(request.run_id, "reading");
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.fake.log(request.run_id, "written");
    world.report(outcome.clone()).await;

    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Success, "{run:#?}");
    assert_eq!(world.rows(&table).await, Some(3));
    assert_eq!((run.rows_written, run.bytes_written), (Some(3), Some(30)));
    assert_eq!(run.snapshot_id, outcome.snapshot_id);
    let phases: Vec<&str> = run.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["queue", "write", "publish"]);
    // Whoever follows the log stops at the end of the run: nothing may come later.
    let published = format!("Published as snapshot {}, 3 rows", run.snapshot_id.unwrap());
    assert_eq!(
        world.log(run.id).await,
        ["reading", "written", published.as_str()]
    );
    assert!(world.has_no_leftovers().await);
}

#[tokio::test]
async fn the_request_is_complete_and_the_database_does_not_know_the_token() {
    let mut world = World::new().await;
    let zone = ZoneIdent {
        namespace: "default".parse().unwrap(),
        name: "raw".parse().unwrap(),
    };
    let (description, owner) = (String::new(), "anonymous".to_owned());
    let new = NewZone {
        ident: zone.clone(),
        description,
        owner,
    };
    world.store.zones().create(&new).await.unwrap();
    for path in [
        "a.csv",
        "2026/b.csv",
        "_samples/c.csv",
        "_processed/x/d.csv",
        "2026/_Samples/e.csv",
    ] {
        let file = NewZoneFile {
            path: path.into(),
            size_bytes: 7,
            hash: "0".repeat(64),
            content_type: String::new(),
            uploaded_by: "anonymous".into(),
        };
        world
            .store
            .zones()
            .add_file(&zone, &file, false)
            .await
            .unwrap();
    }
    let sql = "SELECT * FROM read_csv('{{ landing_zone('raw') }}') JOIN {{ ref('bronze.a') }}";
    let table = world.pipeline("silver.b", sql).await;
    let test = "SELECT 1 FROM {{ this }} JOIN {{ ref('bronze.c') }}";
    world.source(&table, "tests/quality/t.sql", test).await;

    let request = world.running(&table).await;
    let sources: Vec<&str> = request.sources.keys().map(String::as_str).collect();
    assert_eq!(sources, ["pipeline.sql", "tests/quality/t.sql"]);
    let files: Vec<&str> = request
        .landing_files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(files, ["2026/b.csv", "a.csv"]);
    let folder = world.catalog.warehouse().zone_location(&zone);
    assert_eq!(request.landing_files[1].location, format!("{folder}/a.csv"));
    assert_eq!(request.control_plane, "unix:/internal.sock");

    let run = world.run(request.run_id).await;
    assert_eq!(
        run.source_hash.as_deref(),
        Some(request.source_hash.as_str())
    );
    let readable: Vec<String> = run.readable.iter().map(ToString::to_string).collect();
    assert_eq!(readable, ["default.bronze.a", "default.bronze.c"]);
    let tokens = rat_scheduler::RunTokens::new(world.store.clone());
    let token = request.token.expose();
    assert_eq!(
        tokens.lookup(token).await.unwrap().map(|run| run.id),
        Some(request.run_id)
    );
    assert!(
        world
            .store
            .runs()
            .find_by_token_hash(token)
            .await
            .unwrap()
            .is_none()
    );

    // The token dies with the run.
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.report(outcome).await;
    world.ended(request.run_id).await;
    assert_eq!(tokens.lookup(token).await.unwrap(), None);
}

#[tokio::test]
async fn a_table_has_one_writer() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let other = world.pipeline("bronze.people", "SELECT 1 AS id").await;
    let first = world.running(&table).await;
    let second = world.trigger(&table).await;
    // The other table's run overtakes the second run of the first table.
    let elsewhere = world.running(&other).await;
    assert_eq!(world.run(second).await.status, RunStatus::Pending);
    world.nothing_is_taken();

    let outcome = world.execute(&first, Write::Overwrite).await;
    world.report(outcome).await;
    assert_eq!(world.taken().await.run_id, second);
    assert_eq!(world.ended(first.run_id).await.status, RunStatus::Success);
    assert_eq!(world.run(elsewhere.run_id).await.status, RunStatus::Running);
}

#[tokio::test]
async fn no_more_runs_than_allowed_are_under_way() {
    let mut world = World::stopped().await;
    world.max_running = 2;
    let mut waiting = Vec::new();
    for name in ["bronze.a", "bronze.b", "bronze.c"] {
        let table = world.pipeline(name, "SELECT 1 AS id").await;
        waiting.push(world.trigger(&table).await);
    }
    world.start();
    // The oldest two, in whatever order they were prepared.
    let first = world.taken().await;
    let taken = [first.run_id, world.taken().await.run_id];
    assert!(taken.contains(&waiting[0]) && taken.contains(&waiting[1]));
    // The scheduler has been round again by the time the end of a run is stored.
    let outcome = world.execute(&first, Write::Overwrite).await;
    assert_eq!(world.run(waiting[2]).await.status, RunStatus::Pending);
    world.report(outcome).await;
    assert_eq!(world.taken().await.run_id, waiting[2]);
}

#[tokio::test]
async fn a_broken_pipeline_fails_at_once_and_says_why() {
    let mut world = World::new().await;
    for (name, sql, code, mentions) in [
        ("bronze.empty", " ", "PIPELINE_INVALID", "pipeline.sql"),
        (
            "bronze.syntax",
            "SELECT {{ ref( }}",
            "TEMPLATE_INVALID",
            "pipeline.sql:1",
        ),
        (
            "bronze.unknown",
            "SELECT {{ nothing }}",
            "TEMPLATE_INVALID",
            "nothing",
        ),
        (
            "bronze.zone",
            "{{ landing_zone('raw') }}",
            "LANDING_ZONE_NOT_FOUND",
            "default.raw",
        ),
    ] {
        let table = world.pipeline(name, sql).await;
        let id = world.trigger(&table).await;
        let run = world.ended(id).await;
        assert_eq!(run.status, RunStatus::Failed);
        let error = run.error.unwrap();
        assert_eq!(error.code, code, "{name}");
        assert!(
            error.message.contains(mentions),
            "{name}: {}",
            error.message
        );
    }
    world.nothing_is_taken();
}

#[tokio::test]
async fn a_run_that_the_executor_has_no_room_for_waits() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world
        .fake
        .answer([Answer::Exhausted, Answer::Unavailable, Answer::Exhausted]);
    let request = world.running(&table).await;
    assert_eq!(world.fake.submissions(), 4);
    // None of the tries counts: the second attempt is for conflicts.
    assert_eq!(request.attempt, 1);
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.report(outcome).await;
    assert_eq!(world.ended(request.run_id).await.status, RunStatus::Success);
}

#[tokio::test]
async fn runs_that_nobody_was_there_to_take_are_all_taken_in_the_end() {
    let mut world = World::stopped().await;
    world.fake.answer([Answer::Unavailable; 6]);
    for name in ["bronze.a", "bronze.b", "bronze.c"] {
        let table = world.pipeline(name, "SELECT 1 AS id").await;
        world.trigger(&table).await;
    }
    world.start();
    for _ in 0..3 {
        world.taken().await;
    }
    // Six refusals, whoever got them, and no run was taken twice.
    assert_eq!(world.fake.submissions(), 9);
}

#[tokio::test]
async fn a_submission_that_broke_off_is_not_started_twice() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world
        .fake
        .answer([Answer::InterruptedUnheard, Answer::InterruptedTaken]);
    let request = world.running(&table).await;
    world
        .until("the answer comes through", async || {
            world.fake.submissions() == 3
        })
        .await;
    world.nothing_is_taken();
    // It is the request that the executor has, token included.
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.report(outcome).await;
    assert_eq!(world.ended(request.run_id).await.status, RunStatus::Success);
}

#[tokio::test]
async fn a_refused_run_fails() {
    let world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.fake.answer([Answer::Rejected]);
    let id = world.trigger(&table).await;
    let run = world.ended(id).await;
    assert_eq!(run.error.unwrap().code, "EXECUTOR_REJECTED");
}
