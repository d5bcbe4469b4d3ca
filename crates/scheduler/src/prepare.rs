//! From a claimed row to a complete request.
//!
//! Everything that the run may read is decided here and frozen: the sources, the tables that its
//! templates name (which becomes its token's scope) and the files that lie in its landing zones,
//! if whoever started it may read them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound, Utc};
use rat_pipeline::{Pipeline, RenderContext, RenderError};
use rat_store::{RunRecord, RunStart, Store};
use rat_types::{
    Identity, LandingFile, RunFailure, RunRequest, TableIdent, ZoneIdent, is_reserved_in_landing,
};

use crate::access::{ReadError, Reads};
use crate::service::Config;
use crate::token;

/// What goes to the executor and to the row.
pub(crate) struct Prepared {
    pub(crate) request: RunRequest,
    pub(crate) start: RunStart,
    pub(crate) started_at: DateTime<Utc>,
}

/// Why a run cannot be submitted.
pub(crate) enum Failed {
    /// The run is at fault; it fails with this.
    Run(RunFailure),
    /// Nobody is there to say whether the run may read what it names; it waits.
    Access(String),
    /// The database is at fault; the run is none the worse.
    Store(rat_store::Error),
}

impl From<rat_store::Error> for Failed {
    fn from(error: rat_store::Error) -> Self {
        Self::Store(error)
    }
}

/// What a pipeline's templates name.
struct Named {
    tables: BTreeSet<TableIdent>,
    zones: BTreeSet<ZoneIdent>,
}

/// What the run may read: all that its templates name, or it does not start.
struct Permitted {
    tables: Vec<TableIdent>,
    zones: Vec<ZoneIdent>,
}

/// Asks whether whoever started the run may read what it names.
async fn permitted(config: &Config, run: &RunRecord, named: Named) -> Result<Permitted, Failed> {
    let permitted = Permitted {
        tables: named.tables.into_iter().collect(),
        zones: named.zones.into_iter().collect(),
    };
    let creator = Identity {
        user_id: run.created_by.clone(),
        email: String::new(),
        display_name: String::new(),
        roles: run.created_by_roles.clone(),
    };
    let reads = Reads {
        own: &run.pipeline,
        tables: &permitted.tables,
        zones: &permitted.zones,
    };
    match config.access.check(&creator, reads).await {
        Ok(()) => Ok(permitted),
        Err(ReadError::Denied(message)) => Err(failure("ACCESS_DENIED", message)),
        Err(ReadError::Unavailable(message)) => Err(Failed::Access(message)),
    }
}

/// Builds the request of the next attempt of `run` for the executor `executor`.
pub(crate) async fn prepare(
    store: &Store,
    config: &Config,
    run: &RunRecord,
    executor: &str,
) -> Result<Prepared, Failed> {
    let started_at = Utc::now().trunc_subsecs(6);
    let sources = store.files().pipeline_sources(&run.pipeline).await?;
    let (sources, named) = analyse(run.pipeline.clone(), sources, started_at).await?;
    let named = permitted(config, run, named).await?;
    let landing_files = landing_files(store, config, &named.zones).await?;
    let token = token::mint_run_token()
        .map_err(|error| failure("INTERNAL", crate::retry::chain(&error)))?;
    let attempt = run.attempt + 1;
    let source_hash = rat_pipeline::source_hash(&sources);
    let start = RunStart {
        executor: executor.to_owned(),
        token_hash: token::hash(token.expose()),
        attempt,
        source_hash: source_hash.clone(),
        readable: named.tables,
    };
    let request = RunRequest {
        run_id: run.id,
        pipeline: run.pipeline.clone(),
        attempt,
        run_started_at: started_at,
        sources,
        source_hash,
        landing_files,
        control_plane: config.control_plane.clone(),
        token,
    };
    Ok(Prepared {
        request,
        start,
        started_at,
    })
}

fn failure(code: &str, message: impl Into<String>) -> Failed {
    Failed::Run(RunFailure::new(code, message))
}

/// Parses and renders aside from the async workers: a template may take many steps.
async fn analyse(
    ident: TableIdent,
    sources: BTreeMap<String, String>,
    run_started_at: DateTime<Utc>,
) -> Result<(BTreeMap<String, String>, Named), Failed> {
    let analysed = tokio::task::spawn_blocking(move || {
        let named = named(&ident, &sources, run_started_at);
        named.map(|named| (sources, named))
    });
    match analysed.await {
        Ok(result) => result,
        Err(error) => Err(failure(
            "INTERNAL",
            format!("reading the pipeline failed: {error}"),
        )),
    }
}

fn named(
    ident: &TableIdent,
    sources: &BTreeMap<String, String>,
    run_started_at: DateTime<Utc>,
) -> Result<Named, Failed> {
    let pipeline = Pipeline::parse(ident, sources).map_err(|problems| {
        failure(
            problems.reason(),
            format!("pipeline {ident} is not valid: {problems}"),
        )
    })?;
    let context = RenderContext { run_started_at };
    let invalid = |error: RenderError| {
        failure(
            error.reason(),
            format!("pipeline {ident} is not valid: {error}"),
        )
    };
    let mut rendered = vec![pipeline.render(&context).map_err(invalid)?];
    for test in &pipeline.tests {
        rendered.push(pipeline.render_test(test, &context).map_err(invalid)?);
    }
    let mut named = Named {
        tables: BTreeSet::new(),
        zones: BTreeSet::new(),
    };
    for one in &mut rendered {
        named.tables.append(&mut one.refs);
        named.zones.append(&mut one.zones);
    }
    named.tables.remove(ident);
    Ok(named)
}

async fn landing_files(
    store: &Store,
    config: &Config,
    zones: &[ZoneIdent],
) -> Result<Vec<LandingFile>, Failed> {
    let mut files = Vec::new();
    for zone in zones {
        let found = store.zones().list_files(zone).await?;
        if found.is_empty() && store.zones().get(zone).await?.is_none() {
            let message = format!("landing zone {zone} does not exist");
            return Err(failure("LANDING_ZONE_NOT_FOUND", message));
        }
        for file in found
            .into_iter()
            .filter(|file| !is_reserved_in_landing(&file.path))
        {
            let location = config
                .warehouse
                .landing_location(zone, &file.path)
                .map_err(|error| {
                    let message = format!("landing zone {zone} holds an impossible file: {error}");
                    failure("LANDING_FILE_INVALID", message)
                })?;
            files.push(LandingFile {
                zone: zone.clone(),
                path: file.path,
                location,
                size_bytes: file.size_bytes,
            });
        }
    }
    Ok(files)
}
