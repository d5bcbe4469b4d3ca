//! `rat query`.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use serde_json::value::RawValue;

use super::{Session, Usage};
use crate::arguments::QueryArguments;
use crate::client::QueryAnswer;
use crate::output::{Align, Format, Grid, duration, row_count, to_csv};

/// Most bytes of SQL that are read from standard input; the API takes 100,000 characters.
const MAX_SQL_BYTES: u64 = 400_000;

pub(super) async fn execute(session: &Session, arguments: &QueryArguments) -> Result<ExitCode> {
    let sql = match arguments.sql.as_str() {
        "-" => read_standard_input()?,
        sql => sql.to_owned(),
    };
    if sql.trim().is_empty() {
        return Err(Usage("there is no SQL to execute".to_owned()).into());
    }
    let body = json!({ "sql": sql, "namespace": arguments.namespace, "limit": arguments.limit });
    let answer = session.client.query(&body).await?;
    let console = &session.console;
    if arguments.output.output == Format::Json {
        console.result(answer.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let result: QueryAnswer = answer.parse()?;
    console.result(&match arguments.output.output {
        Format::Csv => render_csv(&result),
        Format::Table | Format::Json => render_table(&result, console.width()),
    })?;
    if arguments.output.output == Format::Table {
        let rows = result.rows.len() as u64;
        let time = duration(Duration::from_secs_f64(
            result.duration_ms.max(0.0) / 1000.0,
        ));
        console.note(&format!("{} in {time}", row_count(rows)));
    }
    if result.truncated {
        console.note(&format!(
            "There are more rows; --limit is {}.",
            arguments.limit
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn read_standard_input() -> Result<String> {
    let mut sql = String::new();
    std::io::stdin()
        .take(MAX_SQL_BYTES + 1)
        .read_to_string(&mut sql)
        .context("cannot read SQL from standard input")?;
    match sql.len() as u64 > MAX_SQL_BYTES {
        true => anyhow::bail!("the SQL on standard input has more than {MAX_SQL_BYTES} bytes"),
        false => Ok(sql),
    }
}

/// The text of a cell; `None` is SQL's NULL.
fn cell(value: Option<&RawValue>) -> Option<String> {
    let text = value?.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).ok(),
        Some(b'n') => None,
        _ => Some(text.to_owned()),
    }
}

fn cells(answer: &QueryAnswer) -> Vec<Vec<Option<String>>> {
    let row = |row: &std::collections::BTreeMap<String, Box<RawValue>>| {
        let columns = answer.columns.iter();
        columns
            .map(|column| cell(row.get(&column.name).map(AsRef::as_ref)))
            .collect()
    };
    answer.rows.iter().map(row).collect()
}

/// The answer as CSV.
fn render_csv(answer: &QueryAnswer) -> String {
    let header: Vec<String> = answer
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    to_csv(&header, &cells(answer))
}

/// The answer as a table.
pub(crate) fn render_table(answer: &QueryAnswer, width: Option<u16>) -> String {
    let header = answer
        .columns
        .iter()
        .map(|column| (column.name.clone(), align(&column.data_type)));
    let mut grid = Grid::new(header);
    for row in cells(answer) {
        grid.push(
            row.into_iter()
                .map(|cell| cell.unwrap_or_else(|| "NULL".to_owned())),
        );
    }
    grid.render(width)
}

/// Numbers stand right, whatever the engine calls their type.
fn align(data_type: &str) -> Align {
    const NUMBERS: [&str; 12] = [
        "int", "uint", "bigint", "smallint", "tinyint", "long", "float", "double", "decimal",
        "numeric", "real", "number",
    ];
    let data_type = data_type.to_ascii_lowercase();
    match NUMBERS.iter().any(|number| data_type.starts_with(number))
        && !data_type.starts_with("interval")
    {
        true => Align::Right,
        false => Align::Left,
    }
}
