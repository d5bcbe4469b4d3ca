//! What a run may read is what whoever started it may.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use rat_scheduler::{ReadError, Reads, RunAccess};
use rat_types::{Identity, RunStatus};

use crate::world::World;

/// Who is asked about, and for which tables and zones.
type Asked = (String, Vec<String>, Vec<String>);

/// Answers what it is told to, and remembers what it was asked.
#[derive(Debug, Default)]
struct Told {
    answer: Mutex<Option<ReadError>>,
    asked: Mutex<Vec<Asked>>,
}

impl Told {
    fn set(&self, answer: Option<ReadError>) {
        *self.answer.lock().unwrap() = answer;
    }
}

impl RunAccess for Told {
    fn check<'a>(
        &'a self,
        creator: &'a Identity,
        reads: Reads<'a>,
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        let names = (
            format!("{} {:?} {}", creator.user_id, creator.roles, reads.own),
            reads.tables.iter().map(ToString::to_string).collect(),
            reads.zones.iter().map(ToString::to_string).collect(),
        );
        self.asked.lock().unwrap().push(names);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(std::future::ready(answer.map_or(Ok(()), Err)))
    }
}

async fn world(told: &Arc<Told>) -> World {
    let mut world = World::stopped().await;
    world.access = told.clone();
    world.start();
    world
}

#[tokio::test]
async fn a_run_that_may_not_read_what_it_names_never_gets_to_an_executor() {
    let told = Arc::new(Told::default());
    told.set(Some(ReadError::Denied("anonymous may not".to_owned())));
    let mut world = world(&told).await;
    let sql = "SELECT * FROM {{ ref('bronze.a') }} JOIN {{ this }}";
    let pipeline = world.pipeline("silver.b", sql).await;
    let test = "SELECT 1 FROM {{ ref('bronze.c') }}";
    world.source(&pipeline, "tests/quality/t.sql", test).await;
    let id = world.trigger(&pipeline).await;
    let run = world.ended(id).await;
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.error.expect("it failed");
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("ACCESS_DENIED", "anonymous may not")
    );
    assert_eq!(run.readable, []);
    world.nothing_is_taken();
    let tables = vec!["default.bronze.a".to_owned(), "default.bronze.c".to_owned()];
    let creator = "anonymous [\"admin\"] default.silver.b".to_owned();
    assert_eq!(*told.asked.lock().unwrap(), [(creator, tables, vec![])]);
}

#[tokio::test]
async fn what_was_allowed_is_what_the_token_reads() {
    let told = Arc::new(Told::default());
    let mut world = world(&told).await;
    let pipeline = world
        .pipeline("silver.b", "SELECT * FROM {{ ref('bronze.a') }}")
        .await;
    let request = world.running(&pipeline).await;
    let running = world.run(request.run_id).await;
    assert_eq!(running.readable, ["default.bronze.a".parse().unwrap()]);
}

#[tokio::test]
async fn a_run_that_names_nothing_asks_about_its_own_table() {
    let told = Arc::new(Told::default());
    let mut world = world(&told).await;
    let pipeline = world.pipeline("bronze.a", "SELECT 1 AS a").await;
    world.running(&pipeline).await;
    let creator = "anonymous [\"admin\"] default.bronze.a".to_owned();
    assert_eq!(*told.asked.lock().unwrap(), [(creator, vec![], vec![])]);
}

#[tokio::test]
async fn while_nobody_can_say_the_run_waits() {
    let told = Arc::new(Told::default());
    told.set(Some(ReadError::Unavailable(
        "the plugin is down".to_owned(),
    )));
    let mut world = world(&told).await;
    let pipeline = world
        .pipeline("silver.b", "SELECT * FROM {{ ref('bronze.a') }}")
        .await;
    let id = world.trigger(&pipeline).await;
    world
        .until("it was asked for twice", async || {
            told.asked.lock().unwrap().len() >= 2
        })
        .await;
    world.nothing_is_taken();
    told.set(None);
    let request = world.taken().await;
    assert_eq!((request.run_id, request.attempt), (id, 1));
}
