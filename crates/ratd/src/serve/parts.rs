//! The parts of ratd, built from the settings.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use rat_api::{AppState, Audit, AuditConfig, AuditWriter, Enforcement};
use rat_catalog::Catalog;
use rat_config::{DatabaseSource, Settings};
use rat_plugin_host::Host;
use rat_scheduler::{Executors, QueryTokens, RunTokens, Service, WarmPoolExecutor};
use rat_service::runtime::{Failure, Process};
use rat_service::{config, grpc};
use rat_sql::DatabaseUrl;
use rat_store::Store;

use super::{catalog, plugins};
use crate::internal::{self, Internal};

/// Nobody outside RAT's group has business in the folders that ratd makes.
const FOLDER_MODE: u32 = 0o750;
/// Queries that ratd lets wait for ratq, which has its own limit of those that execute.
const MAX_QUERIES: usize = 1000;

pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) public_router: Router,
    pub(crate) internal_router: Router,
    pub(crate) scheduler: Service,
    pub(crate) host: Host,
    pub(crate) audit: Audit,
    pub(crate) audit_writer: AuditWriter,
}

/// Opens the database and puts everything together. `control_plane` is the internal listener as
/// runs reach it, `config` the argument of `--config`.
pub(crate) async fn build(
    settings: &Settings,
    control_plane: String,
    process: &Process,
    config: Option<PathBuf>,
) -> Result<Parts, Failure> {
    let api_key = match &settings.auth.api_key_file {
        Some(file) => Some(config::read_secret(file).map_err(Failure::configuration)?),
        None => None,
    };
    let store = process
        .starting("opening the database", open_store(settings))
        .await?;
    let catalog = catalog::open(settings, &store)?;
    make_folder(catalog.warehouse().path())?;
    let runner = grpc::channel(&settings.runner.address)?;
    let query_tokens = QueryTokens::new(MAX_QUERIES);
    let warm_pool = Arc::new(WarmPoolExecutor::new(runner.clone()));
    let executors = Executors::new(warm_pool.clone());
    let api_key = api_key.as_ref();
    let host = plugins::host(settings, config, &store, api_key, &executors, warm_pool);
    host.load(&settings.plugins).await?;
    let (audit, audit_writer) = Audit::new(store.clone(), AuditConfig::default());
    let access = Enforcement::new(store.clone(), host.enforcer(), audit.clone());
    let (scheduler, handle) = Service::new(
        rat_scheduler::Config {
            access: Arc::new(access.clone()),
            ..scheduler_config(settings, &control_plane, &catalog)
        },
        store.clone(),
        catalog.clone(),
        executors,
    );
    let internal_router = internal::router(Internal {
        catalog: catalog.clone(),
        scheduler: handle.clone(),
        run_tokens: RunTokens::new(store.clone()),
        query_tokens: query_tokens.clone(),
        access,
        audit: audit.clone(),
        request_timeout: settings.server.request_timeout,
    });
    let public_router = rat_api::router(AppState::new(rat_api::Parts {
        config: rat_api::Config::new(settings, control_plane),
        store: store.clone(),
        catalog,
        scheduler: handle,
        query_tokens,
        runner,
        ratq: grpc::channel(&settings.ratq.address)?,
        authenticator: host.authenticator(),
        enforcer: host.enforcer(),
        sharing: host.sharing(),
        cloud: host.cloud(),
        plugins: host.plugins(),
        audit: audit.clone(),
        shutdown: process.shutdown().clone(),
    }));
    Ok(Parts {
        store,
        public_router,
        internal_router,
        scheduler,
        host,
        audit,
        audit_writer,
    })
}

fn scheduler_config(
    settings: &Settings,
    control_plane: &str,
    catalog: &Catalog,
) -> rat_scheduler::Config {
    let max_running = settings.scheduler.max_running.get();
    rat_scheduler::Config {
        max_running: usize::try_from(max_running).unwrap_or(usize::MAX),
        poll_interval: settings.scheduler.poll_interval,
        lost_after: settings.scheduler.lost_after.get(),
        shutdown_timeout: settings.server.shutdown_timeout,
        ..rat_scheduler::Config::new(control_plane.to_owned(), catalog.warehouse().clone())
    }
}

async fn open_store(settings: &Settings) -> Result<Store, Failure> {
    let url: DatabaseUrl = match &settings.database.source {
        DatabaseSource::Url(url) => url.parse().map_err(Failure::configuration)?,
        DatabaseSource::File(file) => {
            let secret = config::read_secret(file).map_err(Failure::configuration)?;
            secret
                .expose()
                .trim()
                .parse()
                .map_err(Failure::configuration)?
        }
    };
    if let Some(folder) = url.file().and_then(Path::parent) {
        make_folder(folder)?;
    }
    let options = rat_sql::Options {
        postgres_connections: settings.database.max_connections.get(),
        ..rat_sql::Options::default()
    };
    Store::open_with(&url, options).await.map_err(|error| {
        // An older ratd must not touch it, and starting again will not make it newer.
        if error.is_schema_too_new() {
            Failure::configuration(error)
        } else {
            error.into()
        }
    })
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let made: io::Result<()> = DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder);
    Ok(made.with_context(|| format!("failed to create the folder {}", folder.display()))?)
}
