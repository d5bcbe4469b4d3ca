//! gRPC and Connect by hand: a judge needs messages that no generated client would send.
//!
//! Nothing here retries, pools or repairs; every wait has a deadline.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

mod body;
mod connect;
mod frame;
mod grpc;
mod net;

pub(crate) use connect::{Http1Reply, Posted, call as connect_call, post};
pub(crate) use grpc::{Grpc, only};
pub(crate) use net::{connect, tls};

/// Largest answer that is read; what is longer is not an answer.
const MAX_REPLY: usize = 16 << 20;

/// Who asks.
const AGENT: &str = concat!("rat-plugin-check/", env!("CARGO_PKG_VERSION"));
/// What a message that is cut short or never ends says that it has.
const ANNOUNCED: usize = 100;

/// What is sent as the message of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sent<'a> {
    /// A message.
    Whole(&'a [u8]),
    /// The beginning of one, and then the end.
    CutShort(&'a [u8]),
    /// The beginning of one, and then nothing.
    Unending(&'a [u8]),
}

/// A call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// `/package.Service/Method`.
    pub(crate) path: &'a str,
    /// The message.
    pub(crate) sent: Sent<'a>,
    /// The deadline that the plugin is told.
    pub(crate) timeout: Option<Duration>,
    /// How long the answer is waited for.
    pub(crate) deadline: Duration,
}

/// A gRPC status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u32);

impl Code {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const INVALID_ARGUMENT: Self = Self(3);
    pub(crate) const DEADLINE_EXCEEDED: Self = Self(4);
    pub(crate) const NOT_FOUND: Self = Self(5);
    pub(crate) const PERMISSION_DENIED: Self = Self(7);
    pub(crate) const UNIMPLEMENTED: Self = Self(12);
    pub(crate) const UNAVAILABLE: Self = Self(14);
    pub(crate) const UNAUTHENTICATED: Self = Self(16);

    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];

    /// The code that Connect spells `word`.
    pub(crate) fn of_connect(word: &str) -> Option<Self> {
        let name = match word {
            "canceled" => "CANCELLED".to_owned(),
            word => word.to_uppercase(),
        };
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        u32::try_from(at).ok().filter(|code| *code != 0).map(Self)
    }

    /// Whether ratd takes it for "there is no answer" instead of for one.
    pub(crate) fn means_no_answer(self) -> bool {
        matches!(self, Self::UNAVAILABLE | Self::DEADLINE_EXCEEDED)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0)
            .ok()
            .and_then(|n| Self::NAMES.get(n))
        {
            Some(name) => f.write_str(name),
            None => write!(f, "status {}", self.0),
        }
    }
}

/// What came back over gRPC.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) code: Code,
    /// The status message, decoded.
    pub(crate) message: String,
    /// The messages.
    pub(crate) messages: Vec<Bytes>,
    /// Every header and trailer as text, to look for secrets in.
    pub(crate) metadata: String,
    /// From the request to the end of the answer.
    pub(crate) took: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("cannot connect: {0}")]
    Dial(String),
    #[error("no answer within {}", seconds(*.0))]
    TimedOut(Duration),
    #[error("the connection or stream broke: {0}")]
    Broken(String),
    #[error("the plugin does not speak HTTP/1.1: {0}")]
    NotHttp1(String),
    #[error("the answer is not gRPC: {0}")]
    NotGrpc(String),
    #[error("the answer is not Connect: {0}")]
    NotConnect(String),
    #[error("the answer has more than {} MiB", MAX_REPLY >> 20)]
    TooLarge,
    #[error("the answer's message does not decode: {0}")]
    Undecodable(String),
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        0 => format!("{} µs", duration.as_micros()),
        millis if millis < 1_000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// An error with all its causes: hyper's own text says too little.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
}
