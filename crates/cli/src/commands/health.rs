//! `rat health`.

use std::process::ExitCode;

use anyhow::Result;

use super::Session;
use crate::arguments::HealthArguments;
use crate::client::Health;
use crate::output::{Align, Format, Grid, Tone, to_csv};

pub(super) async fn execute(session: &Session, arguments: &HealthArguments) -> Result<ExitCode> {
    let answer = session.client.get("/health", &[]).await?;
    let health: Health = answer.parse()?;
    let is_ok = health.status == "ok";
    let console = &session.console;
    let parts = [("service", &health.services), ("plugin", &health.plugins)];
    let rows: Vec<[&str; 3]> = parts
        .iter()
        .flat_map(|(kind, states)| states.iter().map(|(n, s)| [*kind, n.as_str(), s.as_str()]))
        .collect();
    match arguments.output.output {
        Format::Json => console.result(answer.text())?,
        Format::Csv => {
            let header = ["kind", "name", "status"].map(str::to_owned);
            let rows: Vec<Vec<Option<String>>> = rows
                .iter()
                .map(|row| row.iter().map(|c| Some((*c).to_owned())).collect())
                .collect();
            console.result(&to_csv(&header, &rows))?;
        }
        Format::Table => {
            let tone = if is_ok { Tone::Good } else { Tone::Bad };
            let version = health
                .version
                .map(|v| format!(", ratd {v}"))
                .unwrap_or_default();
            let status = console.paint(tone, &health.status);
            console.result(&format!("{} is {status}{version}", session.client.server()))?;
            let names = ["kind", "name", "status"];
            let mut grid = Grid::new(names.map(|name| (name, Align::Left)));
            rows.iter().for_each(|row| grid.push(*row));
            if !grid.is_empty() {
                console.result(&grid.render(console.width()))?;
            }
        }
    }
    Ok(if is_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
