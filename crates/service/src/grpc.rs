//! gRPC between RAT's processes: a server on a [`Listener`] and a client channel to an address.
//!
//! The server is the HTTP server of this crate with HTTP/2 alone, so that counting, draining and
//! peers are the same. A client's deadline reaches the server as the end of its stream; the
//! handler's future is dropped then.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use rat_config::Address;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::http::{self, HttpLimits};
use crate::listen::Listener;

/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Window for one answer: large enough that a batch of rows crosses in one go.
const STREAM_WINDOW: u32 = 4 << 20;

/// An address that cannot be a gRPC peer.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be used as the address of a gRPC service")]
pub struct InvalidAddress {
    address: String,
    #[source]
    source: tonic::transport::Error,
}

/// Serves `routes` until `shutdown` is cancelled, then drains for at most `shutdown_timeout`.
pub async fn serve(
    listener: Listener,
    routes: Routes,
    shutdown_timeout: Duration,
    shutdown: CancellationToken,
) {
    let limits = HttpLimits {
        idle_timeout: None,
        // Between RAT's own processes a stream that is read slowly is no attack.
        write_timeout: None,
        shutdown_timeout,
        http1: false,
        ..HttpLimits::default()
    };
    http::serve(
        listener,
        routes.prepare().into_axum_router(),
        limits,
        shutdown,
    )
    .await;
}

/// A channel to `address` that connects at the first call and again after every break.
///
/// A call on a broken channel fails with `UNAVAILABLE` after at most [`CONNECT_TIMEOUT`]; the
/// deadline of the call itself is the caller's.
///
/// # Errors
/// `address` cannot be part of a URI.
pub fn channel(address: &Address) -> Result<Channel, InvalidAddress> {
    match address {
        Address::Tcp { .. } => Ok(endpoint(format!("http://{address}"))?.connect_lazy()),
        Address::Unix(path) => {
            let path = path.clone();
            let connector = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            // The authority is what the other side sees as its own name; nobody looks it up.
            Ok(endpoint("http://rat".to_owned())?.connect_with_connector_lazy(connector))
        }
    }
}

fn endpoint(uri: String) -> Result<Endpoint, InvalidAddress> {
    let endpoint = Endpoint::from_shared(uri.clone()).map_err(|source| InvalidAddress {
        address: uri,
        source,
    })?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(4 * STREAM_WINDOW))
}
