//! Carrying out a plan, step by step.
//!
//! There is no transaction over several requests: what was done before a failure stays done, and
//! applying again continues from there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use rat_pipeline::{Pipeline, Settings};
use rat_types::TableIdent;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::plan::source_prefix;
use super::{Change, Plan, Project, Step};
use crate::client::{Client, Error};
use crate::landing;
use crate::output::{Console, Tone};
use crate::progress::{Task, Unit};

/// Carries out `plan`.
///
/// # Errors
/// Whatever the first failing request ended with, and at which step.
pub async fn execute(
    client: &Client,
    console: &Console,
    project: &Project,
    plan: &Plan,
) -> Result<()> {
    let todo: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| step.change() != Change::Keep)
        .collect();
    if todo.is_empty() {
        console.note("Nothing to do.");
        return Ok(());
    }
    for step in todo {
        carry_out(client, console, project, step).await?;
    }
    console.note(&console.paint_note(Tone::Good, &format!("Applied: {}", plan.summary(""))));
    Ok(())
}

async fn carry_out(
    client: &Client,
    console: &Console,
    project: &Project,
    step: &Step,
) -> Result<()> {
    match step {
        Step::Namespace(name, _) => {
            let answer = client
                .post("/api/v1/namespaces", &json!({ "name": name }))
                .await;
            tolerate_existing(answer.map(drop))
                .with_context(|| format!("cannot create namespace {name}"))
        }
        Step::Zone { zone, .. } => {
            let made = landing::ensure_zone(client, zone).await;
            made.map(drop)
                .with_context(|| format!("cannot create landing zone {zone}"))
        }
        Step::Landing {
            zone,
            upload,
            change,
            ..
        } => {
            let name = format!("{zone}/{}", upload.path);
            let task = Task::sized(console, &name, upload.size, Unit::Bytes);
            let overwrite = *change == Change::Update;
            landing::upload(client, zone, upload, overwrite, task.counter()).await?;
            task.end(Tone::Good, "uploaded", "");
            Ok(())
        }
        Step::Pipeline {
            ident,
            change: Change::Delete,
            ..
        } => {
            let deleted = client.delete(&pipeline_path(ident)).await;
            deleted.with_context(|| format!("cannot delete pipeline {ident}"))
        }
        Step::Pipeline {
            ident,
            change,
            write,
            remove,
        } => {
            if *change == Change::Create {
                create_pipeline(client, ident, project).await?;
            }
            write_files(client, ident, write, remove).await?;
            if *change == Change::Update {
                update_description(client, ident, project).await?;
            }
            Ok(())
        }
    }
}

fn pipeline_path(ident: &TableIdent) -> String {
    format!(
        "/api/v1/pipelines/{}/{}/{}",
        ident.namespace, ident.layer, ident.name
    )
}

/// Settings of a pipeline of the project, which has been validated.
fn settings(project: &Project, ident: &TableIdent) -> Option<Settings> {
    let sources = project.pipelines.get(ident)?;
    Some(Pipeline::parse(ident, sources).ok()?.settings)
}

async fn create_pipeline(client: &Client, ident: &TableIdent, project: &Project) -> Result<()> {
    let description = settings(project, ident)
        .map(|s| s.description)
        .unwrap_or_default();
    let body = json!({
        "namespace": ident.namespace,
        "layer": ident.layer,
        "name": ident.name,
        "type": "sql",
        "description": description,
    });
    tolerate_existing(client.post("/api/v1/pipelines", &body).await.map(drop))
        .with_context(|| format!("cannot create pipeline {ident}"))
}

async fn update_description(client: &Client, ident: &TableIdent, project: &Project) -> Result<()> {
    let Some(settings) = settings(project, ident) else {
        return Ok(());
    };
    let body = json!({ "description": settings.description });
    client
        .send_json(Method::PUT, &pipeline_path(ident), &body)
        .await
        .with_context(|| format!("cannot update pipeline {ident}"))?;
    Ok(())
}

async fn write_files(
    client: &Client,
    ident: &TableIdent,
    write: &BTreeMap<String, String>,
    remove: &BTreeSet<String>,
) -> Result<()> {
    let prefix = source_prefix(ident);
    for (path, text) in write {
        let path = format!("{prefix}{path}");
        client
            .send_json(Method::PUT, &file_path(&path), &json!({ "content": text }))
            .await
            .with_context(|| format!("cannot write {path}"))?;
    }
    for path in remove {
        let path = format!("{prefix}{path}");
        client
            .delete(&file_path(&path))
            .await
            .with_context(|| format!("cannot remove {path}"))?;
    }
    Ok(())
}

/// Path of a source file in the API, with everything escaped that a URL cannot hold.
pub(super) fn file_path(path: &str) -> String {
    let mut url = "/api/v1/files".to_owned();
    for segment in path.split('/') {
        url.push('/');
        for byte in segment.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    url.push(char::from(byte));
                }
                other => url.push_str(&format!("%{other:02X}")),
            }
        }
    }
    url
}

fn tolerate_existing(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(error) if error.status() == Some(StatusCode::CONFLICT) => Ok(()),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_file_names_survive_the_url() {
        assert_eq!(
            file_path("a/pipelines/gold/b/tests/quality/50% of ä?.sql"),
            "/api/v1/files/a/pipelines/gold/b/tests/quality/50%25%20of%20%C3%A4%3F.sql"
        );
    }
}
