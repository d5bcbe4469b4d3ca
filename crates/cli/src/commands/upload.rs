//! `rat upload`.

use std::process::ExitCode;

use anyhow::Result;
use rat_types::ZoneIdent;

use super::{Session, Usage};
use crate::arguments::UploadArguments;
use crate::client::Client;
use crate::landing;
use crate::output::{Tone, bytes};
use crate::progress::{Task, Unit};

pub(super) async fn execute(session: &Session, arguments: &UploadArguments) -> Result<ExitCode> {
    let zone = zone(arguments)?;
    // All files are looked at before the first is sent.
    let uploads: Vec<landing::Upload> = arguments
        .files
        .iter()
        .map(|file| landing::plan_upload(file))
        .collect::<Result<_>>()?;
    let Session { client, console } = session;
    if landing::ensure_zone(client, &zone).await? {
        console.note(&format!("Created landing zone {zone}."));
    } else if !arguments.overwrite {
        refuse_present(client, &zone, &uploads).await?;
    }
    for upload in &uploads {
        let task = Task::sized(console, &upload.path, upload.size, Unit::Bytes);
        landing::upload(client, &zone, upload, arguments.overwrite, task.counter()).await?;
        task.end(Tone::Good, "uploaded", &bytes(upload.size));
    }
    Ok(ExitCode::SUCCESS)
}

/// Names what is there already before anything is sent; the server refuses it in any case.
async fn refuse_present(
    client: &Client,
    zone: &ZoneIdent,
    uploads: &[landing::Upload],
) -> Result<()> {
    let there = landing::files(client, zone).await?;
    let present: Vec<&str> = uploads
        .iter()
        .map(|upload| upload.path.as_str())
        .filter(|path| there.contains_key(*path))
        .collect();
    if !present.is_empty() {
        let names = present.join(", ");
        anyhow::bail!("landing zone {zone} already has {names}; --overwrite replaces it");
    }
    Ok(())
}

fn zone(arguments: &UploadArguments) -> Result<ZoneIdent> {
    let usage =
        |error: rat_types::InvalidName| Usage(format!("{error}; write zone or namespace.zone"));
    let (namespace, name) = match arguments.zone.split_once('.') {
        Some((namespace, name)) => (namespace.parse().map_err(usage)?, name),
        None => (arguments.namespace.clone(), arguments.zone.as_str()),
    };
    Ok(ZoneIdent {
        namespace,
        name: name.parse().map_err(usage)?,
    })
}
