//! `rat logs` and `rat cancel`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use rat_types::{RunId, RunStatus};
use serde_json::json;

use super::lists::path_of_pipeline;
use super::{Session, Usage, parse_ident};
use crate::arguments::{CancelArguments, LogsArguments};
use crate::client::{Created, LogLine, LogPage, RunList};
use crate::output::Tone;
use crate::runs::{follow, format_line};

/// Lines per request.
const PAGE: usize = 1000;

pub(super) async fn show(session: &Session, arguments: &LogsArguments) -> Result<ExitCode> {
    let console = &session.console;
    let run = find(session, arguments).await?;
    if arguments.follow {
        let mut written = Ok(());
        let show = |line: &LogLine| {
            if written.is_ok() {
                written = console.result(&format_line(console, None, line));
            }
        };
        let status = follow(&session.client, run, show).await?;
        written?;
        console.note(&format!("run {run}: {status}"));
        let is_success = status == RunStatus::Success;
        return Ok(if is_success {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    let path = format!("/api/v1/runs/{run}/logs");
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

/// The run that a person means: by its id, or the latest of a pipeline.
async fn find(session: &Session, arguments: &LogsArguments) -> Result<RunId> {
    let Session { client, console } = session;
    let text = &arguments.run;
    let unclear = match text.parse::<RunId>() {
        Ok(run) => return Ok(run),
        Err(unclear) => unclear,
    };
    if !text.contains('.') {
        return Err(Usage(format!("{unclear}, or a pipeline: layer.name")).into());
    }
    let ident = parse_ident(arguments.namespace.as_ref(), text)?;
    let query = [
        ("namespace", ident.namespace.to_string()),
        ("layer", ident.layer.to_string()),
        ("pipeline", ident.name.to_string()),
        ("sort", "-created_at".to_owned()),
        ("limit", "1".to_owned()),
    ];
    let page: RunList = client.get("/api/v1/runs", &query).await?.parse()?;
    let Some(run) = page.runs.first() else {
        client.get(&path_of_pipeline(&ident), &[]).await?;
        bail!("{ident} has not run yet");
    };
    let text = format!("Latest run of {ident}: {}", run.id);
    console.note(&console.paint_note(Tone::Dim, &text));
    Ok(run.id)
}

pub(super) async fn cancel(session: &Session, arguments: &CancelArguments) -> Result<ExitCode> {
    let path = format!("/api/v1/runs/{}/cancel", arguments.run);
    let created: Created = session.client.post(&path, &json!({})).await?.parse()?;
    session
        .console
        .result(&format!("{} {}", created.run_id, created.status))?;
    Ok(ExitCode::SUCCESS)
}
