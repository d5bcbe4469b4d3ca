//! Runs on a lake in memory: what the engine makes of a pipeline, whatever the catalog does.

use std::collections::BTreeMap;
use std::sync::Mutex;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use futures::{StreamExt, TryStreamExt};
use rat_types::{
    LandingFile, NamespaceName, QualityStatus, RunId, Secret, Severity, TableIdent, ZoneIdent,
};

use super::*;
use crate::fake::FakeTables;

#[derive(Debug)]
struct FakeLake {
    tables: FakeTables,
    written: Mutex<Option<Vec<RecordBatch>>>,
    strategy: Mutex<Option<MergeStrategy>>,
    committed: Mutex<bool>,
}

#[async_trait]
impl Tables for FakeLake {
    async fn load(&self, ident: &TableIdent) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        self.tables.load(ident).await
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, Error> {
        Ok(Vec::new())
    }

    async fn names(&self, namespace: &NamespaceName) -> Vec<TableIdent> {
        self.tables.names(namespace).await
    }
}

#[async_trait]
impl RunLake for FakeLake {
    type Files = (arrow::datatypes::SchemaRef, Vec<RecordBatch>);

    async fn open(&self, strategy: MergeStrategy) -> Result<(), Error> {
        *self.strategy.lock().unwrap() = Some(strategy);
        Ok(())
    }

