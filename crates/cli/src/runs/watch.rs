//! Starts runs and watches them to their end, several at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rat_types::{RunId, RunStatus, TableIdent};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::follow::follow;
use super::graph::{Graph, Progress};
use crate::client::{Answer, Client, Created, Error, LogLine, LogPage, Run};
use crate::output::{Console, Tone, count, duration, row_count, shorten};
use crate::progress::Task;

/// First pause between two looks at a run; it grows.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// Longest pause between two looks.
const LAST_LOOK: Duration = Duration::from_millis(500);
/// Shortest pause between two looks at its log.
const LOG_LOOK: Duration = Duration::from_secs(1);
/// Characters of the last line of a log that are shown.
const LINE_WIDTH: usize = 160;
/// How long ratd may be away before a run is given up; it finds its runs again after a restart.
const ABSENCE: Duration = Duration::from_secs(60);

/// How runs are watched.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Most runs at a time.
    pub jobs: usize,
    /// Whether logs are shown.
    pub follow: bool,
    /// Asks to cancel what is running and to start nothing more.
    pub cancel: CancellationToken,
}

/// How it ended with one pipeline.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Its run ended; the answer is what the API said of it last.
    Ended(Box<Run>, Answer),
    /// It did not run, because something that it reads did not succeed or nothing more may start.
    Skipped,
    /// ratd refused to start it.
    Refused(String),
    /// ratd could not be asked to start it, or it was lost sight of.
    Lost(String),
}

/// How it ended with all of them.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Outcomes in the order in which they came.
    pub outcomes: Vec<(TableIdent, Outcome)>,
}

impl Report {
    /// Whether every run succeeded.
    pub fn is_success(&self) -> bool {
        self.outcomes.iter().all(|(_, outcome)| {
            matches!(outcome, Outcome::Ended(run, _) if run.status == RunStatus::Success)
        })
    }

