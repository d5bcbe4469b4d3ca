//! Life of a plugin's process.

mod liveness;

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use nix::unistd::User;
use rat_config::Address;
use rat_service::http::{self, HttpLimits};
use rat_service::listen::{self, Listener};
use rat_service::runtime::{
    self, EXIT_CONFIG, EXIT_FAILURE, EXIT_USAGE, Failure, Process, Watchdog,
};
use rat_service::{ErrorChain, logging};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::arguments::{Arguments, Command, Serving};
use crate::call::Tracker;
use crate::config::{Checked, Schema, Sources};
use crate::front::Front;
use crate::live::{Live, Outcome};
use crate::{Invalid, Plugin, Server};

/// How long READY waits for a plugin that takes its time.
const CONFIGURING: Duration = Duration::from_secs(5);
/// How often the status is brought up to date where nobody asks for the health.
const LOOK_AT_HEALTH: Duration = Duration::from_secs(30);
/// What a plugin may still put in order.
const STOPPING: Duration = Duration::from_secs(5);

/// Why a plugin does not start.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("nowhere to listen: give --listen unix:/path or --listen host:port, or a socket unit")]
    NoListener,
    #[error("--configure-from: there is no user {name:?}")]
    UnknownUser { name: String },
}

/// Runs a plugin: the whole of its `main`. See the [crate's documentation](crate).
pub fn serve<P: Plugin>(server: Server<P>) -> ExitCode {
    let arguments = Arguments::read::<P>(server.slots());
    match arguments.command {
        None => serve_with(server, arguments.serving),
        Some(Command::ConfigSchema) => {
            let schema = Schema::of::<P::Config>();
            match writeln!(std::io::stdout(), "{:#}", schema.tree()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => runtime::refuse(P::NAME, &error, EXIT_FAILURE),
            }
        }
        Some(Command::CheckConfig { config }) => check_config::<P>(config.as_deref()),
    }
}

fn check_config<P: Plugin>(path: Option<&Path>) -> ExitCode {
    let schema = Schema::of::<P::Config>();
    let sources = Sources::of::<P>(path, &schema);
    let refused = match sources.check::<P::Config>(&schema, &serde_json::json!({})) {
        Ok(Checked::Complete(_, config)) => P::check(&config),
        Ok(Checked::Incomplete(invalid)) | Err(invalid) => Err(invalid),
    };
    match refused {
        Ok(()) => ExitCode::SUCCESS,
        Err(invalid) => runtime::refuse(P::NAME, &invalid, EXIT_CONFIG),
    }
}

fn serve_with<P: Plugin>(server: Server<P>, mut serving: Serving) -> ExitCode {
    let logging = match logging::init() {
        Ok(logging) => logging,
        Err(error) => return runtime::refuse(P::NAME, &error, EXIT_FAILURE),
    };
    if let Err(error) = logging.configure(&serving.log_level, serving.log_format.into()) {
        return runtime::refuse(P::NAME, &error, EXIT_USAGE);
    }
    log_panics();
    let configure_from = match users(&serving.configure_from) {
        Ok(users) => users,
        Err(error) => return runtime::refuse(P::NAME, &error, EXIT_CONFIG),
    };
    let schema = Schema::of::<P::Config>();
    let sources = Sources::of::<P>(serving.config.as_deref(), &schema);
    // Before anything is bound: wrong values are told at once.
    let port = port::<P>();
    let checked = check_values::<P>(&sources, &schema);
    let mistakes = [checked.err(), port.as_ref().err().cloned()];
    let port = match Invalid::unless(mistakes.into_iter().flatten(), port.ok().flatten()) {
        Ok(port) => port,
        Err(invalid) => return runtime::refuse(P::NAME, &invalid, EXIT_CONFIG),
    };
    if serving.listen.is_empty() {
        serving.listen.extend(port);
    }
    let live = Live::<P>::new(schema, sources);
    runtime::start_watched(P::NAME, Watchdog::Daemon, async |process| {
        run(server, live, serving, configure_from, process).await
    })
}

