//! A connection to the plugin, with the calls that the checks make.

use std::fmt;
use std::time::Duration;

use prost::Message;

use crate::target::Target;
use crate::wire::{Call, Code, Grpc, NoAnswer, Reply, Sent, connect_call, only};

/// The path of `PluginService.HealthCheck`.
pub(crate) const HEALTH: &str = "/rat.plugin.v1.PluginService/HealthCheck";
/// Longest piece of the plugin's own text in a detail.
const MAX_QUOTE: usize = 160;

/// Methods that answer with a stream, which Connect has to know beforehand.
const STREAMS: [&str; 1] = ["/rat.executor.v1.ExecutorService/StreamLogs"];

/// A way to the plugin.
#[derive(Debug)]
pub(crate) struct Session {
    link: Link,
    limit: Duration,
}

#[derive(Debug)]
enum Link {
    /// One connection for all calls.
    Grpc(Grpc),
    /// A connection for each call.
    Connect(Target),
}

/// Why a call gave no message.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The plugin answered an error.
    Refused(Refusal),
    /// The plugin did not answer.
    None(NoAnswer),
}

/// An error that the plugin answered.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// Every header and trailer.
    pub(crate) metadata: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered {}", self.code)?;
        match self.message.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", quote(&self.message)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::None(error) => error.fmt(f),
        }
    }
}

impl From<NoAnswer> for Failure {
    fn from(error: NoAnswer) -> Self {
        Self::None(error)
    }
}

impl Failure {
    /// The status that was answered.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::None(_) => None,
        }
    }

    /// Whether the plugin says that it has no such method.
    pub(crate) fn is_unimplemented(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.code == Code::UNIMPLEMENTED,
            // What gRPC makes of an HTTP server that knows no such page.
            Self::None(NoAnswer::NotGrpc(what) | NoAnswer::NotConnect(what)) => {
                what.contains("404")
            }
            Self::None(_) => false,
        }
    }
}

/// The plugin's text, short and on one line.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(MAX_QUOTE)
        .collect();
    if text.chars().count() > MAX_QUOTE {
        quoted.push('…');
    }
    quoted
}

impl Session {
    /// Over one connection with HTTP/2.
    pub(crate) fn grpc(grpc: Grpc, limit: Duration) -> Self {
        let link = Link::Grpc(grpc);
        Self { link, limit }
    }

    /// Over connections with HTTP/1.1.
    pub(crate) fn connect(target: Target, limit: Duration) -> Self {
        let link = Link::Connect(target);
        Self { link, limit }
    }

    /// Whether the connection can carry another call.
    pub(crate) fn is_usable(&self) -> bool {
        match &self.link {
            Link::Grpc(grpc) => grpc.is_usable(),
            Link::Connect(_) => true,
        }
    }

    /// A unary call.
    pub(crate) async fn unary<Q: Message, A: Message + Default>(
        &self,
        path: &str,
        request: &Q,
    ) -> Result<A, Failure> {
        let reply = self.bytes(path, &request.encode_to_vec()).await?;
        decode(&reply)
    }

    /// A call with a message of any bytes, answered with every message there is.
    pub(crate) async fn bytes(&self, path: &str, message: &[u8]) -> Result<Reply, Failure> {
        let sent = Sent::Whole(message);
        refuse(self.raw(path, sent, None, self.limit).await?)
    }

    /// A call with anything for a message; an error of the plugin is an answer like another.
    pub(crate) async fn raw(
        &self,
        path: &str,
        sent: Sent<'_>,
        timeout: Option<Duration>,
        deadline: Duration,
    ) -> Result<Reply, NoAnswer> {
        let call = Call {
            path,
            sent,
            timeout,
            deadline,
        };
        match &self.link {
            Link::Grpc(grpc) => grpc.call(call).await,
            Link::Connect(target) => connect_call(target, call, STREAMS.contains(&path)).await,
        }
    }
}

/// Takes errors that the plugin answered out of the answers.
pub(crate) fn refuse(reply: Reply) -> Result<Reply, Failure> {
    match reply.code {
        Code::OK => Ok(reply),
        code => Err(Failure::Refused(Refusal {
            code,
            message: reply.message,
            metadata: reply.metadata,
        })),
    }
}

/// The one message of a unary answer.
pub(crate) fn decode<A: Message + Default>(reply: &Reply) -> Result<A, Failure> {
    let message = only(&reply.messages)?;
    A::decode(message.clone())
        .map_err(|error| Failure::None(NoAnswer::Undecodable(error.to_string())))
}
