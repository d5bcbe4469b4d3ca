use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use iceberg::spec::Datum;

use super::*;
use crate::schema::table_schema;
use crate::testing::{Lake, stream_of};

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(range));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

fn writer(lake: &Lake, batch: &RecordBatch) -> TableWriter {
    let table = lake.create(table_schema(&batch.schema()).unwrap());
    let schema = table.metadata().current_schema().clone();
    TableWriter::new(
        &lake.ident,
        &table,
        Some("run-1"),
        schema,
        lake.options.clone(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn small_streams_share_one_file() {
    let lake = Lake::new();
    let writer = writer(&lake, &numbers(0..1));
    let streams = (0..8)
        .map(|i| stream_of(numbers(i * 10..i * 10 + 10)))
        .collect();
    let files = writer.write(streams).await.unwrap();
    assert_eq!((files.data_files().len(), files.rows()), (1, 80));
    assert_eq!(lake.files_in("data/run-1"), 1);
    assert!(files.bytes() > 0);
    let file = &files.data_files()[0];
    assert_eq!(file.lower_bounds()[&1], Datum::long(0));
    assert_eq!(file.upper_bounds()[&1], Datum::long(79));
    drop(files);
    assert_eq!(lake.files_in("data/run-1"), 0, "nobody kept them");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_streams_have_files_of_their_own_which_roll_over() {
    let mut lake = Lake::new().with_row_groups(1000);
    lake.options.target_file_size = 4000;
    let writer = writer(&lake, &numbers(0..1));
    let streams = (0..2)
        .map(|i| stream_of(numbers(i * 5000..i * 5000 + 5000)))
        .collect();
    let files = writer.write(streams).await.unwrap();
    assert!(files.data_files().len() > 3, "{}", files.data_files().len());
    assert_eq!(files.rows(), 10_000);
    let count = files.data_files().len();
    files.keep();
    assert_eq!(lake.files_in("data/run-1"), count);
}

#[tokio::test]
async fn no_rows_make_no_file() {
    let lake = Lake::new();
    let files = writer(&lake, &numbers(0..1))
        .write(vec![stream_of(numbers(0..0))])
        .await
        .unwrap();
    assert_eq!((files.data_files().len(), files.rows()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_leaves_no_file() {
    let lake = Lake::new().with_row_groups(1000);
    let batch = numbers(0..5000);
    let failure = Err(DataFusionError::Execution("division by zero".to_owned()));
    let broken = stream::iter([Ok(batch.clone()), failure]);
    let broken = Box::pin(RecordBatchStreamAdapter::new(batch.schema(), broken));
    let writer = writer(&lake, &batch);
    let error = writer
        .write(vec![stream_of(batch), broken])
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "INPUT_FAILED");
    assert_eq!(lake.files_in("data/run-1"), 0);
}

/// The tasks stop when they are next polled; their files go with them.
async fn nothing_left(folder: &std::path::Path) {
    let gone = async {
        while folder.exists() && std::fs::read_dir(folder).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone)
        .await
        .unwrap();
}

/// Runs one test of this program again, where temporary files have a megabyte.
fn again_with_little_room(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let run = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
        let script = format!("mount -t tmpfs -o size=1m tmpfs \"$0\" && {script}");
        command.arg(script).arg(folder.path()).arg(&program);
        command.arg(test).output()
    };
    let is_possible = run("true").is_ok_and(|output| output.status.success());
    if !is_possible {
        let reason = "this user may not mount a small file system";
        return rat_sql::test_util::skipped("writing to a full disk", reason);
    }
    let script = "touch \"$0/little\" && TMPDIR=\"$0\" exec \"$1\" --exact \"$2\"";
    let output = run(script).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let is_passed = output.status.success() && text.contains("1 passed");
    assert!(
        is_passed,
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_in_one_line_and_leaves_no_file() {
    if !std::env::temp_dir().join("little").exists() {
        let this = "writer::tests::a_full_disk_is_told_in_one_line_and_leaves_no_file";
        return again_with_little_room(this);
    }
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    let lake = Lake::new().with_row_groups(10_000);
    let mut random = StdRng::seed_from_u64(1);
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(
        std::iter::repeat_with(|| random.random()).take(200_000),
    ));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let error = writer(&lake, &batch)
        .write(vec![stream_of(batch.clone()), stream_of(batch)])
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "STORAGE_FULL");
    assert_eq!(
        error.to_string(),
        "no space is left for table shop.gold.t: make room on the disk of the lake, then try again"
    );
    assert!(std::error::Error::source(&error).is_none());
    let folder = lake.folder.path().join("t/data/run-1");
    nothing_left(&folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_a_fixed_size_are_written_and_read_as_lists() {
    use arrow::array::FixedSizeListArray;
    use arrow::datatypes::Int64Type;
    let lake = Lake::new();
    let pairs = [Some([Some(1), None]), None, Some([Some(3), Some(4)])];
    let pairs = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(pairs, 2);
    let batch = RecordBatch::try_from_iter([("c", Arc::new(pairs) as ArrayRef)]).unwrap();
    let table = lake.table_with(batch).await;
    assert_eq!(
        lake.query(&table, "SELECT c FROM t").await,
        "[1, ]\n\n[3, 4]"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_writer_leaves_no_file() {
    let lake = Lake::new().with_row_groups(1000);
    let batch = numbers(0..5000);
    let endless = stream::iter([Ok(batch.clone())]).chain(stream::pending());
    let endless = Box::pin(RecordBatchStreamAdapter::new(batch.schema(), endless));
    let writer = writer(&lake, &batch);
    let folder = lake.folder.path().join("t/data/run-1");
    let writing = writer.write(vec![stream_of(batch), endless]);
    let finished = async {
        // The first stream's file is complete once it has its final name.
        while lake.files_in("data/run-1") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = writing => panic!("an endless stream cannot be written"),
        () = finished => {}
    }
    nothing_left(&folder).await;
}

#[tokio::test]
async fn bounds_of_long_texts_span_all_row_groups() {
    // Regression: with the bounds that the crate computes, this file claims to begin at "m",
    // because the minimum of the first row group is too long to be exact.
    let lake = Lake::new().with_row_groups(1);
    let long = format!("a{}", "x".repeat(200));
    let column: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(), "m", "p"]));
    let batch = RecordBatch::try_from_iter([("s", column)]).unwrap();
    let writer = writer(&lake, &batch);
    let files = writer.write(vec![stream_of(batch)]).await.unwrap();
    let file = &files.data_files()[0];
    assert_eq!(file.split_offsets().unwrap().len(), 3);
    assert_eq!(file.lower_bounds()[&1], Datum::string(&long[..64]));
    assert_eq!(file.upper_bounds()[&1], Datum::string("p"));
    assert_eq!((file.record_count(), file.value_counts()[&1]), (3, 3));
}
