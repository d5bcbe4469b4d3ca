//! A live connection to one replica, in either protocol.
//!
//! The adapters of the slots see neither: they send the bytes of a message and get those of the
//! answer. What both protocols have in common is here: a session knows when it is over, and an
//! answer is bounded.

mod connect;
mod grpc;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use rat_config::{PluginAddress, Protocol};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Code;

use crate::call::{Cause, Method, Who};
use crate::dial::{self, Endpoint};
use crate::options::Options;
use crate::tls::Tls;

/// Tells the plugin which request it is asked for, so that its log can be joined with ours.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all connections to one plugin share.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) who: Arc<Who>,
    pub(crate) protocol: Protocol,
    /// What the plugin is told its own name is.
    pub(crate) authority: String,
    pub(crate) tls: Option<Tls>,
    pub(crate) options: Options,
    /// Owns the tasks that drive connections.
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Wire {
    pub(crate) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Connects to `endpoint` within the limit.
    async fn dial(&self, endpoint: &Endpoint) -> Result<Box<dyn dial::Io>, Cause> {
        let application: &[u8] = match self.protocol {
            Protocol::Grpc => b"h2",
            Protocol::Connect => b"http/1.1",
        };
        let limit = self.options.dial;
        let dialled = dial::dial(endpoint, self.tls.as_ref(), application);
        match tokio::time::timeout(limit, dialled).await {
            Ok(dialled) => dialled.map_err(Cause::Unreachable),
            Err(_) => Err(Cause::Unreachable(format!(
                "failed to connect to {endpoint} within {limit:?}"
            ))),
        }
    }

    /// Drives a connection for as long as it lives, then tells that it has ended.
    fn drive(
        &self,
        connection: impl Future<Output = ()> + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = shutdown.cancelled() => {}
            }
            ended();
        });
    }
}

/// The name under which a plugin at `address` is asked. For a Unix socket it is the one that
/// strict HTTP/2 servers accept.
pub(crate) fn authority(address: &PluginAddress) -> String {
    let text = address.to_string();
    match address {
        PluginAddress::Plain(rat_config::Address::Unix(_)) => "localhost".to_owned(),
        PluginAddress::Plain(rat_config::Address::Tcp { .. }) => text,
        PluginAddress::Https { .. } => text.trim_start_matches("https://").to_owned(),
    }
}

/// A live connection.
#[derive(Debug)]
pub(crate) enum Session {
    Grpc(grpc::Session),
    Connect(connect::Session),
}

/// What a stream yields.
pub(crate) enum Messages {
    Grpc(grpc::Messages),
    Connect(connect::Messages),
}

impl Session {
    pub(crate) async fn open(wire: &Arc<Wire>, endpoint: &Endpoint) -> Result<Self, Cause> {
        match wire.protocol {
            Protocol::Grpc => Ok(Self::Grpc(grpc::Session::open(wire, endpoint).await?)),
            Protocol::Connect => Ok(Self::Connect(connect::Session::open(wire, endpoint).await?)),
        }
    }

    /// Whether the plugin has ended the connection, or one of them: it may have been restarted.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Grpc(session) => session.is_over(),
            Self::Connect(session) => session.is_over(),
        }
    }

    /// Asks, without a limit of its own: `deadline` is what the plugin is told.
    pub(crate) async fn unary(
        &self,
        method: Method,
        message: &Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Cause> {
        let answer = match self {
            Self::Grpc(session) => session.unary(method, message, deadline).await,
            Self::Connect(session) => session.unary(method, message, deadline).await,
        };
        answer.map_err(|cause| after(deadline, cause))
    }

    /// Asks for a stream.
    pub(crate) async fn stream(&self, method: Method, message: &Bytes) -> Result<Messages, Cause> {
        match self {
            Self::Grpc(session) => Ok(Messages::Grpc(session.stream(method, message).await?)),
            Self::Connect(session) => Ok(Messages::Connect(session.stream(method, message).await?)),
        }
    }
}

impl Messages {
    /// The next message; `None` at the end that the plugin meant.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        match self {
            Self::Grpc(messages) => messages.next().await,
            Self::Connect(messages) => messages.next().await,
        }
    }
}

/// Servers end calls themselves when the time is over that they were told, and then answer
/// `CANCELLED`, as if the call itself had been refused. They are told a little more than there is.
const LONGER: Duration = Duration::from_millis(500);

fn milliseconds_until(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now()) + LONGER;
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
}

/// The cause, which after the deadline is that.
fn after(deadline: Instant, cause: Cause) -> Cause {
    match cause {
        Cause::Answered {
            code: Code::Cancelled,
            message,
        } if Instant::now() >= deadline => Cause::Answered {
            code: Code::DeadlineExceeded,
            message,
        },
        cause => cause,
    }
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What came instead of the protocol, for people.
fn stranger(head: &http::response::Parts) -> String {
    let kind = head.headers.get(http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("none");
    format!(
        "HTTP status {} with content type {}",
        head.status.as_u16(),
        crate::text::printable(kind)
    )
}
