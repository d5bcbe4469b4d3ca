//! `rat tables`.

use std::process::ExitCode;

use anyhow::Result;

use super::lists::{Listing, pages, path_of, some};
use super::{Session, parse_ident};
use crate::arguments::TablesArguments;
use crate::client::{TableDetail, TableEntry, TableList};
use crate::output::{Align, Format, Grid, bytes, count, row_count, shorten, to_csv};

pub(super) async fn execute(session: &Session, arguments: &TablesArguments) -> Result<ExitCode> {
    if let Some(text) = &arguments.table {
        return show_one(session, arguments, text).await;
    }
    let namespace = arguments.namespace.as_ref();
    let pages = pages::<TableList>(&session.client, "/api/v1/tables", namespace).await?;
    let listing = Listing {
        what: "tables",
        columns: &[
            ("table", Align::Left),
            ("rows", Align::Right),
            ("size", Align::Right),
            ("description", Align::Left),
        ],
        spare: &["description"],
        people: |table: &TableEntry, width| {
            vec![
                format!("{}.{}.{}", table.namespace, table.layer, table.name),
                count(table.row_count),
                bytes(table.size_bytes),
                shorten(table.description.as_deref().unwrap_or_default(), width),
            ]
        },
        csv: |table: &TableEntry| {
            vec![
                some(format!(
                    "{}.{}.{}",
                    table.namespace, table.layer, table.name
                )),
                some(table.row_count.to_string()),
                some(table.size_bytes.to_string()),
                table.description.clone(),
            ]
        },
    };
    listing
        .show::<TableList>(session, &pages, arguments.output.output, path_of(namespace))
        .await
}

async fn show_one(session: &Session, arguments: &TablesArguments, text: &str) -> Result<ExitCode> {
    let ident = parse_ident(arguments.namespace.as_ref(), text)?;
    let path = format!(
        "/api/v1/tables/{}/{}/{}",
        ident.namespace, ident.layer, ident.name
    );
    let answer = session.client.get(&path, &[]).await?;
    let console = &session.console;
    if arguments.output.output == Format::Json {
        console.result(answer.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let table: TableDetail = answer.parse()?;
    let names = ["column", "type", "description"];
    let rows = table.columns.iter().map(|column| {
        [
            Some(column.name.clone()),
            Some(column.data_type.clone()),
            column.description.clone(),
        ]
    });
    if arguments.output.output == Format::Csv {
        let rows: Vec<Vec<Option<String>>> = rows.map(Vec::from).collect();
        console.result(&to_csv(&names.map(str::to_owned), &rows))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut grid = Grid::new(names.map(|name| (name, Align::Left)));
    rows.for_each(|row| grid.push(row.map(Option::unwrap_or_default)));
    let entry = &table.entry;
    console.note(&format!(
        "{ident}: {}, {}",
        row_count(entry.row_count),
        bytes(entry.size_bytes)
    ));
    if let Some(description) = entry.description.as_deref().filter(|text| !text.is_empty()) {
        console.note(description);
    }
    console.result(&grid.render(console.width()))?;
    Ok(ExitCode::SUCCESS)
}
