//! Landing files that are not what they seem: a run fails, and never loses or moves a value.

use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray,
};
use datafusion::parquet::arrow::ArrowWriter;
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
    let column = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    parquet_of([(names[0], column(1)), (names[1], column(2))])
}

fn parquet_of<const N: usize>(columns: [(&str, ArrayRef); N]) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

const PARQUET: &str = "SELECT * FROM read_parquet('{{ landing_zone('raw') }}')";

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_parquet_files_widen_where_no_value_changes() {
    let lake = Lake::start().await;
    let money = |value, precision| {
        let array = Decimal128Array::from(vec![value]);
        Arc::new(array.with_precision_and_scale(precision, 2).unwrap()) as ArrayRef
    };
    let files = [
        lake.land(
            "a.parquet",
            parquet_of([
                ("n", Arc::new(Int32Array::from(vec![7])) as ArrayRef),
                ("x", Arc::new(Float32Array::from(vec![0.5]))),
                ("m", money(150, 5)),
                ("t", Arc::new(StringArray::from(vec!["a"]))),
            ]),
        ),
        lake.land(
            "b.parquet",
            parquet_of([
                ("t", Arc::new(LargeStringArray::from(vec!["b"])) as ArrayRef),
                ("m", money(1_234_567_890, 12)),
                ("x", Arc::new(Float64Array::from(vec![1e300]))),
                ("n", Arc::new(Int64Array::from(vec![1_i64 << 40]))),
            ]),
        ),
    ];
    assert_eq!(lake.run(&source(PARQUET), &files).await.failure, None);
    let rows = lake
        .query("SELECT n, x, m, t FROM bronze.x ORDER BY n")
        .await;
    for cells in [
        "| 7             | 0.5   | 1.50        | a |",
        "| 1099511627776 | 1e300 | 12345678.90 | b |",
    ] {
        assert!(rows.contains(cells), "{rows}");
    }
    let types = lake.query("DESCRIBE bronze.x").await;
    for name in ["BIGINT", "DOUBLE", "DECIMAL(12, 2)", "VARCHAR"] {
        assert!(types.contains(name), "{types}");
    }

    let files = [
        lake.land(
            "c.parquet",
            parquet_of([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]),
        ),
        lake.land(
            "d.parquet",
            parquet_of([("n", Arc::new(StringArray::from(vec!["1"])) as ArrayRef)]),
        ),
    ];
    let failure = lake.run(&source(PARQUET), &files).await.failure.unwrap();
    assert_eq!(failure.code, "LANDING_FILE_INVALID");
    assert!(
        failure
            .message
            .contains("column \"n\" is Utf8 here and Int64 in"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parquet_file_with_a_damaged_page_is_named() {
    let names = (0..20_000).map(|n| format!("name number {n}"));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20_000));
    let sound = parquet_of([("name", names), ("number", numbers)]);
    let lake = Lake::start().await;
    let mut failed = 0;
    // Page headers, levels, dictionaries and values: whatever is at these places.
    for place in [
        4,
        5,
        8,
        20,
        60,
        1_000,
        sound.len() / 2,
        sound.len() / 2 + 7,
        sound.len() * 3 / 4,
    ] {
        let mut damaged = sound.clone();
        damaged[place..place + 8].fill(0xff);
        let files = [
            lake.land("a.parquet", &sound),
            lake.land("b.parquet", &damaged),
            lake.land("c.parquet", &sound),
        ];
        let run = lake.prepare(&source(PARQUET), &files);
        // Values that are other values now cannot be told.
        if let Some(failure) = lake.execute(&run, &Unobserved).await.failure {
            failed += 1;
            assert_eq!(failure.code, "LANDING_FILE_INVALID", "{}", failure.message);
            let start = "shop.raw/b.parquet: the file is damaged: ";
            assert!(failure.message.starts_with(start), "{}", failure.message);
        }
    }
    assert!(failed > 3, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parquet_file_whose_footer_lies_is_refused_before_it_is_parsed() {
    let lake = Lake::start().await;
    let mut bytes = b"PAR1".to_vec();
    // A schema of two thousand million columns.
    let footer = [0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
    bytes.extend(footer);
    bytes.extend(u32::try_from(footer.len()).unwrap().to_le_bytes());
    bytes.extend(b"PAR1");
    let files = [lake.land("a.parquet", bytes)];
    let failure = lake.run(&source(PARQUET), &files).await.failure.unwrap();
    assert_eq!(failure.code, "LANDING_FILE_INVALID");
    let expected = "shop.raw/a.parquet: the footer of the file is damaged";
    assert_eq!(failure.message, expected);
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