/// A panic is a line of log like any other. Its text goes nowhere else.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let location = panic.location().map(ToString::to_string);
        tracing::error!(
            panic = text.unwrap_or_default(),
            location = location.unwrap_or_default(),
            "a panic"
        );
    }));
}

/// What is wrong already with what there is; more may come from ratd.
fn check_values<P: Plugin>(sources: &Sources, schema: &Schema) -> Result<(), Invalid> {
    match sources.check::<P::Config>(schema, &serde_json::json!({}))? {
        Checked::Complete(_, config) => match P::check(&config) {
            Err(invalid) if !invalid.is_incomplete() => Err(invalid),
            Err(_) | Ok(()) => Ok(()),
        },
        Checked::Incomplete(_) => Ok(()),
    }
}

/// Where a plugin listens that has been told nothing else.
fn port<P: Plugin>() -> Result<Option<Address>, Invalid> {
    let Some((name, usual)) = P::PORT else {
        return Ok(None);
    };
    let port = match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse::<u16>()
            .map_err(|_| Invalid::new(name, "must be a port, 0 to 65535"))?,
        Ok(_) | Err(_) => usual,
    };
    let address = format!("127.0.0.1:{port}");
    Ok(Some(
        address.parse().expect("a port of loopback is an address"),
    ))
}

fn users(names: &[String]) -> Result<Vec<u32>, Error> {
    let find = |name: &String| match name.parse() {
        Ok(number) => Ok(number),
        Err(_) => match User::from_name(name) {
            Ok(Some(user)) => Ok(user.uid.as_raw()),
            Ok(None) | Err(_) => Err(Error::UnknownUser { name: name.clone() }),
        },
    };
    names.iter().map(find).collect()
}

async fn run<P: Plugin>(
    server: Server<P>,
    live: Live<P>,
    serving: Serving,
    configure_from: Vec<u32>,
    process: Process,
) -> Result<(), Failure> {
    let (listeners, are_activated) = bind(&serving.listen).await?;
    let can_be_configured = listeners
        .iter()
        .any(|listener| matches!(listener.local_address(), Address::Unix(_)));
    let shutdown = process.shutdown().clone();
    let secret = uuid::Uuid::new_v4().to_string();
    let (front, tracker) = server.assemble(&live, configure_from, &secret, &shutdown);
    let addresses: Vec<_> = listeners
        .iter()
        .map(|listener| listener.local_address().clone())
        .collect();
    let drain = serving.shutdown_timeout;
    // Beside the plugin's own code, which may hold up the task that it runs in.
    let server = serve_all(listeners, front, drain, shutdown.clone());
    let mut served = AbortOnDropHandle::new(tokio::spawn(server));
    let upkeep = async {
        begin(&live, &addresses, can_be_configured, &process).await?;
        tokio::select! {
            () = show_health(&live, &process) => {}
            () = follow_file(&live, &process) => {}
            () = stop_idle(serving.idle_stop, are_activated, &tracker) => {}
        }
        shutdown.cancel();
        std::future::pending().await
    };
    let _signs_of_life = AbortOnDropHandle::new(tokio::spawn(liveness::feed(
        addresses.clone(),
        secret,
        process.clone(),
    )));
    let ended = tokio::select! {
        // Its own panics are those of no connection.
        _ = &mut served => Ok(()),
        ended = upkeep => ended,
    };
    if let Some(plugin) = live.current() {
        let stopped = AssertUnwindSafe(async { plugin.stop().await }).catch_unwind();
        match timeout(STOPPING, stopped).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("the plugin panicked while it stopped"),
            Err(_) => tracing::warn!("the plugin did not stop in time"),
        }
    }
    ended
}

/// The sockets of systemd, or else those of `--listen`; and whether they are systemd's.
async fn bind(addresses: &[Address]) -> Result<(Vec<Listener>, bool), Failure> {
    let activated = listen::activated()?;
    if !activated.is_empty() {
        return Ok((activated, true));
    }
    let mut listeners = Vec::new();
    for address in addresses {
        if !address.is_local() {
            tracing::warn!(%address, "calls to this address can be read and made by others on the way");
        }
        listeners.push(listen::bind(address, None).await?);
    }
    match listeners.is_empty() {
        true => Err(Failure::configuration(Error::NoListener)),
        false => Ok((listeners, false)),
    }
}

