//! Many writers on one table, and answers that get lost.

use rat_lake::{At, append_main, write_branch};
use rat_types::MergeStrategy::AppendOnly;
use tokio::task::JoinSet;

use crate::support::{Fault, Server, rows, stream_of, table};

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_lose_no_row() {
    let server = Server::start().await;
    let ident = table("busy");
    let mut writers = JoinSet::new();
    for writer in 0..8_i64 {
        let (client, ident) = (server.user(), ident.clone());
        writers.spawn(async move {
            for i in 0..6 {
                // The first of them creates the table, the others find it.
                let row = stream_of(rows([writer * 100 + i]));
                append_main(&client, &ident, row).await.unwrap();
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let expected: Vec<i64> = (0..8)
        .flat_map(|w| (0..6).map(move |i| w * 100 + i))
        .collect();
    assert_eq!(server.numbers(&ident, &At::Main).await.unwrap(), expected);
    let table = server.user().load_table(&ident).await.unwrap().unwrap();
    let totals = &table
        .metadata()
        .current_snapshot()
        .unwrap()
        .summary()
        .additional_properties;
    assert_eq!(totals["total-records"], "48");
    assert_eq!(totals["total-data-files"], "48");

    // Lost attempts leave no manifest list behind.
    let folder = server
        .folder
        .path()
        .join("lake")
        .join(ident.folder())
        .join("metadata");
    let lists = std::fs::read_dir(folder).unwrap().filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("snap-")
    });
    assert_eq!(lists.count(), 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_doubles_no_row() {
    let server = Server::start().await;
    let ident = table("unlucky");
    append_main(&server.user(), &ident, stream_of(rows([0])))
        .await
        .unwrap();
    let sequences: [&[Fault]; 5] = [
        &[Fault::LosesAnswer],
        &[Fault::LosesRequest],
        &[Fault::LosesRequest, Fault::LosesAnswer],
        &[Fault::Busy, Fault::LosesRequest, Fault::Busy],
        &[Fault::Busy, Fault::LosesAnswer],
    ];
    for (i, faults) in (1..).zip(sequences) {
        server.fail(faults.iter().copied());
        append_main(&server.user(), &ident, stream_of(rows([i])))
            .await
            .unwrap();
        assert!(server.has_failed());
    }
    assert_eq!(
        server.numbers(&ident, &At::Main).await.unwrap(),
        [0, 1, 2, 3, 4, 5]
    );

    let (run, client) = server.run(&ident);
    server.fail([Fault::LosesAnswer]);
    let commit = write_branch(&client, &ident, run, AppendOnly, stream_of(rows([6]))).await;
    let commit = commit.unwrap();
    let head = commit
        .table
        .metadata()
        .snapshot_for_ref(&run.branch())
        .unwrap();
    assert_eq!(head.snapshot_id(), commit.snapshot_id);
    server.catalog.publish(run, &ident).await.unwrap();
    assert_eq!(
        server.numbers(&ident, &At::Main).await.unwrap(),
        [0, 1, 2, 3, 4, 5, 6]
    );
}