    async fn write(
        &self,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Written<Self::Files>, Error> {
        let schema = rows[0].schema();
        let all = futures::stream::iter(rows).flatten();
        let batches: Vec<RecordBatch> = all.try_collect().await?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        *self.written.lock().unwrap() = Some(batches.clone());
        Ok(Written {
            files: (schema, batches),
            rows,
            bytes: 1,
        })
    }

    async fn commit(&self, (schema, batches): Self::Files) -> Result<Committed, Error> {
        *self.committed.lock().unwrap() = true;
        let table = MemTable::try_new(schema, vec![batches])?;
        Ok(Committed {
            snapshot_id: 7,
            table: Arc::new(table),
        })
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl RunObserver for Recorder {
    fn phase(&self, name: &'static str) {
        self.0.lock().unwrap().push(format!("> {name}"));
    }

    fn log(&self, level: LogLevel, message: String) {
        self.0.lock().unwrap().push(format!("{level} {message}"));
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    lake: FakeLake,
    recorder: Recorder,
    sources: BTreeMap<String, String>,
    landing: Vec<LandingFile>,
    cancel: CancellationToken,
    timeout: Duration,
}

fn fixture(sql: &str) -> Fixture {
    let tables = FakeTables::new(&[
        ("shop.bronze.orders", 100),
        ("shop.silver.result", 5),
        ("shop.bronze.other", 1),
    ]);
    Fixture {
        folder: tempfile::tempdir().unwrap(),
        lake: FakeLake {
            tables,
            written: Mutex::default(),
            strategy: Mutex::default(),
            committed: Mutex::default(),
        },
        recorder: Recorder::default(),
        sources: BTreeMap::from([("pipeline.sql".to_owned(), sql.to_owned())]),
        landing: Vec::new(),
        cancel: CancellationToken::new(),
        timeout: Duration::from_secs(60),
    }
}

impl Fixture {
    fn source(mut self, path: &str, text: &str) -> Self {
        self.sources.insert(path.to_owned(), text.to_owned());
        self
    }

    fn landing_file(mut self, path: &str, text: &str) -> Self {
        let place = self.folder.path().join(path);
        std::fs::write(&place, text).unwrap();
        let zone = ZoneIdent {
            namespace: "shop".parse().unwrap(),
            name: "raw".parse().unwrap(),
        };
        self.landing.push(LandingFile {
            zone,
            path: path.to_owned(),
            location: format!("file://{}", place.display()),
            size_bytes: text.len() as u64,
        });
        self
    }

    async fn run(&self) -> RunOutcome {
        let engine = Engine::new(EngineConfig {
            memory_limit: 64 << 20,
            spill_dir: self.folder.path().join("spill"),
            target_partitions: 2,
            quality_test_timeout: Duration::from_millis(400),
            run_timeout: self.timeout,
        })
        .unwrap();
        let now = Utc::now();
        let request = RunRequest {
            run_id: RunId::new_at(now),
            pipeline: "shop.silver.result".parse().unwrap(),
            attempt: 1,
            run_started_at: now,
            sources: self.sources.clone(),
            source_hash: String::new(),
            landing_files: self.landing.clone(),
            control_plane: String::new(),
            token: Secret::new(""),
        };
        engine
            .run_on(&self.lake, &request, &self.recorder, self.cancel.clone())
            .await
    }

    async fn failure(&self) -> (String, String) {
        let outcome = self.run().await;
        assert!(!outcome.phases.is_empty());
        let failure = outcome.failure.expect("the run fails");
        (failure.code, failure.message)
    }

    fn written(&self) -> String {
        let written = self.lake.written.lock().unwrap();
        pretty_format_batches(written.as_ref().unwrap())
            .unwrap()
            .to_string()
    }

    fn log(&self) -> String {
        self.recorder.0.lock().unwrap().join("\n")
    }
}

#[tokio::test]
async fn a_run_goes_through_its_phases() {
    let fixture = fixture("SELECT id FROM {{ ref('bronze.orders') }} WHERE id < 3")
        .source("config.yaml", "merge_strategy: append_only")
        .source(
            "tests/quality/ok.sql",
            "SELECT * FROM {{ this }} WHERE id > 2",
        );
    let outcome = fixture.run().await;
    assert_eq!(outcome.failure, None);
    assert_eq!(
        (outcome.state, outcome.rows_written),
        (RunState::Succeeded, 3)
    );
    assert_eq!(outcome.snapshot_id, Some(7));
    let phases: Vec<&str> = outcome
        .phases
        .iter()
        .map(|phase| phase.name.as_str())
        .collect();
    assert_eq!(phases, ["render", "plan", "write", "commit", "quality"]);
    assert_eq!(
        *fixture.lake.strategy.lock().unwrap(),
        Some(MergeStrategy::AppendOnly)
    );
    assert_eq!(outcome.quality[0].status, QualityStatus::Pass);
    assert!(
        fixture.log().contains("info Query returned 3 rows"),
        "{}",
        fixture.log()
    );
    assert!(
        fixture
            .log()
            .contains("info Quality test 'ok': pass (0 rows, "),
        "{}",
        fixture.log()
    );
}

#[tokio::test]
async fn landing_files_become_rows() {
    let fixture = fixture("SELECT * FROM read_csv('{{ landing_zone(\"raw\") }}') ORDER BY id")
        .landing_file("a.csv", "id,name\n2,b\n")
        .landing_file("b.csv", "id,name\n1,a\n");
    assert_eq!(fixture.run().await.failure, None);
    assert_eq!(
        fixture.written(),
        "+----+------+\n| id | name |\n+----+------+\n| 1  | a    |\n| 2  | b    |\n+----+------+"
    );
}

#[tokio::test]
async fn parquet_and_json_are_read_together() {
    let mut fixture = fixture(
        "SELECT p.id, j.x FROM read_parquet('{{ landing_zone('raw', '*.parquet') }}') p \
         JOIN read_json('{{ landing_zone('raw', '*.json') }}') j ON p.id = j.id",
    )
    .landing_file("a.json", "{\"id\": 3, \"x\": \"three\"}\n")
    .landing_file("p.parquet", "");
    let batch = RecordBatch::try_from_iter([(
        "id",
        Arc::new(arrow::array::Int64Array::from(vec![1, 2, 3])) as arrow::array::ArrayRef,
    )])
    .unwrap();
    let file = std::fs::File::create(fixture.folder.path().join("p.parquet")).unwrap();
    let mut writer =
        datafusion::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let size = std::fs::metadata(fixture.folder.path().join("p.parquet"))
        .unwrap()
        .len();
    fixture.landing[1].size_bytes = size;
    assert_eq!(fixture.run().await.failure, None);
    assert!(
        fixture.written().contains("| 3  | three |"),
        "{}",
        fixture.written()
    );
}

#[tokio::test]
async fn a_malformed_file_is_named_with_its_line() {
    let fixture =
        fixture("SELECT * FROM read_csv('{{ landing_zone('raw') }}', columns => 'id BIGINT')")
            .landing_file("good.csv", "id\n1\n")
            .landing_file("bad.csv", "id\n1\n2\nthree\n");
    let (code, message) = fixture.failure().await;
    assert_eq!(code, "LANDING_FILE_INVALID");
    assert!(
        message.starts_with("shop.raw/bad.csv, line 4: "),
        "{message}"
    );
    assert!(!*fixture.lake.committed.lock().unwrap());
}

#[tokio::test]
async fn what_a_pipeline_may_not_read_is_refused_before_anything_is_written() {
    for (sql, code) in [
        ("SELECT * FROM bronze.orders", "TABLE_NOT_REFERENCED"),
        (
            "SELECT * FROM {{ ref('bronze.missing') }}",
            "TABLE_NOT_FOUND",
        ),
        ("SELECT * FROM orders", "TABLE_NOT_FOUND"),
        ("SELECT * FROM read_csv('/etc/passwd')", "SQL_INVALID"),
        (
            "SELECT * FROM read_csv('landing://shop/raw/**')",
            "SQL_INVALID",
        ),
        (
            "SELECT * FROM read_csv('landing://shop/raw/../../x')",
            "SQL_INVALID",
        ),
        (
            "SELECT * FROM read_csv('{{ landing_zone('raw') }}')",
            "LANDING_FILE_NOT_FOUND",
        ),
        ("SELECT * FROM '/etc/passwd'", "TABLE_NOT_FOUND"),
        ("DROP TABLE bronze.orders", "SQL_NOT_READ_ONLY"),
        ("SELECT {{ nothing }}", "TEMPLATE_INVALID"),
        ("SELECT {{ nothing", "TEMPLATE_INVALID"),
        ("SELEC 1", "SQL_INVALID"),
        (
            "SELECT nonsense FROM {{ ref('bronze.orders') }}",
            "SQL_INVALID",
        ),
        (
            "SELECT CAST(name AS INT) FROM {{ ref('bronze.orders') }}",
            "EXECUTION_FAILED",
        ),
    ] {
        let fixture = fixture(sql);
        assert_eq!(fixture.failure().await.0, code, "{sql}");
        assert!(!*fixture.lake.committed.lock().unwrap());
        assert!(
            fixture.log().contains(&format!("error {code}: ")),
            "{}",
            fixture.log()
        );
    }
}

#[tokio::test]
async fn a_failing_test_of_severity_error_fails_the_run() {
    let fixture = fixture("SELECT id FROM {{ ref('bronze.orders') }}")
        .source(
            "tests/quality/big.sql",
            "-- @description: small ids\nSELECT id FROM {{ this }} WHERE id > 50",
        )
        .source(
            "tests/quality/odd.sql",
            "-- @severity: warn\nSELECT id FROM {{ this }} WHERE id = 51",
        )
        .source(
            "tests/quality/other.sql",
            "SELECT 1 FROM {{ ref('bronze.other') }} WHERE false",
        );
    let outcome = fixture.run().await;
    assert_eq!(outcome.state, RunState::Failed);
    let failure = outcome.failure.unwrap();
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("QUALITY_FAILED", "quality tests failed: big")
    );
    let big = &outcome.quality[0];
    assert_eq!(
        (big.status, big.violations, big.message.as_str()),
        (QualityStatus::Fail, 49, "small ids")
    );
    assert_eq!(big.samples.len(), 3);
    assert_eq!(big.samples[0], "{\"id\": 51}");
    assert_eq!(outcome.quality[1].severity, Severity::Warn);
    assert_eq!(outcome.quality[2].status, QualityStatus::Pass);
    assert_eq!(outcome.snapshot_id, Some(7));
}

#[tokio::test]
async fn a_warning_does_not_fail_the_run_and_tests_see_the_new_rows() {
    // The table on `main` has five rows, the run writes one.
    let fixture = fixture("SELECT 41 AS id")
        .source(
            "tests/quality/old.sql",
            "SELECT * FROM {{ this }} WHERE id < 5",
        )
        .source(
            "tests/quality/own.sql",
            "SELECT * FROM {{ ref('silver.result') }} WHERE id < 5",
        )
        .source(
            "tests/quality/new.sql",
            "-- @severity: warn\nSELECT * FROM {{ this }} WHERE id = 41",
        );
    let outcome = fixture.run().await;
    assert_eq!(outcome.failure, None);
    let verdicts: Vec<_> = outcome
        .quality
        .iter()
        .map(|r| (r.name.as_str(), r.status))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("new", QualityStatus::Fail),
            ("old", QualityStatus::Pass),
            ("own", QualityStatus::Pass)
        ]
    );
}

#[tokio::test]
async fn a_test_that_cannot_be_executed_has_not_passed() {
    let slow = "SELECT count(*) FROM range(1000000000000) WHERE value % 7 = 3";
    let fixture = fixture("SELECT 1 AS id")
        .source("tests/quality/broken.sql", "SELECT nope FROM {{ this }}")
        .source("tests/quality/slow.sql", slow);
    let outcome = fixture.run().await;
    assert_eq!(
        outcome.failure.unwrap().message,
        "quality tests failed: broken, slow"
    );
    assert_eq!(outcome.quality[0].status, QualityStatus::Error);
    assert!(outcome.quality[0].message.contains("nope"));
    assert_eq!(
        outcome.quality[1].message,
        "quality test 'slow' took longer than 0.400 s"
    );
}

#[tokio::test]
async fn a_run_reads_its_own_table_as_it_was() {
    let fixture = fixture("SELECT max(id) AS id FROM {{ this }}");
    assert_eq!(fixture.run().await.failure, None);
    assert!(
        fixture.written().contains("| 4  |"),
        "{}",
        fixture.written()
    );
}

#[tokio::test]
async fn a_run_can_be_cancelled_in_the_middle() {
    let slow = "SELECT count(*) AS n FROM range(1000000000000) WHERE value % 7 = 3";
    let fixture = fixture(slow);
    let cancel = async {
        while !fixture.log().contains("> write") {
            tokio::task::yield_now().await;
        }
        fixture.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(fixture.run(), cancel);
    assert_eq!(outcome.state, RunState::Cancelled);
    assert_eq!(outcome.failure.unwrap().code, "CANCELLED");
    assert_eq!(outcome.phases.last().unwrap().name, "write");
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_stopped() {
    let slow = "SELECT count(*) AS n FROM range(1000000000000) WHERE value % 7 = 3";
    let mut fixture = fixture(slow);
    fixture.timeout = Duration::from_millis(300);
    assert_eq!(
        fixture.failure().await,
        (
            "TIMEOUT".to_owned(),
            "the run took longer than 0.300 s".to_owned()
        )
    );
}

#[tokio::test]
async fn no_row_is_a_result_too() {
    let fixture = fixture("SELECT id FROM {{ ref('bronze.orders') }} WHERE false");
    let outcome = fixture.run().await;
    assert_eq!((outcome.failure, outcome.rows_written), (None, 0));
    assert!(*fixture.lake.committed.lock().unwrap());
}
