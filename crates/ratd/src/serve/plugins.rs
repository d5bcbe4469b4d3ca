//! The plugin host within ratd: what it works with, and when it reads the settings again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rat_api::{ApiKey, Audit, AuditEvent, Permission, Plugins as _};
use rat_config::Settings;
use rat_plugin_host::{Host, Needs, Options, SystemResolver};
use rat_scheduler::{Executor, Executors};
use rat_service::{ErrorChain, config};
use rat_store::Store;
use rat_types::Secret;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A host with built-ins in all slots. `file` is the argument of `--config`.
pub(crate) fn host(
    settings: &Settings,
    file: Option<PathBuf>,
    store: &Store,
    api_key: Option<&Secret>,
    executors: &Executors,
    warm_pool: Arc<dyn Executor>,
) -> Host {
    let source = move || match config::load(file.as_deref()) {
        // What an editor leaves for a moment while it writes; at the start it would be taken.
        Ok(_) if is_empty(file.as_deref()) => Err(
            "the settings file is empty; to run without plugins, leave them out of it".to_owned(),
        ),
        Ok(settings) => Ok(settings.plugins),
        Err(error) => Err(ErrorChain(&error).to_string()),
    };
    let needs = Needs {
        store: store.clone(),
        authenticator: Arc::new(ApiKey::new(api_key)),
        executors: executors.clone(),
        executor: warm_pool,
        resolver: Arc::new(SystemResolver),
        source: Arc::new(source),
    };
    Host::new(options(settings), needs)
}

fn is_empty(file: Option<&Path>) -> bool {
    let size = |file: &Path| std::fs::metadata(file).map(|found| found.len());
    config::file(file).is_some_and(|file| matches!(size(&file), Ok(0)))
}

fn options(settings: &Settings) -> Options {
    let health = &settings.plugin_health;
    Options {
        health_interval: health.interval,
        health_timeout: health.timeout,
        probe_interval: health.probe_interval,
        token_cache: settings.auth.token_cache,
        admin_roles: settings.auth.admin_roles.clone(),
        ..Options::default()
    }
}

/// Drives `host` until `stop` is cancelled; it reads the settings again with every SIGHUP.
pub(crate) async fn run(
    host: Host,
    reloads: watch::Receiver<u64>,
    audit: Audit,
    stop: CancellationToken,
) {
    tokio::select! {
        () = host.clone().run(stop) => {}
        never = follow_signals(&host, &audit, reloads) => match never {},
    }
}

async fn follow_signals(
    host: &Host,
    audit: &Audit,
    mut reloads: watch::Receiver<u64>,
) -> std::convert::Infallible {
    while reloads.changed().await.is_ok() {
        let (detail, outcome) = match host.reload().await {
            Ok(_) => ("SIGHUP".to_owned(), "done"),
            Err(error) => {
                let error = ErrorChain(&error).to_string();
                tracing::warn!(target: "rat::plugins", error, "plugins stay as they are");
                (format!("SIGHUP: {error}"), "failed")
            }
        };
        audit.record(AuditEvent {
            action: Permission::PluginsReload.as_str().to_owned(),
            detail,
            outcome,
            ..AuditEvent::default()
        });
    }
    std::future::pending().await
}
