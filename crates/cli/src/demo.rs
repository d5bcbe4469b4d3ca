//! The demo: TPC-H data through the whole platform, from files to reports.
//!
//! Everything goes through the REST API, like anybody's data would. What is there already is left
//! alone, so a second start only checks and shows.

use std::path::Path;

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};
use rat_types::{NamespaceName, ZoneIdent};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::apply::{self, Options, Project};
use crate::client::{Client, QueryAnswer, TableEntry, TableList};
use crate::commands::{last_successes, pipelines, render_table};
use crate::dev::Folder;
use crate::landing::{self, Upload};
use crate::output::{Console, Tone, bytes, row_count};
use crate::progress::{Task, Unit};
use crate::runs::{Graph, Watch, forget_unseen, run_all};

mod generate;
mod tables;

pub use generate::{Produced, generate};
pub use tables::{FileFormat, TABLES, Table};

static PROJECT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/tpch");

/// Where the demo lives.
const NAMESPACE: &str = "tpch";
/// Runs at a time.
const JOBS: usize = 3;
/// Rows of a report that are shown.
const SHOWN_ROWS: usize = 10;

/// The embedded project.
pub fn project() -> Project {
    let mut files = Vec::new();
    collect(&PROJECT, &mut files);
    Project::from_texts(Path::new("examples/tpch"), files)
}

fn collect<'a>(folder: &'a Dir<'a>, files: &mut Vec<(&'a str, &'a str)>) {
    for file in folder.files() {
        if let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8()) {
            files.push((path, text));
        }
    }
    folder.dirs().for_each(|folder| collect(folder, files));
}

/// Generates, uploads, applies, runs and shows. `false`: a run did not succeed.
///
/// # Errors
/// The data cannot be generated, or ratd refuses something.
pub async fn run(console: &Console, client: &Client, folder: &Folder, scale: f64) -> Result<bool> {
    let namespace: NamespaceName = NAMESPACE.parse().context("the demo's namespace")?;
    title(console, &format!("TPC-H data at scale {scale}"));
    let produced = generate(console, &folder.data(), scale).await?;
    title(console, "Project");
    let options = Options {
        prune: false,
        dry_run: false,
        show_plan: false,
    };
    apply::apply(client, console, &project(), options).await?;
    title(console, "Landing zones");
    upload(console, client, &namespace, &produced).await?;
    title(console, "Runs");
    let is_success = run_pipelines(console, client, &namespace).await?;
    show_gold(console, client, &namespace).await?;
    Ok(is_success)
}

fn title(console: &Console, text: &str) {
    console.note(&console.paint_note(Tone::Bold, text));
}

/// Uploads what the zones do not have.
async fn upload(
    console: &Console,
    client: &Client,
    namespace: &NamespaceName,
    produced: &[Produced],
) -> Result<()> {
    let mut present = 0;
    for table in TABLES {
        let zone = ZoneIdent {
            namespace: namespace.clone(),
            name: table.name.parse()?,
        };
        landing::ensure_zone(client, &zone).await?;
        let there = landing::files(client, &zone).await?;
        let mut missing: Vec<Upload> = Vec::new();
        for file in produced.iter().filter(|file| file.table == table.name) {
            let upload = landing::plan_upload(&file.path)?;
            match there.get(&upload.path) {
                Some(there) if there.size_bytes == upload.size => present += 1,
                _ => missing.push(upload),
            }
        }
        if missing.is_empty() {
            continue;
        }
        let size = missing.iter().map(|upload| upload.size).sum();
        let task = Task::sized(console, &zone.to_string(), size, Unit::Bytes);
        for file in &missing {
            let overwrite = there.contains_key(&file.path);
            landing::upload(client, &zone, file, overwrite, task.counter()).await?;
        }
        task.end(Tone::Good, "uploaded", &format!("{:>12}", bytes(size)));
    }
    if present > 0 {
        console
            .note(&console.paint_note(Tone::Dim, &format!("{present} files were there already")));
    }
    Ok(())
}

async fn run_pipelines(
    console: &Console,
    client: &Client,
    namespace: &NamespaceName,
) -> Result<bool> {
    let all = pipelines(client).await?;
    let selected = all
        .keys()
        .filter(|ident| ident.namespace == *namespace)
        .cloned()
        .collect();
    let mut graph = Graph::new(&all, &selected)?;
    let mut successes = last_successes(client, &selected, &all).await?;
    forget_unseen(client, &selected, &all, &mut successes).await?;
    graph.retain_stale(&all, &successes);
    for fresh in selected
        .iter()
        .filter(|ident| !graph.waits_for().contains_key(*ident))
    {
        Task::open_ended(console, &fresh.to_string()).end(Tone::Dim, "up to date", "");
    }
    let watch = Watch {
        jobs: JOBS,
        follow: false,
        cancel: CancellationToken::new(),
    };
    let report = run_all(client, console, &graph, &watch).await;
    if !report.outcomes.is_empty() {
        let tone = if report.is_success() {
            Tone::Good
        } else {
            Tone::Bad
        };
        console.note(&console.paint_note(tone, &report.summary()));
    }
    Ok(report.is_success())
}

/// The reports, as `rat query` would show them.
async fn show_gold(console: &Console, client: &Client, namespace: &NamespaceName) -> Result<()> {
    let filter = [
        ("namespace", namespace.to_string()),
        ("layer", "gold".to_owned()),
    ];
    let tables: Vec<TableEntry> = client.list::<TableList>("/api/v1/tables", &filter).await?;
    for table in tables {
        let sql = format!("SELECT * FROM \"{namespace}\".\"gold\".\"{}\"", table.name);
        let body = json!({ "sql": sql, "namespace": namespace, "limit": SHOWN_ROWS });
        let answer: QueryAnswer = client.query(&body).await?.parse()?;
        let rows = row_count(table.row_count);
        let name = console.paint(Tone::Bold, &format!("{namespace}.gold.{}", table.name));
        console.result(&format!("\n{name} ({rows})"))?;
        console.result(&render_table(&answer, console.width()))?;
    }
    console.result("")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_project_is_valid_and_has_a_zone_for_every_table() {
        let project = project();
        let checked = apply::check(&project, Some(&apply::Remote::default()), false);
        assert_eq!(checked.problems, []);
        let zones: Vec<String> = checked
            .zones
            .iter()
            .map(|zone| zone.name.to_string())
            .collect();
        let mut tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        tables.sort_unstable();
        assert_eq!(zones, tables);
    }
}
