//! Landing files that are not what they seem: a run fails, and never loses or moves a value.

use std::sync::Mutex;

use rat_engine::{RunObserver, Unobserved};
use rat_types::{LogLevel, RunFailure};

use crate::support::{Lake, Source};

fn source(sql: &str) -> Source<'_> {
    Source {
        ident: "shop.bronze.x",
        sql,
        files: &[],
    }
}

/// Does something at the start of a phase.
struct At<F>(&'static str, Mutex<Option<F>>);

impl<F: FnOnce() + Send> RunObserver for At<F> {
    fn phase(&self, name: &'static str) {
        if name == self.0
            && let Some(act) = self.1.lock().unwrap().take()
        {
            act();
        }
    }

    fn log(&self, _level: LogLevel, _message: String) {}
}

/// Runs `sql` over a file that is replaced once the plan is made.
async fn replaced(sql: &str, name: &str, old: Vec<u8>, new: Vec<u8>) -> RunFailure {
    let lake = Lake::start().await;
    let files = [lake.land(name, old)];
    let run = lake.prepare(&source(sql), &files);
    let place = url::Url::parse(&files[0].location).unwrap();
    let place = place.to_file_path().unwrap();
    let replace = move || {
        let aside = place.with_extension("new");
        std::fs::write(&aside, new).unwrap();
        std::fs::rename(aside, place).unwrap();
    };
    let observer = At("write", Mutex::new(Some(replace)));
    let outcome = lake.execute(&run, &observer).await;
    assert!(lake.data_files(&run).is_empty());
    outcome.failure.expect("the run fails")
}

fn parquet(names: [&str; 2]) -> Vec<u8> {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::parquet::arrow::ArrowWriter;
    use std::sync::Arc;

    let column = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([(names[0], column(1)), (names[1], column(2))]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_overwritten_during_a_run_fails_it() {
    let text = |text: &str| text.as_bytes().to_vec();
    for (sql, name, old, new) in [
        (
            "SELECT * FROM read_csv('{{ landing_zone('raw') }}')",
            "a.csv",
            text("price,cost\n1,2\n"),
            text("cost,price\n2,1\n"),
        ),
        (
            "SELECT * FROM read_json('{{ landing_zone('raw') }}')",
            "a.json",
            text("{\"a\": 1}\n"),
            text("{\"a\": 2}\n"),
        ),
        (
            "SELECT * FROM read_parquet('{{ landing_zone('raw') }}')",
            "a.parquet",
            parquet(["a", "b"]),
            parquet(["b", "a"]),
        ),
    ] {
        assert_eq!(old.len(), new.len());
        let failure = replaced(sql, name, old, new).await;
        assert_eq!(failure.code, "LANDING_FILE_CHANGED", "{}", failure.message);
        let start = format!("shop.raw/{name}: ");
        assert!(failure.message.starts_with(&start), "{}", failure.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_size_than_the_frozen_one_fails_the_run() {
    let lake = Lake::start().await;
    let mut file = lake.land("a.csv", "id\n1\n");
    file.size_bytes -= 1;
    let run = lake.prepare(
        &source("SELECT * FROM read_csv('{{ landing_zone('raw') }}')"),
        &[file],
    );
    let failure = lake.execute(&run, &Unobserved).await.failure.unwrap();
    assert_eq!(failure.code, "LANDING_FILE_CHANGED", "{}", failure.message);
}
