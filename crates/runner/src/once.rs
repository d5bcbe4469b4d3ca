//! One run, from a file to a file: the form in which an executor isolates runs from each other.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{SecondsFormat, Utc};
use rat_config::Settings;
use rat_engine::RunObserver;
use rat_service::runtime::{Failure, Process};
use rat_types::{LogLevel, RunFailure, RunOutcome, RunRequest, RunState};

use crate::{EngineThreads, Error, Execute};

/// Executes the run in the file `request` and writes its outcome to the file `result`, which
/// appears complete or not at all. A signal cancels the run.
///
/// # Errors
/// The run did not succeed, or one of the files cannot be used.
pub async fn once(
    settings: Settings,
    process: Process,
    request: PathBuf,
    result: PathBuf,
) -> Result<(), Failure> {
    let run = Arc::new(read(&request)?);
    let threads = EngineThreads::new(crate::engine(&settings)?);
    process.ready();
    let observer = Arc::new(StandardError);
    let outcome = threads
        .execute(
            Arc::clone(&run),
            observer,
            process.shutdown().clone(),
            Arc::new(()),
        )
        .await;
    let outcome = outcome.unwrap_or_else(|| broken(&run));
    write(&result, &outcome)?;
    match &outcome.failure {
        None => Ok(()),
        Some(RunFailure { code, message }) => Err(format!("{code}: {message}").into()),
    }
}

fn read(path: &Path) -> Result<RunRequest, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::ReadRequest {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|source| Error::ParseRequest {
        path: path.to_owned(),
        source,
    })
}

/// Writes next to the file and renames, so that nobody reads half of it. The temporary file, and
/// so the result, is readable by its owner alone.
fn write(path: &Path, outcome: &RunOutcome) -> Result<(), Error> {
    let failed = |source| Error::WriteResult {
        path: path.to_owned(),
        source,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let text = serde_json::to_vec(outcome).map_err(|error| failed(error.into()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // The rename itself.
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

fn broken(request: &RunRequest) -> RunOutcome {
    let failure = RunFailure::new("INTERNAL", "the run broke off inside the runner");
    RunOutcome::without_rows(request.run_id, RunState::Failed, Some(failure), Utc::now())
}

/// Writes the run's log to standard error, a line each.
struct StandardError;

impl RunObserver for StandardError {
    fn phase(&self, name: &'static str) {
        tracing::debug!(phase = name, "phase");
    }

    fn log(&self, level: LogLevel, message: String) {
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut stderr = std::io::stderr().lock();
        for line in message.lines() {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(stderr, "{at} {level:<5} {line}");
        }
    }
}
