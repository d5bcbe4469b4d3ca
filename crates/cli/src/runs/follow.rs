//! The log of a run, line by line as it is written.
//!
//! ratd's event stream is read; where it breaks off, the rest is fetched by polling from the last
//! line that was seen, so that no line is lost or shown twice.

use std::time::Duration;

use anyhow::{Context, Result};
use rat_types::{RunId, RunStatus};

use crate::client::{Client, Event, EventParser, LogLine, LogPage};

/// Pause between two polls.
const POLL: Duration = Duration::from_millis(500);
/// A stream that says nothing for this long is given up for polling; ratd sends comments sooner.
const SILENCE: Duration = Duration::from_secs(60);

/// Shows the lines of `run` to `show` until it has ended; answers with its final status.
///
/// # Errors
/// ratd cannot be reached any more, or does not know the run.
pub async fn follow(
    client: &Client,
    run: RunId,
    mut show: impl FnMut(&LogLine),
) -> Result<RunStatus> {
    let path = format!("/api/v1/runs/{run}/logs");
    let mut seen = 0;
    let mut show = |line: &LogLine| {
        if line.seq == 0 || line.seq > seen {
            seen = seen.max(line.seq);
            show(line);
        }
    };
    if let Some(status) = stream(client, &path, &mut show).await? {
        return Ok(status);
    }
    poll(client, &path, &mut show).await
}

/// Reads the event stream. `None`: it ended before the run did, or there is none.
async fn stream(
    client: &Client,
    path: &str,
    show: &mut impl FnMut(&LogLine),
) -> Result<Option<RunStatus>> {
    let mut response = client.open_stream(path, &[]).await?;
    let is_stream = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !is_stream {
        return Ok(None);
    }
    let mut parser = EventParser::default();
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(SILENCE, response.chunk()).await {
        for event in parser.push(&chunk).map_err(anyhow::Error::msg)? {
            if let Some(status) = handle(&event, show).context("the log stream makes no sense")? {
                return Ok(Some(status));
            }
        }
    }
    Ok(None)
}

/// What an event means; a status that is final ends the stream.
fn handle(event: &Event, show: &mut impl FnMut(&LogLine)) -> Result<Option<RunStatus>> {
    #[derive(serde::Deserialize)]
    struct Status {
        status: RunStatus,
    }
    match event.name.as_str() {
        "log" => {
            let mut line: LogLine = serde_json::from_str(&event.data)?;
            if let (0, Some(id)) = (line.seq, &event.id) {
                line.seq = id.parse().unwrap_or(0);
            }
            show(&line);
            Ok(None)
        }
        "status" => {
            let Status { status } = serde_json::from_str(&event.data)?;
            Ok(Some(status).filter(RunStatus::is_terminal))
        }
        _ => Ok(None),
    }
}

async fn poll(client: &Client, path: &str, show: &mut impl FnMut(&LogLine)) -> Result<RunStatus> {
    let mut after = 0;
    loop {
        let query = [("after", after.to_string()), ("limit", "1000".to_owned())];
        let page: LogPage = client.get(path, &query).await?.parse()?;
        for line in &page.logs {
            after = after.max(line.seq);
            show(line);
        }
        // The last lines may be written after the status was read, hence one more look.
        if page.logs.is_empty() && page.status.is_terminal() {
            return Ok(page.status);
        }
        if page.logs.is_empty() || after == 0 {
            if after == 0 && page.status.is_terminal() {
                return Ok(page.status);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_status_ends_the_stream_and_log_events_are_shown() {
        let mut lines = Vec::new();
        let mut show = |line: &LogLine| lines.push((line.seq, line.message.clone()));
        let event = |name: &str, data: &str, id: Option<&str>| Event {
            name: name.to_owned(),
            data: data.to_owned(),
            id: id.map(str::to_owned),
        };
        let log = event("log", r#"{"level":"info","message":"rendered"}"#, Some("3"));
        assert_eq!(handle(&log, &mut show).unwrap(), None);
        let running = event("status", r#"{"status":"running"}"#, None);
        assert_eq!(handle(&running, &mut show).unwrap(), None);
        let done = event("status", r#"{"status":"success"}"#, None);
        assert_eq!(handle(&done, &mut show).unwrap(), Some(RunStatus::Success));
        assert_eq!(lines, [(3, "rendered".to_owned())]);
    }
}