/// Serves on every listener until the shutdown, and then until all calls have ended.
pub(crate) async fn serve_all(
    listeners: Vec<Listener>,
    front: Front,
    drain: Duration,
    shutdown: CancellationToken,
) {
    let limits = HttpLimits {
        // ratd asks for the health of a plugin more often than that on the connection that it keeps;
        // whoever asks nothing must not take the place of others for ever.
        idle_timeout: Some(Duration::from_secs(300)),
        write_timeout: Some(Duration::from_secs(60)),
        shutdown_timeout: drain,
        ..HttpLimits::default()
    };
    let servers = listeners
        .into_iter()
        .map(|listener| http::serve(listener, front.clone(), limits, shutdown.clone()));
    join_all(servers).await;
}

/// Makes the plugin of what there is, and tells systemd.
async fn begin<P: Plugin>(
    live: &Live<P>,
    addresses: &[Address],
    can_be_configured: bool,
    process: &Process,
) -> Result<(), Failure> {
    for address in addresses {
        tracing::info!(plugin = P::NAME, version = P::VERSION, %address, "listening");
    }
    let mut started = Box::pin(live.start());
    let outcome = match timeout(CONFIGURING, &mut started).await {
        Ok(outcome) => outcome,
        Err(_) => {
            process.ready();
            started.await
        }
    };
    match outcome.map_err(Failure::configuration)? {
        Outcome::Applied | Outcome::Unchanged => {}
        Outcome::Waiting(invalid) if can_be_configured => {
            let missing = invalid.in_one_line();
            tracing::info!(missing, "waiting for ratd to send the configuration");
        }
        Outcome::Waiting(invalid) => return Err(Failure::configuration(invalid)),
    }
    process.ready();
    Ok(())
}

/// Keeps the line in `systemctl status` as the health is.
async fn show_health<P: Plugin>(live: &Live<P>, process: &Process) {
    let mut changes = live.watch_health();
    let mut configured = live.watch_plugin();
    let looks = async {
        loop {
            live.health().await;
            tokio::select! {
                () = sleep(LOOK_AT_HEALTH) => {}
                // An error would mean that the plugin is gone, and with it this task.
                _ = configured.changed() => {}
            }
        }
    };
    let shown = async {
        let mut told = None;
        while changes.changed().await.is_ok() {
            let Some(health) = changes.borrow_and_update().clone() else {
                continue;
            };
            let (status, details) = (health.status.as_str(), &health.message);
            if told.replace(health.status) == Some(health.status) {
                tracing::debug!(status, details, "health");
            } else {
                tracing::info!(status, details, "health");
            }
            process.status(&health.to_string());
        }
    };
    tokio::join!(looks, shown);
}

/// SIGHUP reads the file again.
async fn follow_file<P: Plugin>(live: &Live<P>, process: &Process) {
    let mut reloads = process.reloads();
    while reloads.changed().await.is_ok() {
        match live.reload().await {
            Ok(Outcome::Applied) => tracing::info!("configuration reloaded"),
            Ok(Outcome::Unchanged | Outcome::Waiting(_)) => tracing::info!("nothing new to load"),
            Err(invalid) => keep_configuration(&invalid),
        }
    }
    std::future::pending().await
}

fn keep_configuration(invalid: &Invalid) {
    let problems = ErrorChain(invalid).to_string();
    tracing::warn!(problems, "the configuration is not valid, nothing changed");
}

/// Ends a plugin that nobody calls; the socket unit starts it again.
async fn stop_idle(limit: Option<Duration>, are_activated: bool, tracker: &Tracker) {
    match limit {
        Some(limit) if are_activated => {
            tracker.idle_for(limit).await;
            tracing::info!("no call for a while, ending until the next one");
        }
        Some(_) => {
            tracing::warn!("--idle-stop is ignored: no socket came from systemd");
            std::future::pending().await
        }
        None => std::future::pending().await,
    }
}
