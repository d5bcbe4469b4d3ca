//! Quality tests on the run's own branch.
//!
//! A test is a query that returns offending rows. They are counted as they stream by; three are
//! kept to be shown. A test that cannot be executed is not a test that passed.

use std::time::{Duration, Instant};

use futures::StreamExt;
use rat_pipeline::{QualityTest, Rendered};
use rat_types::{LogLevel, QualityResult, QualityStatus, Severity};

use crate::limits::Limits;
use crate::observe::RunObserver;
use crate::planner::Planner;
use crate::samples;
use crate::tables::Pinned;
use crate::workers::Streams;
use crate::{Error, error};

/// Rows that are kept to be shown.
const SAMPLES: usize = 3;

/// The tests of one run.
pub(crate) struct Tests<'a> {
    pub(crate) planner: Planner<'a>,
    pub(crate) observer: &'a dyn RunObserver,
    pub(crate) limits: &'a Limits,
    pub(crate) timeout: Duration,
    /// Filled as tests end, so that a run which ends in between has the results so far.
    pub(crate) results: &'a mut Vec<QualityResult>,
}

impl Tests<'_> {
    /// Runs one test after the other.
    ///
    /// # Errors
    /// [`Error::QualityFailed`] when a test of severity `error` did not pass; or the run is over.
    pub(crate) async fn run(
        self,
        tests: &[(QualityTest, Rendered)],
        pinned: &mut Pinned,
    ) -> Result<(), Error> {
        for (test, rendered) in tests {
            let started = Instant::now();
            let limits = self
                .limits
                .part(format!("quality test '{}'", test.name), self.timeout);
            let result = limits.within(self.count(rendered, pinned)).await;
            if let (Err(_), true) = (&result, self.limits.is_over()) {
                return result.map(|_| ());
            }
            let result = verdict(test, started, result);
            self.report(test, &result);
            self.results.push(result);
        }
        self.conclude()
    }

    /// Offending rows, and a few of them.
    async fn count(
        &self,
        rendered: &Rendered,
        pinned: &mut Pinned,
    ) -> Result<(u64, Vec<String>), Error> {
        let planned = self.planner.plan(rendered, pinned).await?;
        let mut rows = futures::stream::iter(planned.execute(Streams::Merged)?).flatten();
        let (mut count, mut shown) = (0, Vec::new());
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            count += batch.num_rows() as u64;
            if shown.len() < SAMPLES {
                let more = samples::rows(&batch, SAMPLES - shown.len())
                    .map_err(|error| Error::internal(error::chain(&error)))?;
                shown.extend(more);
            }
        }
        Ok((count, shown))
    }

    fn report(&self, test: &QualityTest, result: &QualityResult) {
        let QualityResult {
            name,
            violations,
            message,
            ..
        } = result;
        let level = match (result.status, test.severity) {
            (QualityStatus::Pass, _) => LogLevel::Info,
            (_, Severity::Warn) => LogLevel::Warn,
            (_, Severity::Error) => LogLevel::Error,
        };
        let log = |text: String| self.observer.log(level, text);
        if result.status == QualityStatus::Error {
            log(format!("Quality test '{name}' errored: {message}"));
            return;
        }
        let (status, millis) = (result.status, result.duration_us / 1_000);
        log(format!(
            "Quality test '{name}': {status} ({violations} rows, {millis}ms)"
        ));
        if result.status == QualityStatus::Pass {
            return;
        }
        if !message.is_empty() {
            log(format!("Quality test '{name}' description: {message}"));
        }
        if !test.remediation.is_empty() {
            log(format!(
                "Quality test '{name}' remediation: {}",
                test.remediation
            ));
        }
        log(format!(
            "Sample violations for '{name}': {}",
            result.samples.join(" ")
        ));
    }

    fn conclude(self) -> Result<(), Error> {
        let count = |status| {
            self.results
                .iter()
                .filter(|result| result.status == status)
                .count()
        };
        let (passed, failed) = (count(QualityStatus::Pass), count(QualityStatus::Fail));
        let errored = count(QualityStatus::Error);
        let summary =
            format!("Quality results: {passed} passed, {failed} failed, {errored} errored");
        self.observer.log(LogLevel::Info, summary);
        let tests: Vec<String> = self
            .results
            .iter()
            .filter(|result| result.severity == Severity::Error)
            .filter(|result| result.status != QualityStatus::Pass)
            .map(|result| result.name.clone())
            .collect();
        if tests.is_empty() {
            Ok(())
        } else {
            Err(Error::QualityFailed { tests })
        }
    }
}

fn verdict(
    test: &QualityTest,
    started: Instant,
    result: Result<(u64, Vec<String>), Error>,
) -> QualityResult {
    let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (status, violations, samples, message) = match result {
        Ok((0, _)) => (QualityStatus::Pass, 0, Vec::new(), test.description.clone()),
        Ok((rows, samples)) => (QualityStatus::Fail, rows, samples, test.description.clone()),
        Err(error) => (QualityStatus::Error, 0, Vec::new(), error.to_string()),
    };
    let (name, severity) = (test.name.clone(), test.severity);
    QualityResult {
        name,
        severity,
        status,
        violations,
        duration_us,
        message,
        samples,
    }
}
