//! Many writers of different make on one table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use rat_acceptance::{Options, Stack, skip};
use rat_lake::{CatalogClient, append_main};
use rat_types::TableIdent;
use tokio::task::JoinSet;

/// Writers of each make.
const WRITERS: usize = 16;
/// How long they write.
const DURATION: Duration = Duration::from_secs(60);
const TABLE: &str = "shared.bronze.log";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_writers_lose_no_row() -> Result<()> {
    if std::env::var_os("RAT_TEST_PYTHON").is_none() {
        return skip(
            "concurrent writers of PyIceberg and RAT",
            "RAT_TEST_PYTHON is not set",
        );
    }
    let stack = Arc::new(Stack::start(&Options::default()).await?);
    stack.python(&["create", stack.url(), TABLE]).await?;
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(pyiceberg(Arc::clone(&stack), format!("pyiceberg-{number}")));
        writers.spawn(rat(stack.url().to_owned(), format!("rat-{number}")));
    }
    let (mut acknowledged, mut idle) = (0, Vec::new());
    while let Some(writer) = writers.join_next().await {
        let (name, rows) = writer??;
        println!("{name}: {rows} rows acknowledged");
        acknowledged += rows;
        if rows == 0 {
            idle.push(name);
        }
    }
    let counted = stack
        .python(&["count", stack.url(), TABLE])
        .await?
        .context("no output")?;
    let counted: serde_json::Value = serde_json::from_str(&counted)?;
    println!("{acknowledged} rows acknowledged in {DURATION:?}, found: {counted}");
    ensure!(
        counted["rows"] == acknowledged,
        "{acknowledged} rows acknowledged, found {counted}"
    );
    ensure!(
        counted["distinct"] == acknowledged,
        "{acknowledged} rows acknowledged, found {counted}"
    );
    ensure!(idle.len() < WRITERS, "nobody got through of {idle:?}");
    Ok(())
}

/// Appends with PyIceberg, which answers a conflict to its caller.
async fn pyiceberg(stack: Arc<Stack>, name: String) -> Result<(String, u64)> {
    let seconds = DURATION.as_secs().to_string();
    let output = stack
        .python(&["append", stack.url(), TABLE, &name, &seconds])
        .await?;
    let report: serde_json::Value = serde_json::from_str(&output.context("no output")?)?;
    let rows = report["acknowledged"].as_u64().context("no count")?;
    Ok((name, rows))
}

/// Appends with RAT's own client, which rebuilds its snapshot after a conflict.
async fn rat(url: String, name: String) -> Result<(String, u64)> {
    let client = CatalogClient::new(&format!("{url}/iceberg"), None)?;
    let table: TableIdent = TABLE.parse()?;
    let end = Instant::now() + DURATION;
    let mut rows = 0;
    while Instant::now() < end {
        match append_main(&client, &table, vec![one_row(&name, rows)?]).await {
            Ok(_) => rows += 1,
            // More conflicts in a row than the client bears: nothing was written.
            Err(error) if error.kind() == rat_types::Kind::Conflict => {}
            Err(error) => return Err(error).context(name),
        }
    }
    Ok((name, rows))
}

fn one_row(writer: &str, sequence: u64) -> Result<SendableRecordBatchStream> {
    let columns: [(&str, ArrayRef); 2] = [
        ("writer", Arc::new(StringArray::from(vec![writer]))),
        (
            "sequence",
            Arc::new(Int64Array::from(vec![i64::try_from(sequence)?])),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let stream = futures::stream::iter([Ok(batch.clone())]);
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        batch.schema(),
        stream,
    )))
}
