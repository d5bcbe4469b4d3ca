//! One run of a pipeline, from its sources to a tested branch.
//!
//! Every failure becomes part of the outcome; what was measured and tested before it is kept.
//! Cancellation and the time limit drop the whole work wherever it is: queries stop, files that
//! no snapshot refers to are deleted by the writer that lets go of them. What is left is a branch
//! that ratd discards.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use futures::FutureExt;
use rat_pipeline::{Pipeline, QualityTest, RenderContext, Rendered};
use rat_types::{LogLevel, MergeStrategy, QualityResult, RunOutcome, RunRequest, RunState};
use tokio_util::sync::CancellationToken;

use crate::lake::LakeRun;
use crate::limits::Limits;
use crate::observe::{Phases, RunObserver};
use crate::panic::Panic;
use crate::planner::Planner;
use crate::progress::Progress;
use crate::session::Sessions;
use crate::tables::{Pinned, Tables};
use crate::threads::Hold;
use crate::workers::Streams;
use crate::{Error, quality};

/// Limits of runs.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Bytes of working memory that all runs together may use before they spill or fail.
    pub memory_limit: usize,
    /// Folder for spilled data.
    pub spill_dir: PathBuf,
    /// Partitions that one run is executed in; one per core is right.
    pub target_partitions: usize,
    /// Time that one quality test may take.
    pub quality_test_timeout: Duration,
    /// Time that one run may take.
    pub run_timeout: Duration,
}

/// Executes runs; cheap to clone, and all clones share the memory limit.
#[derive(Clone)]
pub struct Engine {
    sessions: Sessions,
    quality_test_timeout: Duration,
    run_timeout: Duration,
    hold: Hold,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("run_timeout", &self.run_timeout)
            .finish_non_exhaustive()
    }
}

/// A run's way into the lake: its tables, and its own branch.
#[async_trait]
pub(crate) trait RunLake: Tables {
    /// Data files that no snapshot refers to; dropping them deletes them.
    type Files: Send;

    /// Loads the run's own table, on whose state it builds.
    async fn open(&self, strategy: MergeStrategy) -> Result<(), Error>;

    /// Writes rows to data files; all streams have the same columns.
    async fn write(
        &self,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Written<Self::Files>, Error>;

    /// Makes the files the head of the run's branch.
    async fn commit(&self, files: Self::Files) -> Result<Committed, Error>;
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written<F> {
    pub(crate) files: F,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// The head of the run's branch.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) snapshot_id: i64,
    pub(crate) table: Arc<dyn TableProvider>,
}

/// What is known of a run so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    phases: Phases,
    rows: u64,
    bytes: u64,
    snapshot_id: Option<i64>,
    quality: Vec<QualityResult>,
}

impl Engine {
    /// An engine with `config`.
    ///
    /// # Errors
    /// The folder for spilled data cannot be used.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        let EngineConfig {
            memory_limit,
            spill_dir,
            target_partitions,
            ..
        } = config;
        let sessions = Sessions::new(memory_limit, &spill_dir, target_partitions)?;
        let EngineConfig {
            quality_test_timeout,
            run_timeout,
            ..
        } = config;
        Ok(Self {
            sessions,
            quality_test_timeout,
            run_timeout,
            hold: Arc::new(()),
        })
    }

    /// The same engine, whose runs keep `hold` until their last thread has ended.
    #[must_use]
    pub fn holding(&self, hold: Hold) -> Self {
        Self {
            hold,
            ..self.clone()
        }
    }

    /// Time that one run may take.
    pub fn run_timeout(&self) -> Duration {
        self.run_timeout
    }

    /// Executes one run. Whatever goes wrong is in the outcome.
    pub async fn run(
        &self,
        request: &RunRequest,
        observer: &dyn RunObserver,
        cancel: CancellationToken,
    ) -> RunOutcome {
        match LakeRun::connect(request) {
            Ok(lake) => self.run_on(&lake, request, observer, cancel).await,
            Err(error) => outcome(request, Report::default(), Err(error), observer),
        }
    }

    pub(crate) async fn run_on<L: RunLake>(
        &self,
        lake: &L,
        request: &RunRequest,
        observer: &dyn RunObserver,
        cancel: CancellationToken,
    ) -> RunOutcome {
        let limits = Limits::new(cancel, "the run", self.run_timeout);
        let mut report = Report::default();
        let work = self.execute(lake, request, observer, &limits, &mut report);
        let result = match AssertUnwindSafe(limits.within(work)).catch_unwind().await {
            Ok(result) => result,
            Err(panic) => Err(Panic::of(&*panic).into()),
        };
        outcome(request, report, result, observer)
    }

    async fn execute<L: RunLake>(
        &self,
        lake: &L,
        request: &RunRequest,
        observer: &dyn RunObserver,
        limits: &Limits,
        report: &mut Report,
    ) -> Result<(), Error> {
        let (pipeline, attempt) = (&request.pipeline, request.attempt);
        let hash: String = request.source_hash.chars().take(12).collect();
        observer.log(
            LogLevel::Info,
            format!("Pipeline {pipeline}, attempt {attempt}, sources {hash}"),
        );

        report.phases.enter("render", observer);
        let source = Source::render(request)?;
        for warning in &source.pipeline.warnings {
            observer.log(LogLevel::Warn, warning.to_string());
        }

        report.phases.enter("plan", observer);
        let planner = Planner {
            sessions: &self.sessions,
            tables: lake,
            request,
            hold: &self.hold,
        };
        let mut pinned = Pinned::new();
        lake.open(source.pipeline.settings.merge_strategy).await?;
        let planned = planner.plan(&source.rendered, &mut pinned).await?;

        observer.log(LogLevel::Info, source.summary());

        report.phases.enter("write", observer);
        let progress = Progress::default();
        let rows = progress.count(planned.execute(Streams::Partitioned)?);
        let written = progress.report(observer, lake.write(rows)).await?;
        (report.rows, report.bytes) = (written.rows, written.bytes);
        let (rows, bytes) = (written.rows, written.bytes);
        observer.log(
            LogLevel::Info,
            format!("Query returned {rows} rows ({bytes} bytes written)"),
        );

        report.phases.enter("commit", observer);
        // Whoever gave the run up has told so already: it must not appear afterwards.
        limits.check()?;
        let committed = lake.commit(written.files).await?;
        report.snapshot_id = Some(committed.snapshot_id);
        let (branch, snapshot) = (request.run_id.branch(), committed.snapshot_id);
        observer.log(
            LogLevel::Info,
            format!("Branch {branch} has snapshot {snapshot}"),
        );

        if source.tests.is_empty() {
            return Ok(());
        }
        report.phases.enter("quality", observer);
        // From here on the table is what this run made of it.
        pinned.insert(request.pipeline.clone(), committed.table);
        let tests = quality::Tests {
            planner,
            observer,
            limits,
            timeout: self.quality_test_timeout,
            results: &mut report.quality,
        };
        tests.run(&source.tests, &mut pinned).await
    }
}

