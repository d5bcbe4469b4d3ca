//! How long a run takes whose pipeline has one row.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rat_acceptance::{Options, Stack};
use serde_json::{Value, json};

use crate::figures::{build, cores, percentile};
use crate::page;

/// Files that a run of one row makes durable: data file, manifest, manifest list, and the
/// metadata of the branch commit and of the publication.
const FILES_PER_RUN: usize = 5;
/// The aim for the median, in milliseconds.
const AIM_MS: f64 = 60.0;
const PIPELINE: &str = "bench.bronze.one";

#[derive(clap::Args)]
pub(crate) struct RunsArguments {
    /// Sequential runs to measure.
    #[arg(long, default_value_t = 200)]
    runs: usize,
    /// Runs before the measuring starts.
    #[arg(long, default_value_t = 10)]
    warm_up: usize,
    /// Print only; leave docs/benchmarks.md alone.
    #[arg(long)]
    print_only: bool,
}

pub(crate) async fn bench(arguments: &RunsArguments) -> Result<()> {
    ensure!(arguments.runs > 0, "--runs must be at least 1");
    let stack = Stack::start(&Options::default()).await?;
    stack
        .put_pipeline(PIPELINE, "pipeline.sql", "SELECT 1 AS id, 'one' AS name")
        .await?;
    for _ in 0..arguments.warm_up {
        one(&stack).await?;
    }
    let mut totals = Vec::with_capacity(arguments.runs);
    let mut phases: BTreeMap<usize, (String, Vec<f64>)> = BTreeMap::new();
    let mut baseline = Vec::with_capacity(arguments.runs);
    for _ in 0..arguments.runs {
        let (total, run) = one(&stack).await?;
        totals.push(total);
        for (at, phase) in run["phases"]
            .as_array()
            .context("no phases")?
            .iter()
            .enumerate()
        {
            let name = phase["name"].as_str().unwrap_or_default().to_owned();
            let duration = phase["duration_ms"]
                .as_f64()
                .or_else(|| phase["duration_us"].as_f64().map(|us| us / 1000.0))
                .context("a phase without duration")?;
            phases
                .entry(at)
                .or_insert_with(|| (name, Vec::new()))
                .1
                .push(duration);
        }
        baseline.push(durable_writes(&stack.path().join("baseline"))?);
    }
    let text = report(arguments, &mut totals, phases, &mut baseline);
    page::write(&text, arguments.print_only)
}

/// One run, from `POST` until the API says `success`, in milliseconds.
async fn one(stack: &Stack) -> Result<(f64, Value)> {
    let start = Instant::now();
    let body = json!({"namespace": "bench", "layer": "bronze", "pipeline": "one"});
    let (status, body) = stack.post("/api/v1/runs", &body).await?;
    ensure!(status == 202, "{status} {body}");
    let path = format!(
        "/api/v1/runs/{}",
        body["run_id"].as_str().context("no run_id")?
    );
    loop {
        let (_, run) = stack.get(&path).await?;
        match run["status"].as_str() {
            Some("success") => return Ok((milliseconds(start.elapsed()), run)),
            Some("failed" | "cancelled") => anyhow::bail!("{run}\n{}", stack.logs()),
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// The floor: as many files as a run makes durable, one after the other, in milliseconds.
fn durable_writes(folder: &Path) -> Result<f64> {
    std::fs::create_dir_all(folder)?;
    let start = Instant::now();
    for number in 0..FILES_PER_RUN {
        let temporary = folder.join(format!("{number}.tmp"));
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(&[0; 4096])?;
        file.sync_all()?;
        std::fs::rename(&temporary, folder.join(number.to_string()))?;
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(milliseconds(start.elapsed()))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn report(
    arguments: &RunsArguments,
    totals: &mut [f64],
    phases: BTreeMap<usize, (String, Vec<f64>)>,
    baseline: &mut [f64],
) -> String {
    let (cores, build) = (cores(), build());
    let (p50, p99) = (percentile(totals, 50), percentile(totals, 99));
    let (base50, base99) = (percentile(baseline, 50), percentile(baseline, 99));
    let verdict = if p50 < AIM_MS { "met" } else { "missed" };
    let mut text = format!(
        "## A pipeline of one row, `POST /api/v1/runs` to `success`\n\n\
         `cargo xtask bench`; {build}, {cores} cores, SQLite, local folder. \
         {} sequential runs after {} for warming up. The baseline is {FILES_PER_RUN} durable file writes (write, sync, \
         rename, sync the folder), which is what one run commits to the disk.\n\n\
         | | p50 | p99 |\n|---|---:|---:|\n\
         | POST to success | {p50:.1} ms | {p99:.1} ms |\n\
         | baseline: durable writes | {base50:.1} ms | {base99:.1} ms |\n\
         | ratio | {:.1} | {:.1} |\n\n\
         Aim: p50 under {AIM_MS:.0} ms ({verdict}).\n\n\
         | phase | p50 | p99 |\n|---|---:|---:|\n",
        arguments.runs,
        arguments.warm_up,
        p50 / base50,
        p99 / base99,
    );
    for (name, mut values) in phases.into_values() {
        let (p50, p99) = (percentile(&mut values, 50), percentile(&mut values, 99));
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| {name} | {p50:.2} ms | {p99:.2} ms |");
    }
    text
}
