//! `rat run`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use rat_types::{RunStatus, TableIdent};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::lists::show_grid;
use super::{Session, parse_ident, require_namespace};
use crate::arguments::RunArguments;
use crate::client::{Client, Created, Pipeline, PipelineList, Run, RunList};
use crate::output::{Align, Console, Format, Grid, Tone, to_csv};
use crate::runs::{Graph, Outcome, Report, Watch, forget_unseen, run_all, start};

pub(super) async fn execute(session: &Session, arguments: &RunArguments) -> Result<ExitCode> {
    let Session { client, console } = session;
    let selected = named(arguments)?;
    let waits = arguments.all || arguments.wait || arguments.follow || selected.len() > 1;
    if !waits
        && !arguments.stale
        && let Some(ident) = selected.first()
    {
        let (run, answer) = start(client, ident).await?;
        console.result(&match arguments.output.output {
            Format::Json => answer.text().to_owned(),
            Format::Csv => {
                let status = answer.parse::<Created>()?.status.to_string();
                let row = [Some(ident.to_string()), Some(run.to_string()), Some(status)];
                let row = row.into_iter().chain([None, None]).collect();
                to_csv(&COLUMNS.map(str::to_owned), &[row])
            }
            Format::Table => run.to_string(),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let all = pipelines(client).await?;
    let selected = select(arguments, selected, &all)?;
    if selected.is_empty() {
        require_namespace(client, arguments.namespace.as_ref()).await?;
    }
    let mut graph = Graph::new(&all, &selected)
        .context("nothing was started, because none of these pipelines can be the first")?;
    if arguments.stale {
        let mut successes = last_successes(client, &selected, &all).await?;
        forget_unseen(client, &selected, &all, &mut successes).await?;
        graph.retain_stale(&all, &successes);
        let fresh = selected.len() - graph.waits_for().len();
        if fresh > 0 {
            console.note(&console.paint_note(Tone::Dim, &format!("{fresh} up to date")));
        }
    }
    let cancel = CancellationToken::new();
    let watch = Watch {
        jobs: usize::from(arguments.jobs),
        follow: arguments.follow,
        cancel: cancel.clone(),
    };
    let report = tokio::select! {
        report = run_all(client, console, &graph, &watch) => report,
        () = second_interrupt(console, &cancel) => return Ok(ExitCode::FAILURE),
    };
    show(console, &report, arguments.output.output)?;
    Ok(if report.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The first Ctrl-C asks to cancel; returns at the second.
async fn second_interrupt(console: &Console, cancel: &CancellationToken) {
    for attempt in 0.. {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        if attempt > 0 {
            return;
        }
        cancel.cancel();
        console.note("Cancelling; press Ctrl-C again to leave the runs alone and stop waiting.");
    }
}

fn named(arguments: &RunArguments) -> Result<BTreeSet<TableIdent>> {
    let parse = |text: &String| parse_ident(arguments.namespace.as_ref(), text);
    arguments.pipelines.iter().map(parse).collect()
}

/// All pipelines of the server.
pub(crate) async fn pipelines(client: &Client) -> Result<BTreeMap<TableIdent, Pipeline>> {
    let listed = client
        .list::<PipelineList>("/api/v1/pipelines", &[])
        .await?;
    let with_ident = |pipeline: Pipeline| Ok((pipeline.ident()?, pipeline));
    listed.into_iter().map(with_ident).collect()
}

fn select(
    arguments: &RunArguments,
    named: BTreeSet<TableIdent>,
    all: &BTreeMap<TableIdent, Pipeline>,
) -> Result<BTreeSet<TableIdent>> {
    if arguments.all {
        let wanted = arguments.namespace.as_ref();
        let chosen = all
            .keys()
            .filter(|ident| wanted.is_none_or(|name| *name == ident.namespace));
        return Ok(chosen.cloned().collect());
    }
    let unknown: Vec<String> = named
        .iter()
        .filter(|ident| !all.contains_key(ident))
        .map(ToString::to_string)
        .collect();
    match unknown[..] {
        [] => Ok(named),
        _ => bail!("no such pipeline: {}", unknown.join(", ")),
    }
}

/// The latest successful run of each pipeline, of those selected and of what they read.
pub(crate) async fn last_successes(
    client: &Client,
    selected: &BTreeSet<TableIdent>,
    all: &BTreeMap<TableIdent, Pipeline>,
) -> Result<BTreeMap<TableIdent, Run>> {
    let mut wanted = selected.clone();
    for ident in selected {
        let inputs = all
            .get(ident)
            .into_iter()
            .flat_map(|pipeline| &pipeline.depends_on);
        wanted.extend(inputs.filter_map(|name| name.parse().ok()));
    }
    let mut successes = BTreeMap::new();
    for ident in wanted {
        let query = [
            ("namespace", ident.namespace.to_string()),
            ("layer", ident.layer.to_string()),
            ("pipeline", ident.name.to_string()),
            ("status", RunStatus::Success.to_string()),
            ("sort", "-created_at".to_owned()),
            ("limit", "1".to_owned()),
        ];
        let page: RunList = client.get("/api/v1/runs", &query).await?.parse()?;
        successes.extend(page.runs.into_iter().next().map(|run| (ident, run)));
    }
    Ok(successes)
}

fn show(console: &Console, report: &Report, format: Format) -> Result<()> {
    match format {
        Format::Json => {
            let runs: Vec<String> = report.outcomes.iter().map(in_json).collect();
            console.result(&format!("[{}]", runs.join(",")))?;
        }
        Format::Csv => console.result(&to_csv(&COLUMNS.map(str::to_owned), &rows(report)))?,
        Format::Table => {
            let mut grid = Grid::new([
                (COLUMNS[0], Align::Left),
                (COLUMNS[1], Align::Left),
                (COLUMNS[2], Align::Left),
                (COLUMNS[3], Align::Right),
                (COLUMNS[4], Align::Right),
            ]);
            for row in rows(report) {
                grid.push(row.into_iter().map(Option::unwrap_or_default));
            }
            if !grid.is_empty() {
                show_grid(console, grid, &["duration_ms", "rows"])?;
            }
            let tone = if report.is_success() {
                Tone::Good
            } else {
                Tone::Bad
            };
            console.note(&console.paint_note(tone, &report.summary()));
        }
    }
    Ok(())
}

/// What the API said of a run; where there is none, the pipeline and why.
fn in_json((ident, outcome): &(TableIdent, Outcome)) -> String {
    let (status, message) = match outcome {
        Outcome::Ended(_, answer) => return answer.text().to_owned(),
        Outcome::Skipped => ("skipped", None),
        Outcome::Refused(message) => ("refused", Some(message)),
        Outcome::Lost(message) => ("lost", Some(message)),
    };
    json!({
        "namespace": ident.namespace,
        "layer": ident.layer,
        "pipeline": ident.name,
        "status": status,
        "error": message.map(|message| json!({ "message": message })),
    })
    .to_string()
}

const COLUMNS: [&str; 5] = ["pipeline", "run", "status", "rows", "duration_ms"];

fn rows(report: &Report) -> Vec<Vec<Option<String>>> {
    let row = |(ident, outcome): &(TableIdent, Outcome)| {
        let (run, status) = match outcome {
            Outcome::Ended(run, _) => (Some(run), run.status.to_string()),
            Outcome::Skipped => (None, "skipped".to_owned()),
            Outcome::Refused(_) => (None, "refused".to_owned()),
            Outcome::Lost(_) => (None, "lost".to_owned()),
        };
        vec![
            Some(ident.to_string()),
            run.map(|run| run.id.to_string()),
            Some(status),
            run.and_then(|run| run.rows_written)
                .map(|rows| rows.to_string()),
            run.and_then(|run| run.duration_ms).map(|ms| ms.to_string()),
        ]
    };
    report.outcomes.iter().map(row).collect()
}
