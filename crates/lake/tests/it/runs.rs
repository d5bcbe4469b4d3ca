//! Runs: what they write, who sees it when, and what stays of those that fail.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use rat_catalog::PublishOutcome;
use rat_lake::{At, BranchWriter, LakeTable, append_main, write_branch};
use rat_types::MergeStrategy::{AppendOnly, FullRefresh};

use crate::support::{Server, read, rows, stream_of, table};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_is_seen_by_nobody_until_it_is_published() {
    let server = Server::start().await;
    let ident = table("first");
    let (run, client) = server.run(&ident);
    let commit = write_branch(&client, &ident, run, FullRefresh, stream_of(rows(0..5))).await;
    let commit = commit.unwrap();
    assert_eq!(commit.rows, 5);
    assert!(commit.bytes > 0);
    assert_eq!(server.numbers(&ident, &At::Main).await, None);
    assert!(
        server
            .user()
            .list_tables(&ident.namespace, ident.layer)
            .await
            .unwrap()
            .is_empty()
    );

    // The run itself reads what it wrote, from its commit and from its branch.
    let at = At::Snapshot(commit.snapshot_id);
    let written = LakeTable::new(ident.clone(), commit.table, &at)
        .await
        .unwrap();
    assert_eq!(read(written).await, [0, 1, 2, 3, 4]);
    let branch = At::Branch(run.branch());
    let written = LakeTable::open(&client, &ident, &branch)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read(written).await, [0, 1, 2, 3, 4]);

    let outcome = server.catalog.publish(run, &ident).await.unwrap();
    let PublishOutcome::Published(publication) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(publication.totals.records, 5);
    assert_eq!(
        server.numbers(&ident, &At::Main).await.unwrap(),
        [0, 1, 2, 3, 4]
    );
    let listed = server
        .user()
        .list_tables(&ident.namespace, ident.layer)
        .await
        .unwrap();
    assert_eq!(listed, std::slice::from_ref(&ident));
    let namespaces = server.user().list_namespaces().await.unwrap();
    assert!(namespaces.contains(&ident.namespace));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_replaces_rows_and_columns_and_an_append_adds_to_them() {
    let server = Server::start().await;
    let ident = table("evolving");
    let publish = async |strategy, batch: RecordBatch| {
        let (run, client) = server.run(&ident);
        write_branch(&client, &ident, run, strategy, stream_of(batch))
            .await
            .unwrap();
        server.catalog.publish(run, &ident).await.unwrap()
    };
    publish(FullRefresh, rows(0..5)).await;
    publish(AppendOnly, rows(5..7)).await;
    assert_eq!(
        server.numbers(&ident, &At::Main).await.unwrap(),
        [0, 1, 2, 3, 4, 5, 6]
    );

    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let wide = RecordBatch::try_from_iter_with_nullable([
        ("n", rows([9]).column(0).clone(), true),
        ("s", text, true),
    ]);
    publish(AppendOnly, wide.unwrap()).await;
    assert_eq!(
        server.numbers(&ident, &At::Main).await.unwrap(),
        [0, 1, 2, 3, 4, 5, 6, 9]
    );

    let outcome = publish(FullRefresh, rows(0..0)).await;
    let PublishOutcome::Published(publication) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(publication.totals.records, 0);
    assert!(server.numbers(&ident, &At::Main).await.unwrap().is_empty());
    let table = server.user().load_table(&ident).await.unwrap().unwrap();
    assert_eq!(
        table.metadata().current_schema().as_struct().fields().len(),
        1
    );
    assert!(table.metadata().snapshot_for_ref("run").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_is_moved_behind_what_somebody_else_added_meanwhile() {
    let server = Server::start().await;
    let ident = table("shared");
    append_main(&server.user(), &ident, stream_of(rows([1])))
        .await
        .unwrap();
    let (run, client) = server.run(&ident);
    let writer = BranchWriter::open(&client, &ident, run, AppendOnly)
        .await
        .unwrap();
    append_main(&server.user(), &ident, stream_of(rows([2])))
        .await
        .unwrap();
    let written = writer.write(stream_of(rows([3]))).await.unwrap();
    written.commit().await.unwrap();
    append_main(&server.user(), &ident, stream_of(rows([4])))
        .await
        .unwrap();
    assert_eq!(server.numbers(&ident, &At::Main).await.unwrap(), [1, 2, 4]);
    let outcome = server.catalog.publish(run, &ident).await.unwrap();
    let PublishOutcome::Published(publication) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(publication.rebased);
    assert_eq!(publication.totals.records, 4);
    assert_eq!(
        server.numbers(&ident, &At::Main).await.unwrap(),
        [1, 2, 3, 4]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_of_what_somebody_else_changed_meanwhile_is_a_conflict() {
    let server = Server::start().await;
    let ident = table("contended");
    append_main(&server.user(), &ident, stream_of(rows([1])))
        .await
        .unwrap();

    // Changed before the run commits: the run notices.
    let (run, client) = server.run(&ident);
    let writer = BranchWriter::open(&client, &ident, run, FullRefresh)
        .await
        .unwrap();
    assert!(writer.table().is_some());
    append_main(&server.user(), &ident, stream_of(rows([2])))
        .await
        .unwrap();
    let written = writer.write(stream_of(rows([3]))).await.unwrap();
    assert_eq!(server.run_files(&ident, run), 1);
    let error = written.commit().await.unwrap_err();
    assert_eq!(error.reason(), "CONFLICT", "{error:?}");
    assert_eq!(server.run_files(&ident, run), 0);

    // Changed afterwards: publishing notices.
    let (run, client) = server.run(&ident);
    write_branch(&client, &ident, run, FullRefresh, stream_of(rows([3])))
        .await
        .unwrap();
    append_main(&server.user(), &ident, stream_of(rows([4])))
        .await
        .unwrap();
    let outcome = server.catalog.publish(run, &ident).await.unwrap();
    assert!(
        matches!(outcome, PublishOutcome::Conflict { .. }),
        "{outcome:?}"
    );
    server.catalog.discard(run, &ident).await.unwrap();
    assert_eq!(server.run_files(&ident, run), 0);
    assert_eq!(server.numbers(&ident, &At::Main).await.unwrap(), [1, 2, 4]);

    // The second attempt of a run finds no branch of the first.
    write_branch(&client, &ident, run, FullRefresh, stream_of(rows([3])))
        .await
        .unwrap();
    server.catalog.publish(run, &ident).await.unwrap();
    assert_eq!(server.numbers(&ident, &At::Main).await.unwrap(), [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_was_computed_from_its_table_is_not_moved() {
    let server = Server::start().await;
    let ident = table("counted");
    append_main(&server.user(), &ident, stream_of(rows([1])))
        .await
        .unwrap();
    // Somebody else is faster: after the run has committed, and before.
    for late in [false, true] {
        let (run, client) = server.run(&ident);
        let writer = BranchWriter::open(&client, &ident, run, AppendOnly)
            .await
            .unwrap();
        assert!(writer.table().is_some());
        let written = writer.write(stream_of(rows([2]))).await.unwrap();
        let somebody = async || {
            append_main(&server.user(), &ident, stream_of(rows([7])))
                .await
                .unwrap()
        };
        if !late {
            somebody().await;
        }
        written.commit().await.unwrap();
        if late {
            somebody().await;
        }
        let outcome = server.catalog.publish(run, &ident).await.unwrap();
        assert!(
            matches!(outcome, PublishOutcome::Conflict { .. }),
            "{outcome:?}"
        );
        server.catalog.discard(run, &ident).await.unwrap();
    }
    assert_eq!(server.numbers(&ident, &At::Main).await.unwrap(), [1, 7, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_half_way_leaves_no_file_and_no_table() {
    let server = Server::start().await;
    let ident = table("broken");
    let (run, client) = server.run(&ident);
    let good = rows(0..10);
    let failure = Err(DataFusionError::Execution("divide by zero".to_owned()));
    let broken = stream::iter([Ok(good.clone()), failure]);
    let broken = Box::pin(RecordBatchStreamAdapter::new(good.schema(), broken));
    let error = write_branch(&client, &ident, run, FullRefresh, vec![broken])
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "INPUT_FAILED");
    assert_eq!(server.run_files(&ident, run), 0);
    server.catalog.discard(run, &ident).await.unwrap();
    assert!(client.load_table(&ident).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_is_not_good_for_is_a_typed_error() {
    let server = Server::start().await;
    let (own, other) = (table("own"), table("other"));
    append_main(&server.user(), &other, stream_of(rows([1])))
        .await
        .unwrap();
    let (run, client) = server.run(&own);
    let error = client.load_table(&other).await.unwrap_err();
    assert_eq!(error.reason(), "CATALOG_FORBIDDEN", "{error:?}");
    let error = append_main(&client, &own, stream_of(rows([1])))
        .await
        .unwrap_err();
    assert_eq!(
        error.reason(),
        "CATALOG_FORBIDDEN",
        "a run does not write main: {error:?}"
    );
    let error = server.client("stale").load_table(&own).await.unwrap_err();
    assert_eq!(error.reason(), "CATALOG_UNAUTHENTICATED", "{error:?}");
    let query = server.client("query");
    let error = write_branch(&query, &other, run, AppendOnly, stream_of(rows([1]))).await;
    assert_eq!(error.unwrap_err().reason(), "CATALOG_FORBIDDEN");
    assert_eq!(
        server.run_files(&other, run),
        0,
        "refused files are removed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_does_not_fit_is_refused_before_anything_is_written() {
    let server = Server::start().await;
    let ident = table("typed");
    append_main(&server.user(), &ident, stream_of(rows([1])))
        .await
        .unwrap();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let batch = RecordBatch::try_from_iter([("n", text)]).unwrap();
    let (run, client) = server.run(&ident);
    let error = write_branch(&client, &ident, run, AppendOnly, stream_of(batch))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"column "n" has type string, but the table's column has long"#
    );
    assert_eq!(server.run_files(&ident, run), 0);
}
