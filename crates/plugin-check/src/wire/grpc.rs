//! One HTTP/2 connection that carries gRPC calls.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::JoinSet;

use super::body::Outgoing;
use super::{ANNOUNCED, Call, Code, MAX_REPLY, NoAnswer, Reply, Sent, chain, connect, frame};
use crate::target::Target;

/// A connection; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Grpc {
    sender: SendRequest<Outgoing>,
    authority: String,
    _driver: JoinSet<()>,
}

impl Grpc {
    /// Connects.
    pub(crate) async fn open(target: &Target, dial: Duration) -> Result<Self, NoAnswer> {
        let stream = connect(target, b"h2", dial).await?;
        let mut driver = JoinSet::new();
        let opened = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(1 << 20)
            .handshake::<_, Outgoing>(TokioIo::new(stream));
        let (sender, connection) = match tokio::time::timeout(dial, opened).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(NoAnswer::Broken(chain(&error))),
            Err(_) => return Err(NoAnswer::TimedOut(dial)),
        };
        // How it ends is told to whoever calls.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self {
            sender,
            authority: target.authority(),
            _driver: driver,
        })
    }

    /// Whether it can carry another call.
    pub(crate) fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Calls.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Reply, NoAnswer> {
        let limit = call.deadline;
        match tokio::time::timeout(limit, self.exchange(call)).await {
            Ok(reply) => reply,
            Err(_) => Err(NoAnswer::TimedOut(limit)),
        }
    }

    async fn exchange(&self, call: Call<'_>) -> Result<Reply, NoAnswer> {
        let begin = Instant::now();
        let mut request = Request::post(format!("http://{}{}", self.authority, call.path))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", super::AGENT);
        if let Some(timeout) = call.timeout {
            request = request.header("grpc-timeout", timeout_text(timeout));
        }
        let body = match call.sent {
            Sent::Whole(message) => Outgoing::whole(frame::frame(message)),
            Sent::CutShort(part) => Outgoing::whole(frame::announce(ANNOUNCED, part)),
            Sent::Unending(part) => Outgoing::unending(frame::announce(ANNOUNCED, part)),
        };
        let request = request
            .body(body)
            .map_err(|error| NoAnswer::Broken(error.to_string()))?;
        let response = self
            .sender
            .clone()
            .send_request(request)
            .await
            .map_err(|error| NoAnswer::Broken(chain(&error)))?;
        read(response, begin).await
    }
}

async fn read(response: Response<Incoming>, begin: Instant) -> Result<Reply, NoAnswer> {
    let (head, mut body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(NoAnswer::NotGrpc(format!("HTTP status {}", head.status)));
    }
    let kind = head.headers.get("content-type").map(|kind| kind.as_bytes());
    if !kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        let kind = String::from_utf8_lossy(kind.unwrap_or(b"none")).into_owned();
        return Err(NoAnswer::NotGrpc(format!("content-type {kind}")));
    }
    let mut metadata = text(&head.headers);
    let mut bytes = BytesMut::new();
    let mut trailers = None;
    while let Some(piece) = body.frame().await {
        let piece = piece.map_err(|error| NoAnswer::Broken(chain(&error)))?;
        match piece.into_data() {
            Ok(data) if bytes.len() + data.len() > MAX_REPLY => return Err(NoAnswer::TooLarge),
            Ok(data) => bytes.put(data),
            Err(other) => trailers = other.into_trailers().ok(),
        }
    }
    if let Some(trailers) = &trailers {
        metadata.push_str(&text(trailers));
    }
    let (code, message) = trailers
        .as_ref()
        .and_then(status)
        .or_else(|| status(&head.headers))
        .ok_or_else(|| NoAnswer::NotGrpc("it has no grpc-status".to_owned()))?;
    let messages = match code {
        Code::OK => frame::messages(bytes.freeze()).map_err(NoAnswer::Undecodable)?,
        // What came before an error is still looked through.
        _ => frame::messages(bytes.freeze()).unwrap_or_default(),
    };
    Ok(Reply {
        code,
        message,
        messages,
        metadata,
        took: begin.elapsed(),
    })
}

fn status(headers: &HeaderMap) -> Option<(Code, String)> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let message = headers
        .get("grpc-message")
        .map(|message| decode(message.as_bytes()))
        .unwrap_or_default();
    Some((Code(code), message))
}

/// A time-out as gRPC spells it.
fn timeout_text(timeout: Duration) -> String {
    match timeout.as_millis() {
        0 => format!("{}n", timeout.as_nanos()),
        millis => format!("{millis}m"),
    }
}

/// Undoes gRPC's percent-encoding.
fn decode(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let byte = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn text(headers: &HeaderMap) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", decode(value.as_bytes())));
    lines.collect()
}

/// The only message of a unary answer.
pub(crate) fn only(messages: &[Bytes]) -> Result<&Bytes, NoAnswer> {
    match messages {
        [message] => Ok(message),
        other => Err(NoAnswer::Undecodable(format!(
            "there are {} messages where there must be one",
            other.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone_and_stray_percents_are_kept() {
        assert_eq!(decode(b"100%25 of %C3%A4 %zz %"), "100% of ä %zz %");
    }
}
