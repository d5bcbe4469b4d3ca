//! What can be said about a pipeline's sources without running them, and its quality tests.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::IntoResponse;
use chrono::Utc;
use rat_pipeline::{Pipeline, Problem, RenderContext, Rendered};
use rat_types::{Severity, TableIdent, ZoneIdent};
use serde::Serialize;

use super::pipeline;
use crate::access::{Access, Action, Resource};
use crate::blocking::blocking;
use crate::extract::Path;
use crate::fault::Fault;
use crate::graph;
use crate::state::AppState;

const SQL_FILE: &str = "pipeline.sql";
const TESTS: &str = "tests/quality/";

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    file: String,
    line: Option<usize>,
    message: String,
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        Self {
            file: problem.file,
            line: problem.line,
            message: problem.message,
        }
    }
}

#[derive(Default, Serialize)]
struct Report {
    valid: bool,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// What the sources say by themselves.
#[derive(Default)]
struct Analysis {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    rendered: Vec<(String, Rendered)>,
}

#[derive(Serialize)]
struct Test {
    name: String,
    sql: String,
    severity: Severity,
    description: String,
    published: bool,
    tags: BTreeSet<String>,
    remediation: String,
    error: Option<String>,
}

#[derive(Serialize)]
struct Tests {
    tests: Vec<Test>,
    total: usize,
}

pub(crate) async fn validate(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
) -> Result<impl IntoResponse, Fault> {
    access
        .check(&Resource::pipeline(&ident), Action::Read)
        .await?;
    pipeline::require(&state, &ident).await?;
    let sources = state.store.files().pipeline_sources(&ident).await?;
    let own = ident.clone();
    let analysis = blocking(move || analyse(&own, &sources)).await?;
    let mut report = Report {
        valid: false,
        errors: analysis.errors,
        warnings: analysis.warnings,
    };
    for (file, rendered) in analysis.rendered {
        for table in rendered.refs.iter().filter(|table| **table != ident) {
            match access.reads(&Resource::table(table)).await? {
                true => check_table(&state, &file, table, &mut report).await?,
                false => report.errors.push(hidden(&file, "table", table)),
            }
        }
        for zone in &rendered.zones {
            match access.reads(&Resource::zone(zone)).await? {
                true => check_zone(&state, &file, zone, &mut report).await?,
                false => report.errors.push(hidden(&file, "landing zone", zone)),
            }
        }
    }
    if let Some(cycle) = graph::find_cycle(&state, &ident).await? {
        let message = graph::describe(&access, &cycle).await?;
        report.errors.push(finding(SQL_FILE, message));
    }
    report.valid = report.errors.is_empty();
    Ok(axum::Json(report))
}

pub(crate) async fn tests(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
) -> Result<impl IntoResponse, Fault> {
    access
        .check(&Resource::pipeline(&ident), Action::Read)
        .await?;
    pipeline::require(&state, &ident).await?;
    let sources = state.store.files().pipeline_sources(&ident).await?;
    let tests = blocking(move || read_tests(&ident, &sources)).await?;
    let total = tests.len();
    Ok(axum::Json(Tests { tests, total }))
}

fn finding(file: &str, message: impl Into<String>) -> Finding {
    Finding {
        file: file.to_owned(),
        line: None,
        message: message.into(),
    }
}

/// What the caller may not read is not there, as far as they are told.
fn hidden(file: &str, what: &str, name: impl std::fmt::Display) -> Finding {
    let message = format!("{what} {name} does not exist, or you may not read it");
    finding(file, message)
}

fn analyse(ident: &TableIdent, sources: &BTreeMap<String, String>) -> Analysis {
    let mut analysis = Analysis::default();
    let pipeline = match Pipeline::parse(ident, sources) {
        Ok(pipeline) => pipeline,
        Err(problems) => {
            analysis.errors = problems.0.into_iter().map(Finding::from).collect();
            return analysis;
        }
    };
    let context = RenderContext {
        run_started_at: Utc::now(),
    };
    let tests = pipeline.tests.iter();
    let rendered = std::iter::once((SQL_FILE.to_owned(), pipeline.render(&context)))
        .chain(tests.map(|test| (test.file.clone(), pipeline.render_test(test, &context))));
    for (file, rendered) in rendered {
        match rendered {
            Ok(rendered) => {
                let mistake = pipeline.check_sql(&file, &rendered);
                analysis.errors.extend(mistake.map(Finding::from));
                analysis.rendered.push((file, rendered));
            }
            Err(error) => analysis.errors.push(Problem::from(error).into()),
        }
    }
    analysis.warnings = pipeline.warnings.into_iter().map(Finding::from).collect();
    analysis
}

/// A table that nobody wrote yet may come; one that nobody will write is a mistake.
async fn check_table(
    state: &AppState,
    file: &str,
    table: &TableIdent,
    report: &mut Report,
) -> Result<(), Fault> {
    if state.catalog.exists(table).await? {
        return Ok(());
    }
    if state.store.pipelines().get(table).await?.is_some() {
        let message = format!("table {table} does not exist until its pipeline has run");
        report.warnings.push(finding(file, message));
    } else {
        let message = format!("table {table} does not exist, and no pipeline writes it");
        report.errors.push(finding(file, message));
    }
    Ok(())
}

async fn check_zone(
    state: &AppState,
    file: &str,
    zone: &ZoneIdent,
    report: &mut Report,
) -> Result<(), Fault> {
    match state.store.zones().get(zone).await? {
        Some(zone) if zone.file_count == 0 => {
            let message = format!("landing zone {} has no files", zone.ident);
            report.warnings.push(finding(file, message));
        }
        Some(_) => {}
        None => report
            .errors
            .push(finding(file, format!("landing zone {zone} does not exist"))),
    }
    Ok(())
}

/// Every test by itself, so that a broken one, or a broken query, does not hide the others.
fn read_tests(ident: &TableIdent, sources: &BTreeMap<String, String>) -> Vec<Test> {
    let mut tests = Vec::new();
    for (file, sql) in sources {
        let name = file
            .strip_prefix(TESTS)
            .and_then(|rest| rest.strip_suffix(".sql"));
        let Some(name) = name.filter(|name| !name.contains('/')) else {
            continue;
        };
        let alone = BTreeMap::from([
            (SQL_FILE.to_owned(), "SELECT 1".to_owned()),
            (file.clone(), sql.clone()),
        ]);
        let mut test = Test {
            name: name.to_owned(),
            sql: sql.clone(),
            severity: Severity::Error,
            description: String::new(),
            published: true,
            tags: BTreeSet::new(),
            remediation: String::new(),
            error: None,
        };
        match Pipeline::parse(ident, &alone) {
            Err(problems) => test.error = Some(problems.to_string()),
            Ok(parsed) => {
                for found in parsed.tests {
                    test.severity = found.severity;
                    test.description = found.description;
                    test.tags = found.tags;
                    test.remediation = found.remediation;
                }
            }
        }
        tests.push(test);
    }
    tests
}

#[cfg(test)]
mod unit {
    use super::*;