    /// `12 succeeded, 1 failed, 2 skipped`, without what is zero.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<(u8, &str), usize> = BTreeMap::new();
        for (_, outcome) in &self.outcomes {
            let word = match outcome {
                Outcome::Ended(run, _) => match run.status {
                    RunStatus::Success => (0, "succeeded"),
                    RunStatus::Cancelled => (2, "cancelled"),
                    RunStatus::Failed | RunStatus::Pending | RunStatus::Running => (1, "failed"),
                },
                Outcome::Refused(_) => (3, "refused"),
                Outcome::Lost(_) => (4, "lost"),
                Outcome::Skipped => (5, "skipped"),
            };
            *counts.entry(word).or_default() += 1;
        }
        let parts: Vec<String> = counts
            .iter()
            .map(|((_, word), n)| format!("{n} {word}"))
            .collect();
        if parts.is_empty() {
            "nothing to run".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

/// Runs every pipeline of `graph` in order, `watch.jobs` at a time.
pub async fn run_all(client: &Client, console: &Console, graph: &Graph, watch: &Watch) -> Report {
    let mut progress = Progress::new(graph);
    let mut report = Report::default();
    let mut active = FuturesUnordered::new();
    loop {
        if watch.cancel.is_cancelled() {
            for ident in progress.stop() {
                report.outcomes.push((ident, Outcome::Skipped));
            }
        }
        while active.len() < watch.jobs.max(1) {
            let Some(ident) = progress.take_ready() else {
                break;
            };
            active.push(async move {
                let outcome = run_one(client, console, &ident, watch).await;
                (ident, outcome)
            });
        }
        let Some((ident, outcome)) = active.next().await else {
            return report;
        };
        let status = match &outcome {
            Outcome::Ended(run, _) => Some(run.status),
            Outcome::Skipped | Outcome::Refused(_) | Outcome::Lost(_) => None,
        };
        report.outcomes.push((ident.clone(), outcome));
        for skipped in progress.ended(&ident, status) {
            let task = Task::open_ended(console, &skipped.to_string());
            task.end(Tone::Warn, "skipped", &format!("{ident} did not succeed"));
            report.outcomes.push((skipped, Outcome::Skipped));
        }
    }
}

async fn run_one(client: &Client, console: &Console, ident: &TableIdent, watch: &Watch) -> Outcome {
    let task = Task::open_ended(console, &ident.to_string());
    let id = match start(client, ident).await {
        Ok((id, _)) => id,
        Err(error) => return not_started(task, &error),
    };
    let ended = async {
        let show = |line: &LogLine| console.note(&format_line(console, Some(ident), line));
        let logs = async {
            if watch.follow
                && let Err(error) = follow(client, id, show).await
            {
                console.note(&format!("{ident}: the log cannot be followed: {error:#}"));
            }
        };
        let (ended, ()) = tokio::join!(observe(client, id, &task, watch), logs);
        ended.with_context(|| format!("run {id} of {ident}"))
    };
    match ended.await {
        Ok((run, answer)) => {
            finish(task, &run);
            Outcome::Ended(Box::new(run), answer)
        }
        Err(error) => {
            let message = format!("{error:#}");
            task.end(Tone::Bad, "lost", &message);
            Outcome::Lost(message)
        }
    }
}

fn not_started(task: Task, error: &anyhow::Error) -> Outcome {
    let message = format!("{error:#}");
    let is_refused = error
        .downcast_ref::<Error>()
        .is_some_and(|error| error.status().is_some());
    let word = if is_refused { "refused" } else { "lost" };
    task.end(Tone::Bad, word, &message);
    match is_refused {
        true => Outcome::Refused(message),
        false => Outcome::Lost(message),
    }
}

/// Starts a run; its id, and what the API said.
///
/// # Errors
/// Whatever the request ended with.
pub async fn start(client: &Client, ident: &TableIdent) -> Result<(RunId, Answer)> {
    let body = json!({
        "namespace": ident.namespace,
        "layer": ident.layer,
        "pipeline": ident.name,
        "trigger": "manual",
    });
    let answer = client.post("/api/v1/runs", &body).await;
    let answer = answer.with_context(|| format!("cannot start a run of {ident}"))?;
    let created: Created = answer.parse()?;
    Ok((created.run_id, answer))
}

/// Watches a run until it has ended.
async fn observe(client: &Client, id: RunId, task: &Task, watch: &Watch) -> Result<(Run, Answer)> {
    let cancel = &watch.cancel;
    let path = format!("/api/v1/runs/{id}");
    let client = client.without_retry();
    let mut pause = FIRST_LOOK;
    let mut asked_to_cancel = false;
    let mut seen = Instant::now();
    // Where the log is shown anyway, or nobody would see it, it is not read for the progress.
    let mut log = (task.is_shown() && !watch.follow).then(LastLine::default);
    loop {
        match look(&client, &path).await {
            Ok((run, answer)) if run.status.is_terminal() => return Ok((run, answer)),
            Ok((run, _)) => {
                seen = Instant::now();
                if let Some(log) = &mut log {
                    log.refresh(&client, &path).await;
                }
                let line = log.as_ref().and_then(|log| log.text.as_deref());
                if !asked_to_cancel {
                    task.say(&describe(&run, line));
                }
            }
            Err(error) if error.is_transient() && seen.elapsed() < ABSENCE => {
                task.say("waiting for ratd");
            }
            Err(error) => return Err(error.into()),
        }
        if cancel.is_cancelled() && !asked_to_cancel {
            asked_to_cancel = true;
            task.say("cancelling");
            // Refused where it has ended meanwhile, which the next look will show.
            let _ = client.post(&format!("{path}/cancel"), &json!({})).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled(), if !asked_to_cancel => {}
        }
        pause = (pause * 3 / 2).min(LAST_LOOK);
    }
}

async fn look(client: &Client, path: &str) -> Result<(Run, Answer), Error> {
    let answer = client.get(path, &[]).await?;
    Ok((answer.parse()?, answer))
}

/// The newest line of a run's log, for its progress.
#[derive(Debug, Default)]
struct LastLine {
    after: u64,
    read_at: Option<Instant>,
    text: Option<String>,
}

impl LastLine {
    /// Reads on, unless that was done just now. That it cannot be read is no reason to fail.
    async fn refresh(&mut self, client: &Client, path: &str) {
        if self.read_at.is_some_and(|at| at.elapsed() < LOG_LOOK) {
            return;
        }
        self.read_at = Some(Instant::now());
        let query = [
            ("after", self.after.to_string()),
            ("limit", "1000".to_owned()),
        ];
        let answer = client.get(&format!("{path}/logs"), &query).await;
        if let Ok(page) = answer.and_then(|answer| answer.parse::<LogPage>()) {
            self.take(page);
        }
    }

    fn take(&mut self, page: LogPage) {
        for line in page.logs {
            self.after = self.after.max(line.seq);
            if line.level != "debug" {
                self.text = Some(line.message);
            }
        }
    }
}

/// What a run is doing: its phase or status, rows so far, and the last line of its log.
fn describe(run: &Run, last_line: Option<&str>) -> String {
    let phase = run.phase.as_deref().filter(|phase| !phase.is_empty());
    let mut text = phase.map_or_else(|| run.status.to_string(), str::to_owned);
    if let Some(rows) = run.rows_written.filter(|rows| *rows > 0) {
        text.push_str(&format!(", {}", row_count(rows)));
    }
    if let Some(line) = last_line {
        text.push_str(&format!(": {}", shorten(line, LINE_WIDTH)));
    }
    text
}

fn finish(task: Task, run: &Run) {
    let time = run
        .duration_ms
        .map(|ms| duration(Duration::from_millis(ms)))
        .unwrap_or_default();
    match run.status {
        RunStatus::Success => {
            let rows = run.rows_written.unwrap_or(0);
            let unit = if rows == 1 { "row " } else { "rows" };
            let rows = count(rows);
            task.end(
                Tone::Good,
                "success",
                &format!("{rows:>12} {unit}  {time:>9}"),
            );
        }
        RunStatus::Cancelled => task.end(Tone::Warn, "cancelled", &time),
        RunStatus::Failed | RunStatus::Pending | RunStatus::Running => {
            let why = run
                .failure()
                .unwrap_or_else(|| "no reason was given".to_owned());
            task.end(
                Tone::Bad,
                "failed",
                &format!("{why}\n    see: rat logs {}", run.id),
            );
        }
    }
}

/// A line of a log: time, level, text.
pub fn format_line(console: &Console, ident: Option<&TableIdent>, line: &LogLine) -> String {
    let tone = match line.level.as_str() {
        "error" => Tone::Bad,
        "warn" => Tone::Warn,
        "debug" => Tone::Dim,
        _ => Tone::Plain,
    };
    let time = line
        .timestamp
        .map(|at| at.format("%H:%M:%S%.3f ").to_string())
        .unwrap_or_default();
    let owner = ident.map(|ident| format!("{ident}  ")).unwrap_or_default();
    let level = console.paint_note(tone, &format!("{:<5}", line.level));
    format!("{time}{owner}{level} {}", line.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows: Option<u64>) -> Run {
        serde_json::from_value(json!({"id": "019a0000-0000-7000-8000-000000000000",
            "status": "running", "rows_written": rows}))
        .unwrap()
    }

    #[test]
    fn progress_tells_status_rows_and_the_last_line_of_the_log() {
        assert_eq!(describe(&run(None), None), "running");
        assert_eq!(describe(&run(Some(1)), None), "running, 1 row");
        assert_eq!(
            describe(&run(Some(2000)), Some("writing:\n1,000 rows so far")),
            "running, 2,000 rows: writing: 1,000 rows so far"
        );
    }

    #[test]
    fn the_last_line_is_kept_until_there_is_a_newer_one() {
        let page = |lines: &[(u64, &str, &str)]| -> LogPage {
            let lines: Vec<_> = lines
                .iter()
                .map(|(seq, level, text)| json!({"seq": seq, "level": level, "message": text}))
                .collect();
            serde_json::from_value(json!({"logs": lines, "status": "running"})).unwrap()
        };
        let mut last = LastLine::default();
        last.take(page(&[
            (1, "info", "one"),
            (2, "info", "two"),
            (3, "debug", "noise"),
        ]));
        assert_eq!((last.after, last.text.as_deref()), (3, Some("two")));
        last.take(page(&[]));
        assert_eq!((last.after, last.text.as_deref()), (3, Some("two")));
    }
}
