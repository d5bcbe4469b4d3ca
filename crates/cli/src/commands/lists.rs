//! `rat runs`, `rat pipelines`, `rat zones`: lists of things.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use chrono::Utc;
use rat_types::{NamespaceName, TableIdent};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Session, parse_ident};
use crate::arguments::{ListArguments, RunsArguments, ZonesArguments};
use crate::client::{
    Answer, Client, PAGE, Page, Pipeline, PipelineList, Run, RunList, Zone, ZoneList,
};
use crate::output::{
    Align, Console, Format, Grid, Tone, ago, bytes, count, duration, shorten, to_csv,
};

/// Characters of a long text that are shown on a terminal.
const TEXT_WIDTH: usize = 60;

/// A list: its name, its columns, and how an item fills them for people and for CSV.
pub(super) struct Listing<'a, T> {
    pub(super) what: &'a str,
    pub(super) columns: &'a [(&'a str, Align)],
    /// Columns that a narrow terminal does without, in this order.
    pub(super) spare: &'a [&'static str],
    /// Texts of several lines become one of at most that many characters.
    pub(super) people: fn(&T, usize) -> Vec<String>,
    pub(super) csv: fn(&T) -> Vec<Option<String>>,
}

impl<T> Listing<'_, T> {
    /// Shows the list. One that is empty because there is nothing at the path `within` is an
    /// error.
    pub(super) async fn show<P>(
        &self,
        session: &Session,
        pages: &[Answer],
        format: Format,
        within: Option<String>,
    ) -> Result<ExitCode>
    where
        P: Page<Item = T> + DeserializeOwned,
    {
        let console = &session.console;
        let (mut items, mut total) = (Vec::new(), 0);
        for page in pages {
            let (more, in_all) = page.parse::<P>()?.into_parts();
            items.extend(more);
            total = in_all;
        }
        if items.is_empty()
            && let Some(path) = within
        {
            session.client.get(&path, &[]).await?;
        }
        match format {
            Format::Json => console.result(&in_json::<P>(pages)?)?,
            Format::Csv => {
                let names = self.columns.iter().map(|(name, _)| (*name).to_owned());
                let rows: Vec<_> = items.iter().map(self.csv).collect();
                console.result(&to_csv(&names.collect::<Vec<_>>(), &rows))?;
            }
            Format::Table if items.is_empty() => console.note(&format!("No {}.", self.what)),
            Format::Table => self.show_table(console, &items, total)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show_table(&self, console: &Console, items: &[T], total: usize) -> Result<()> {
        let mut grid = Grid::new(self.columns.iter().copied());
        // Only a terminal lacks the room.
        let width = console.width().map_or(usize::MAX, |_| TEXT_WIDTH);
        items
            .iter()
            .for_each(|item| grid.push((self.people)(item, width)));
        show_grid(console, grid, self.spare)?;
        if total > items.len() {
            let (shown, total) = (items.len(), count(total as u64));
            console.note(&format!("{shown} of {total} {}.", self.what));
        }
        Ok(())
    }
}

/// Shows a table; on a narrow terminal it does without columns of `spare`, and says so.
pub(super) fn show_grid(console: &Console, mut grid: Grid, spare: &[&'static str]) -> Result<()> {
    let left_out = grid.spare(console.width(), spare);
    console.result(&grid.render(console.width()))?;
    if !left_out.is_empty() {
        let names = left_out.join(", ");
        let text = format!("Left out for want of room: {names}; -o csv has all.");
        console.note(&console.paint_note(Tone::Dim, &text));
    }
    Ok(())
}

/// All of a list; the API gives it page by page.
pub(super) async fn pages<P>(
    client: &Client,
    path: &str,
    namespace: Option<&NamespaceName>,
) -> Result<Vec<Answer>>
where
    P: Page + DeserializeOwned,
{
    let mut pages = Vec::new();
    let mut seen = 0;
    loop {
        let mut query = vec![("limit", PAGE.to_string()), ("offset", seen.to_string())];
        query.extend(namespace.map(|namespace| ("namespace", namespace.to_string())));
        let page = client.get(path, &query).await?;
        let (items, total) = page.parse::<P>()?.into_parts();
        seen += items.len();
        pages.push(page);
        if items.is_empty() || seen >= total {
            return Ok(pages);
        }
    }
}

/// What the API said. The items of several pages are put together, each as it came.
fn in_json<P: Page>(pages: &[Answer]) -> Result<String> {
    if let [page] = pages {
        return Ok(page.text().to_owned());
    }
    let (mut items, mut total) = (Vec::new(), 0);
    for page in pages {
        let mut page: BTreeMap<String, Box<RawValue>> = page.parse()?;
        if let Some(list) = page.remove(P::FIELD) {
            items.extend(serde_json::from_str::<Vec<Box<RawValue>>>(list.get())?);
        }
        if let Some(number) = page.remove("total") {
            total = serde_json::from_str(number.get())?;
        }
    }
    let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
    let (field, items) = (P::FIELD, items.join(","));
    Ok(format!("{{\"{field}\":[{items}],\"total\":{total}}}"))
}

/// Where a namespace is, to find out whether there is one.
pub(super) fn path_of(namespace: Option<&NamespaceName>) -> Option<String> {
    namespace.map(|name| format!("/api/v1/namespaces/{name}"))
}

/// Where a pipeline is.
pub(super) fn path_of_pipeline(ident: &TableIdent) -> String {
    let (namespace, layer, name) = (&ident.namespace, &ident.layer, &ident.name);
    format!("/api/v1/pipelines/{namespace}/{layer}/{name}")
}

pub(super) fn some(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

pub(super) async fn runs(session: &Session, arguments: &RunsArguments) -> Result<ExitCode> {
    let mut query = vec![
        ("limit", arguments.limit.to_string()),
        ("sort", "-created_at".to_owned()),
    ];
    let mut within = path_of(arguments.namespace.as_ref());
    let mut namespace = arguments.namespace.clone();
    if let Some(text) = &arguments.pipeline {
        let ident = parse_ident(namespace.as_ref(), text)?;
        query.push(("layer", ident.layer.to_string()));
        query.push(("pipeline", ident.name.to_string()));
        within = Some(path_of_pipeline(&ident));
        namespace = Some(ident.namespace);
    }
    query.extend(namespace.map(|name| ("namespace", name.to_string())));
    if let Some(status) = arguments.status {
        query.push(("status", status.to_string()));
    }
    let page = session.client.get("/api/v1/runs", &query).await?;
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
        spare: &["rows", "duration", "created", "error"],
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
        .show::<RunList>(session, &[page], arguments.output.output, within)
        .await
}

pub(super) async fn pipelines(session: &Session, arguments: &ListArguments) -> Result<ExitCode> {
    let namespace = arguments.namespace.as_ref();
    let pages = pages::<PipelineList>(&session.client, "/api/v1/pipelines", namespace).await?;
    let listing = Listing {
        what: "pipelines",
        columns: &[
            ("pipeline", Align::Left),
            ("reads", Align::Left),
            ("owner", Align::Left),
            ("updated", Align::Left),
            ("description", Align::Left),
        ],
        spare: &["owner", "updated", "description"],
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
    listing
        .show::<PipelineList>(session, &pages, arguments.output.output, path_of(namespace))
        .await
}

pub(super) async fn zones(session: &Session, arguments: &ZonesArguments) -> Result<ExitCode> {
    let namespace = arguments.namespace.as_ref();
    let pages = pages::<ZoneList>(&session.client, "/api/v1/landing-zones", namespace).await?;
    let listing = Listing {
        what: "landing zones",
        columns: &[
            ("zone", Align::Left),
            ("files", Align::Right),
            ("size", Align::Right),
            ("description", Align::Left),
        ],
        spare: &["description"],
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
    listing
        .show::<ZoneList>(session, &pages, arguments.output.output, path_of(namespace))
        .await
}
