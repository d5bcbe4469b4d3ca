//! `ratd serve`: how the parts are put together, and the order in which they start and end.
//!
//! Listeners are bound first, so that nothing that talks to us is refused while the database is
//! migrated; no plugin is waited for. At the end the public side closes first, then the scheduler
//! comes to a safe point, and the internal listener, which runs under way need to the last, goes
//! last, with the plugins that its callers may need. The audit log is written to its end after
//! that.

mod catalog;
mod parts;
mod plugins;

use std::path::PathBuf;

use rat_config::{Address, Settings};
use rat_service::http::{self, HttpLimits};
use rat_service::listen::{self, Listener};
use rat_service::runtime::{Failure, Process};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use parts::Parts;

/// Names of the sockets in ratd's socket units (`FileDescriptorName=`).
const PUBLIC_SOCKET: &str = "ratd";
const INTERNAL_SOCKET: &str = "ratd-internal";

/// Serves until the process is asked to end. `config` is the argument of `--config`.
pub(crate) async fn serve(
    settings: Settings,
    process: Process,
    config: Option<PathBuf>,
) -> Result<(), Failure> {
    let public = listen::bind(&settings.server.listen, Some(PUBLIC_SOCKET)).await?;
    let internal = listen::bind(&settings.server.internal_socket, Some(INTERNAL_SOCKET)).await?;
    let control_plane = control_plane(internal.local_address());
    let Parts {
        store,
        public_router,
        internal_router,
        scheduler,
        host,
        audit,
        audit_writer,
    } = parts::build(&settings, control_plane, &process, config).await?;
    tracing::info!(
        public = %public.local_address(), internal = %internal.local_address(),
        database = %store.backend(), "serving"
    );

    let (stop_outside, stop_inside) = (CancellationToken::new(), CancellationToken::new());
    let stop_audit = CancellationToken::new();
    let audit_log = tokio::spawn(audit_writer.run(stop_audit.clone()));
    let outside = Servers {
        public: spawn_server(public, public_router, &settings, &stop_outside),
        scheduler: tokio::spawn(scheduler.run(stop_outside.clone())),
    };
    let inside = spawn_server(internal, internal_router, &settings, &stop_inside);
    let host = tokio::spawn(plugins::run(
        host,
        process.reloads(),
        audit,
        stop_inside.clone(),
    ));
    process.ready();

    let result = outside.wait(&process, &stop_outside).await;
    stop_inside.cancel();
    let (inside, host) = tokio::join!(inside, host);
    // Nobody is left who could record anything.
    stop_audit.cancel();
    let audit_log = audit_log.await;
    store.close().await;
    result?;
    host?;
    audit_log?;
    Ok(inside?)
}

fn spawn_server(
    listener: Listener,
    router: axum::Router,
    settings: &Settings,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let limits = HttpLimits {
        header_timeout: settings.server.header_timeout,
        shutdown_timeout: settings.server.shutdown_timeout,
        ..HttpLimits::default()
    };
    tokio::spawn(http::serve(listener, router, limits, stop.clone()))
}

/// What ends first.
struct Servers {
    public: JoinHandle<()>,
    scheduler: JoinHandle<()>,
}

impl Servers {
    /// Waits for the signal, then for both to end. One that ends by itself panicked: then the
    /// other is ended too.
    async fn wait(mut self, process: &Process, stop: &CancellationToken) -> Result<(), Failure> {
        tokio::select! {
            () = process.shutdown().cancelled() => {
                process.status("draining");
                stop.cancel();
                let (public, scheduler) = tokio::join!(self.public, self.scheduler);
                public?;
                Ok(scheduler?)
            }
            ended = &mut self.public => {
                stop.cancel();
                self.scheduler.await?;
                ended?;
                Err("the public server ended by itself".into())
            }
            ended = &mut self.scheduler => {
                stop.cancel();
                self.public.await?;
                ended?;
                Err("the scheduler ended by itself".into())
            }
        }
    }
}

/// The internal listener as runs and ratq reach it.
fn control_plane(address: &Address) -> String {
    match address {
        Address::Unix(_) => address.to_string(),
        Address::Tcp { .. } => format!("http://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_where_the_internal_listener_is() {
        let told = |text: &str| control_plane(&text.parse().unwrap());
        assert_eq!(
            told("unix:/run/rat/internal.sock"),
            "unix:/run/rat/internal.sock"
        );
        assert_eq!(told("127.0.0.1:8090"), "http://127.0.0.1:8090");
    }
}
