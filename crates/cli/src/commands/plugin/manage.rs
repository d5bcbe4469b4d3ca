//! `rat plugins` and `rat plugin reload`.

use std::process::ExitCode;

use anyhow::Result;
use chrono::Utc;
use serde_json::json;

use super::super::Session;
use super::super::lists::{Listing, some};
use crate::arguments::{PluginReloadArguments, PluginsArguments};
use crate::client::{Plugin, PluginList, Reloaded};
use crate::output::{Align, Format, Grid, ago, shorten, to_csv};

const PLUGINS: &str = "/api/v1/plugins";

/// `rat plugins`.
pub(crate) async fn list(session: &Session, arguments: &PluginsArguments) -> Result<ExitCode> {
    let answer = session.client.get(PLUGINS, &[]).await?;
    let listing = Listing {
        what: "plugins",
        columns: &[
            ("plugin", Align::Left),
            ("slot", Align::Left),
            ("status", Align::Left),
            ("holder", Align::Left),
            ("on_down", Align::Left),
            ("version", Align::Left),
            ("asked", Align::Left),
            ("address", Align::Left),
            ("message", Align::Left),
        ],
        spare: &["address", "version", "asked", "on_down"],
        people: |plugin: &Plugin, width| {
            let mut row = texts(plugin);
            let asked = plugin.last_health.map(|at| ago(at, Utc::now()));
            row.push(asked.unwrap_or_default());
            row.push(plugin.address.to_string());
            row.push(shorten(&plugin.message, width));
            row
        },
        csv: |plugin: &Plugin| {
            let mut row: Vec<_> = texts(plugin).into_iter().map(some).collect();
            let micros = chrono::SecondsFormat::Micros;
            row.push(
                plugin
                    .last_health
                    .map(|at| at.to_rfc3339_opts(micros, true)),
            );
            row.push(some(plugin.address.as_str()));
            row.push(some(plugin.message.as_str()));
            row
        },
    };
    listing
        .show::<PluginList>(session, &[answer], arguments.output.output, None)
        .await
}

fn texts(plugin: &Plugin) -> Vec<String> {
    let maybe = |text: &Option<_>| text.as_ref().map_or(String::new(), ToString::to_string);
    vec![
        plugin.name.to_string(),
        plugin.slot.to_string(),
        plugin.status.to_string(),
        maybe(&plugin.holder),
        maybe(&plugin.on_down),
        plugin.version.to_string(),
    ]
}

/// `rat plugin reload`.
pub(crate) async fn reload(
    session: &Session,
    arguments: &PluginReloadArguments,
) -> Result<ExitCode> {
    let path = "/api/v1/admin/plugins/reload";
    let answer = session.client.post(path, &json!({})).await?;
    let reloaded: Reloaded = answer.parse()?;
    let console = &session.console;
    let changes = [
        ("added", &reloaded.added),
        ("changed", &reloaded.changed),
        ("removed", &reloaded.removed),
        ("unchanged", &reloaded.unchanged),
    ];
    let rows = changes.iter().flat_map(|(change, names)| {
        names
            .iter()
            .map(|name| [name.to_string(), (*change).to_owned()])
    });
    match arguments.output.output {
        Format::Json => console.result(answer.text())?,
        Format::Csv => {
            let header = ["plugin", "change"].map(str::to_owned);
            let rows: Vec<Vec<Option<String>>> = rows.map(|row| row.map(Some).into()).collect();
            console.result(&to_csv(&header, &rows))?;
        }
        Format::Table => {
            let mut grid = Grid::new(["plugin", "change"].map(|name| (name, Align::Left)));
            rows.for_each(|row| grid.push(row));
            match grid.is_empty() {
                true => console.note("No plugins."),
                false => console.result(&grid.render(console.width()))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