    fn ident() -> TableIdent {
        "shop.gold.daily".parse().unwrap()
    }

    fn sources(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn a_broken_test_is_listed_with_its_error_beside_the_good_ones() {
        let tests = read_tests(
            &ident(),
            &sources(&[
                ("pipeline.sql", "SELECT {{ broken"),
                (
                    "tests/quality/a.sql",
                    "-- @severity: warn\n-- @description: A\nSELECT 1",
                ),
                ("tests/quality/b.sql", "SELECT {{ 1"),
                ("tests/quality/deep/c.sql", "SELECT 1"),
            ]),
        );
        assert_eq!(tests.len(), 2);
        assert_eq!(
            (tests[0].severity, tests[0].description.as_str()),
            (Severity::Warn, "A")
        );
        assert!(tests[0].error.is_none());
        assert!(tests[1].error.is_some());
    }

    #[test]
    fn sql_that_does_not_parse_is_a_problem_with_its_line() {
        let analysis = analyse(
            &ident(),
            &sources(&[
                ("pipeline.sql", "SELECT 1\nFROM t WHERE )"),
                ("tests/quality/a.sql", "SELEC 1 FROM {{ this }}"),
                (
                    "tests/quality/b.sql",
                    "SELECT 1 FROM {{ this }} WHERE false",
                ),
            ]),
        );
        let places: Vec<_> = analysis
            .errors
            .iter()
            .map(|error| (error.file.as_str(), error.line))
            .collect();
        let expected = [("pipeline.sql", Some(2)), ("tests/quality/a.sql", Some(1))];
        assert_eq!(places, expected);
    }

    #[test]
    fn every_problem_names_its_file() {
        let analysis = analyse(
            &ident(),
            &sources(&[
                ("pipeline.sql", "SELECT {{ ref('nonsense') }}"),
                ("tests/quality/a.sql", "SELECT {{ missing }}"),
            ]),
        );
        let files: Vec<&str> = analysis
            .errors
            .iter()
            .map(|error| error.file.as_str())
            .collect();
        assert_eq!(files, ["pipeline.sql", "tests/quality/a.sql"]);
    }
}
