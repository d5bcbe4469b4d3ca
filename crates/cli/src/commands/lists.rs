//! `rat runs`, `rat pipelines`, `rat zones`: lists of things.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use chrono::Utc;
use rat_types::NamespaceName;

use super::{Session, parse_ident, require_namespace};
use crate::arguments::{ListArguments, RunsArguments, ZonesArguments};
use crate::client::{Answer, Page, Pipeline, PipelineList, Run, RunList, Zone, ZoneList};
use crate::output::{Align, Format, Grid, ago, bytes, count, duration, shorten, to_csv};

/// Characters of a long text that are shown on a terminal.
const TEXT_WIDTH: usize = 60;

/// A list: its name, its columns, and how an item fills them for people and for CSV.
pub(super) struct Listing<'a, T> {
    pub(super) what: &'a str,
    pub(super) columns: &'a [(&'a str, Align)],
    /// Texts of several lines become one of at most that many characters.
    pub(super) people: fn(&T, usize) -> Vec<String>,
    pub(super) csv: fn(&T) -> Vec<Option<String>>,
}

impl<T> Listing<'_, T> {
    /// Shows the list. One that is empty because there is no `namespace` of that name is an error.
    pub(super) async fn show<P>(
        &self,
        session: &Session,
        answer: &Answer,
        format: Format,
        namespace: Option<&NamespaceName>,
    ) -> Result<ExitCode>
    where
        P: Page<Item = T> + serde::de::DeserializeOwned,
    {
        let console = &session.console;
        let (items, total) = answer.parse::<P>()?.into_parts();
        if items.is_empty() {
            require_namespace(&session.client, namespace).await?;
        }
        if format == Format::Json {
            console.result(answer.text())?;
            return Ok(ExitCode::SUCCESS);
        }
        if format == Format::Csv {
            let header: Vec<String> = self
                .columns
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect();
            let rows: Vec<_> = items.iter().map(self.csv).collect();
            console.result(&to_csv(&header, &rows))?;
            return Ok(ExitCode::SUCCESS);
        }
        if items.is_empty() {
            console.note(&format!("No {}.", self.what));
            return Ok(ExitCode::SUCCESS);
        }
        let mut grid = Grid::new(self.columns.iter().copied());
        // Only a terminal lacks the room.
        let width = console.width().map_or(usize::MAX, |_| TEXT_WIDTH);
        items
            .iter()
            .for_each(|item| grid.push((self.people)(item, width)));
        console.result(&grid.render(console.width()))?;
        if total > items.len() {
            console.note(&format!(
                "{} of {} {}.",
                items.len(),
                count(total as u64),
                self.what
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn some(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

pub(super) async fn runs(session: &Session, arguments: &RunsArguments) -> Result<ExitCode> {
    let mut query = vec![
        ("limit", arguments.limit.to_string()),
        ("sort", "-created_at".to_owned()),
    ];
    let mut namespace = arguments.namespace.clone();
    if let Some(text) = &arguments.pipeline {
        let ident = parse_ident(namespace.as_ref(), text)?;
        query.push(("layer", ident.layer.to_string()));
        query.push(("pipeline", ident.name.to_string()));
        namespace = Some(ident.namespace);
    }
    query.extend(
        namespace
            .as_ref()
            .map(|name| ("namespace", name.to_string())),
    );
    if let Some(status) = arguments.status {
        query.push(("status", status.to_string()));
    }
    let answer = session.client.get("/api/v1/runs", &query).await?;
    let listing = Listing {
        what: "runs",
        columns: &[
            ("run", Align::Left),
            ("pipeline", Align::Left),
            ("status", Align::Left),
            ("created", Align::Left),
            ("duration", Align::Right),
            ("rows", Align::Right),
            ("error", Align::Left),
        ],
        people: |run: &Run, width| {
            let time = |ms| duration(Duration::from_millis(ms));
            vec![
                run.id.to_string(),
                run.pipeline_name(),
                run.status.to_string(),
                run.created_at
                    .map(|at| ago(at, Utc::now()))
                    .unwrap_or_default(),
                run.duration_ms.map(time).unwrap_or_default(),
                run.rows_written.map(count).unwrap_or_default(),
                run.failure()
                    .map(|text| shorten(&text, width))
                    .unwrap_or_default(),
            ]
        },
        csv: |run: &Run| {
            vec![
                some(run.id.to_string()),
                some(run.pipeline_name()),
                some(run.status.to_string()),
                run.created_at
                    .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
                run.duration_ms.map(|ms| ms.to_string()),
                run.rows_written.map(|rows| rows.to_string()),
                run.failure(),
            ]
        },
    };
    listing
        .show::<RunList>(
            session,
            &answer,
            arguments.output.output,
            namespace.as_ref(),
        )
        .await
}

fn in_namespace(namespace: Option<&NamespaceName>) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", crate::client::PAGE.to_string())];
    query.extend(namespace.map(|namespace| ("namespace", namespace.to_string())));
    query
}

pub(super) async fn pipelines(session: &Session, arguments: &ListArguments) -> Result<ExitCode> {
    let query = in_namespace(arguments.namespace.as_ref());
    let answer = session.client.get("/api/v1/pipelines", &query).await?;
    let listing = Listing {
        what: "pipelines",
        columns: &[
            ("pipeline", Align::Left),
            ("reads", Align::Left),
            ("owner", Align::Left),
            ("updated", Align::Left),
            ("description", Align::Left),
        ],
        people: |pipeline: &Pipeline, width| {
            vec![
                format!(
                    "{}.{}.{}",
                    pipeline.namespace, pipeline.layer, pipeline.name
                ),
                pipeline.depends_on.join("\n"),
                pipeline.owner.clone().unwrap_or_default(),
                pipeline
                    .updated_at
                    .map(|at| ago(at, Utc::now()))
                    .unwrap_or_default(),
                shorten(&pipeline.description, width),
            ]
        },
        csv: |pipeline: &Pipeline| {
            vec![
                some(format!(
                    "{}.{}.{}",
                    pipeline.namespace, pipeline.layer, pipeline.name
                )),
                some(pipeline.depends_on.join(" ")),
                pipeline.owner.clone(),
                pipeline
                    .updated_at
                    .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
                some(pipeline.description.clone()),
            ]
        },
    };
    let namespace = arguments.namespace.as_ref();
    listing
        .show::<PipelineList>(session, &answer, arguments.output.output, namespace)
        .await
}

pub(super) async fn zones(session: &Session, arguments: &ZonesArguments) -> Result<ExitCode> {
    let query = in_namespace(arguments.namespace.as_ref());
    let answer = session.client.get("/api/v1/landing-zones", &query).await?;
    let listing = Listing {
        what: "landing zones",
        columns: &[
            ("zone", Align::Left),
            ("files", Align::Right),
            ("size", Align::Right),
            ("description", Align::Left),
        ],
        people: |zone: &Zone, width| {
            vec![
                format!("{}.{}", zone.namespace, zone.name),
                count(zone.file_count),
                bytes(zone.total_bytes),
                shorten(zone.description.as_deref().unwrap_or_default(), width),
            ]
        },
        csv: |zone: &Zone| {
            vec![
                some(format!("{}.{}", zone.namespace, zone.name)),
                some(zone.file_count.to_string()),
                some(zone.total_bytes.to_string()),
                zone.description.clone(),
            ]
        },
    };
    let namespace = arguments.namespace.as_ref();
    listing
        .show::<ZoneList>(session, &answer, arguments.output.output, namespace)
        .await
}
