//! Log lines.

use rat_store::Store;
use rat_types::{Kind, LogEntry, LogLevel};

use crate::support::{at, new_run, run_of_new, sixteen};

const A: &str = "default.bronze.a";

fn line(seq: u64, message: &str) -> LogEntry {
    let at = at(i64::try_from(seq).unwrap());
    LogEntry {
        seq,
        at,
        level: LogLevel::Info,
        message: message.to_owned(),
    }
}

pub(crate) async fn lines_are_read_from_any_point(store: Store) {
    let id = run_of_new(&store, A).await.id;
    assert_eq!(store.run_logs().read(id, 0, 10).await.unwrap(), []);
    // More than one statement's worth, out of order.
    let lines: Vec<LogEntry> = (1..=450)
        .map(|seq| line(seq, &format!("line {seq}")))
        .collect();
    let shuffled: Vec<LogEntry> = lines.iter().rev().cloned().collect();
    store.run_logs().append(id, &shuffled).await.unwrap();
    assert_eq!(store.run_logs().read(id, 0, 1000).await.unwrap(), lines);
    assert_eq!(
        store.run_logs().read(id, 448, 1000).await.unwrap(),
        lines[448..]
    );
    assert_eq!(
        store.run_logs().read(id, 10, 2).await.unwrap(),
        lines[10..12]
    );
    assert_eq!(store.run_logs().read(id, 450, 10).await.unwrap(), []);
    for level in LogLevel::ALL {
        let entry = LogEntry {
            level: *level,
            ..line(1000, "\u{1f400}\n\t")
        };
        let id = run_of_new(&store, &format!("default.silver.{level}"))
            .await
            .id;
        store
            .run_logs()
            .append(id, std::slice::from_ref(&entry))
            .await
            .unwrap();
        assert_eq!(store.run_logs().read(id, 0, 10).await.unwrap(), [entry]);
    }
}

pub(crate) async fn lines_that_are_there_are_left_alone(store: Store) {
    let id = run_of_new(&store, A).await.id;
    store
        .run_logs()
        .append(id, &[line(1, "one"), line(2, "two")])
        .await
        .unwrap();
    store
        .run_logs()
        .append(id, &[line(2, "other"), line(3, "three")])
        .await
        .unwrap();
    store.run_logs().append(id, &[]).await.unwrap();
    let lines = store.run_logs().read(id, 0, 10).await.unwrap();
    assert_eq!(lines, [line(1, "one"), line(2, "two"), line(3, "three")]);
}

pub(crate) async fn a_log_needs_its_run(store: Store) {
    let unknown = new_run(A).id;
    let error = store
        .run_logs()
        .append(unknown, &[line(1, "one")])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(store.run_logs().read(unknown, 0, 10).await.unwrap(), []);
}

pub(crate) async fn sixteen_tasks_that_append_lose_no_line(store: Store) {
    let id = run_of_new(&store, A).await.id;
    // Neighbours overlap: a stream that was read twice.
    sixteen(|number| {
        let store = store.clone();
        let first = u64::try_from(number).unwrap() * 20 + 1;
        async move {
            let lines: Vec<LogEntry> = (first..first + 40).map(|seq| line(seq, "x")).collect();
            store.run_logs().append(id, &lines).await.unwrap();
        }
    })
    .await;
    let lines = store.run_logs().read(id, 0, 1000).await.unwrap();
    let expected: Vec<LogEntry> = (1..=340).map(|seq| line(seq, "x")).collect();
    assert_eq!(lines, expected);
}