/// The pipeline, all its templates rendered.
struct Source {
    pipeline: Pipeline,
    rendered: Rendered,
    tests: Vec<(QualityTest, Rendered)>,
}

impl Source {
    fn render(request: &RunRequest) -> Result<Self, Error> {
        let pipeline = Pipeline::parse(&request.pipeline, &request.sources)?;
        let context = RenderContext {
            run_started_at: request.run_started_at,
        };
        let rendered = pipeline.render(&context)?;
        let mut tests = Vec::with_capacity(pipeline.tests.len());
        for test in &pipeline.tests {
            tests.push((test.clone(), pipeline.render_test(test, &context)?));
        }
        Ok(Self {
            pipeline,
            rendered,
            tests,
        })
    }

    /// What the run does, as a line of its log.
    fn summary(&self) -> String {
        let Rendered { refs, zones, .. } = &self.rendered;
        let tables = refs.iter().map(ToString::to_string);
        let inputs: Vec<_> = tables
            .chain(zones.iter().map(|zone| format!("landing zone {zone}")))
            .collect();
        let strategy = self.pipeline.settings.merge_strategy;
        match inputs.is_empty() {
            true => format!("Strategy {strategy}"),
            false => format!("Strategy {strategy}, reads {}", inputs.join(", ")),
        }
    }
}

fn outcome(
    request: &RunRequest,
    report: Report,
    result: Result<(), Error>,
    observer: &dyn RunObserver,
) -> RunOutcome {
    let (state, failure) = match result {
        Ok(()) => (RunState::Succeeded, None),
        Err(Error::Cancelled) => {
            observer.log(LogLevel::Warn, "The run was cancelled".to_owned());
            (RunState::Cancelled, Some(Error::Cancelled.to_failure()))
        }
        Err(error) => {
            let failure = error.to_failure();
            observer.log(
                LogLevel::Error,
                format!("{}: {}", failure.code, failure.message),
            );
            (RunState::Failed, Some(failure))
        }
    };
    RunOutcome {
        run_id: request.run_id,
        state,
        failure,
        rows_written: report.rows,
        bytes_written: report.bytes,
        snapshot_id: report.snapshot_id,
        phases: report.phases.finish(),
        quality: report.quality,
        finished_at: Utc::now(),
    }
}

#[cfg(test)]
mod tests;
