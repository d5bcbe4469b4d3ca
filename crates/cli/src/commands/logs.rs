//! `rat logs` and `rat cancel`.

use std::process::ExitCode;

use anyhow::Result;
use rat_types::RunStatus;
use serde_json::json;

use super::Session;
use crate::arguments::{CancelArguments, LogsArguments};
use crate::client::{Created, LogLine, LogPage};
use crate::runs::{follow, format_line};

/// Lines per request.
const PAGE: usize = 1000;

pub(super) async fn show(session: &Session, arguments: &LogsArguments) -> Result<ExitCode> {
    let console = &session.console;
    if arguments.follow {
        let mut written = Ok(());
        let show = |line: &LogLine| {
            if written.is_ok() {
                written = console.result(&format_line(console, None, line));
            }
        };
        let status = follow(&session.client, arguments.run, show).await?;
        written?;
        console.note(&format!("run {}: {status}", arguments.run));
        let is_success = status == RunStatus::Success;
        return Ok(if is_success {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    let path = format!("/api/v1/runs/{}/logs", arguments.run);
    let mut after = 0;
    loop {
        let query = [("after", after.to_string()), ("limit", PAGE.to_string())];
        let page: LogPage = session.client.get(&path, &query).await?.parse()?;
        let before = after;
        for line in &page.logs {
            after = after.max(line.seq);
            console.result(&format_line(console, None, line))?;
        }
        if page.logs.is_empty() || after == before {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

pub(super) async fn cancel(session: &Session, arguments: &CancelArguments) -> Result<ExitCode> {
    let path = format!("/api/v1/runs/{}/cancel", arguments.run);
    let created: Created = session.client.post(&path, &json!({})).await?.parse()?;
    session
        .console
        .result(&format!("{} {}", created.run_id, created.status))?;
    Ok(ExitCode::SUCCESS)
}
