//! The Connect protocol over HTTP/1.1: for plugins without HTTP/2.
//!
//! A connection carries one call at a time, so a session is a handful of them. As soon as one
//! breaks, or is ended by the plugin while nothing is under way on it, the whole session is over:
//! the plugin may have been restarted, and the next one begins by telling it its configuration.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rat_proto::code::from_connect_name;
use serde_json::Value;
use tokio::time::Instant;
use tonic::Code;

use super::{REQUEST_ID, Wire, header, milliseconds_until, stranger};
use crate::call::{Cause, Method};
use crate::dial::Endpoint;
use crate::frame::{Frames, frame};
use crate::text::printable;

/// Connections that are kept while nobody uses them.
const KEPT: usize = 64;
/// Bytes of the headers of an answer.
const HEADERS: usize = 16 << 10;
/// Bytes of an error, which is a line of JSON.
const ERROR_BYTES: usize = 64 << 10;
/// Flag of the last message of a stream.
const END: u8 = 2;

const UNARY: &str = "application/proto";
const STREAM: &str = "application/connect+proto";

/// One connection.
#[derive(Debug)]
struct Sender {
    sender: SendRequest<Full<Bytes>>,
    /// Whether nothing is under way on it.
    idle: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(crate) struct Session {
    wire: Arc<Wire>,
    endpoint: Endpoint,
    idle: Arc<Mutex<Vec<Sender>>>,
    over: Arc<AtomicBool>,
}

/// The messages of a stream. The connection is not used again.
pub(crate) struct Messages {
    body: Incoming,
    frames: Frames,
    ended: bool,
    over: Arc<AtomicBool>,
    _sender: Sender,
}

impl Session {
    pub(crate) async fn open(wire: &Arc<Wire>, endpoint: &Endpoint) -> Result<Self, Cause> {
        let session = Self {
            wire: Arc::clone(wire),
            endpoint: endpoint.clone(),
            idle: Arc::default(),
            over: Arc::default(),
        };
        let first = session.dial().await?;
        session.keep(first);
        Ok(session)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    async fn dial(&self) -> Result<Sender, Cause> {
        let dialled = self.wire.dial(&self.endpoint).await;
        let io = dialled.inspect_err(|_| self.over.store(true, Ordering::Release))?;
        let opened = http1::Builder::new()
            .max_buf_size(HEADERS)
            .handshake(TokioIo::new(io))
            .await;
        let (sender, connection) = opened
            .map_err(|error| Cause::Unreachable(format!("{}: {}", self.endpoint, chain(&error))))?;
        let driven = async move {
            // Whoever has a call under way hears of the error too.
            let _ = connection.await;
        };
        let idle = Arc::new(AtomicBool::new(false));
        let (over, was_idle) = (Arc::clone(&self.over), Arc::clone(&idle));
        self.wire.drive(driven, move || {
            // What becomes of a call tells the same about the connection that carried it.
            if was_idle.load(Ordering::Acquire) {
                over.store(true, Ordering::Release);
            }
        });
        Ok(Sender { sender, idle })
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT && !sender.sender.is_closed() {
            sender.idle.store(true, Ordering::Release);
            idle.push(sender);
        }
    }

    /// A connection on which nothing is under way.
    async fn connection(&self) -> Result<Sender, Cause> {
        loop {
            let kept = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let Some(mut sender) = kept else {
                return self.dial().await;
            };
            if sender.sender.ready().await.is_ok() {
                sender.idle.store(false, Ordering::Release);
                return Ok(sender);
            }
        }
    }

    pub(crate) async fn unary(
        &self,
        method: Method,
        message: &Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Cause> {
        let mut sender = self.connection().await?;
        let mut request = self.request(method, UNARY, message.clone())?;
        let timeout = header(milliseconds_until(deadline).to_string());
        request.headers_mut().insert("connect-timeout-ms", timeout);
        let answer = self.send(&mut sender, request).await?;
        let (head, body) = answer.into_parts();
        if head.status != StatusCode::OK {
            let failed = error_of(&head, &self.read(body, ERROR_BYTES).await?);
            self.leave(&head, sender);
            return Err(failed);
        }
        if !is_kind(&head, UNARY) {
            let what = stranger(&head);
            return Err(Cause::Garbage(format!("it does not speak Connect: {what}")));
        }
        if !has_end(&head) {
            return Err(Cause::Garbage(
                "its answer has neither a Content-Length nor chunks: a part of it would look whole"
                    .to_owned(),
            ));
        }
        let answer = self.read(body, self.wire.options.answer_bytes).await?;
        self.leave(&head, sender);
        Ok(answer)
    }

    /// After an answer. What the plugin does not take another call on is closed; whoever answers on
    /// the next connection may be another process, which has to be configured first.
    fn leave(&self, head: &http::response::Parts, sender: Sender) {
        match stays_open(head) {
            true => self.keep(sender),
            false => self.over.store(true, Ordering::Release),
        }
    }

    pub(crate) async fn stream(&self, method: Method, message: &Bytes) -> Result<Messages, Cause> {
        let mut sender = self.connection().await?;
        let request = self.request(method, STREAM, frame(message))?;
        let (head, body) = self.send(&mut sender, request).await?.into_parts();
        if head.status != StatusCode::OK {
            let text = self.read(body, ERROR_BYTES).await?;
            return Err(error_of(&head, &text));
        }
        if !is_kind(&head, STREAM) {
            let what = stranger(&head);
            return Err(Cause::Garbage(format!(
                "it does not stream Connect: {what}"
            )));
        }
        Ok(Messages {
            body,
            frames: Frames::new(self.wire.options.answer_bytes),
            ended: false,
            over: Arc::clone(&self.over),
            _sender: sender,
        })
    }

    fn request(
        &self,
        method: Method,
        kind: &'static str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Cause> {
        let mut request = Request::post(method.path);
        if let Some(id) = rat_api::current_request_id() {
            request = request.header(REQUEST_ID, id);
        }
        request
            .header(HOST, header(self.wire.authority.clone()))
            .header(CONTENT_TYPE, kind)
            // Also of nothing: servers that read by it find none otherwise.
            .header(CONTENT_LENGTH, body.len())
            .header("connect-protocol-version", "1")
            .header("user-agent", concat!("ratd/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(|error| Cause::Unreachable(format!("it cannot be addressed: {error}")))
    }

    async fn send(
        &self,
        sender: &mut Sender,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Cause> {
        let mut failed = match sender.sender.try_send_request(request).await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        self.over.store(true, Ordering::Release);
        let unsent = failed.take_message().is_some();
        let error = failed.into_error();
        Err(match unsent {
            true => Cause::Refused(chain(&error)),
            false => classify(&error),
        })
    }

    /// The whole of `body`, which must not be longer than `limit`.
    async fn read(&self, mut body: Incoming, limit: usize) -> Result<Bytes, Cause> {
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                self.over.store(true, Ordering::Release);
                classify(&error)
            })?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if read.len() + chunk.len() > limit {
                return Err(Cause::TooLarge(limit));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.freeze())
    }
}

impl Messages {
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if let Some(frame) = self.frames.next()? {
                if frame.flags & END != 0 {
                    self.ended = true;
                    return end_of_stream(&frame.message).map(|()| None);
                }
                if frame.flags != 0 {
                    return Err(Cause::Garbage(
                        "it is compressed, which was not asked for".to_owned(),
                    ));
                }
                return Ok(Some(frame.message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        self.frames.push(&chunk);
                    }
                }
                Some(Err(error)) => {
                    self.over.store(true, Ordering::Release);
                    return Err(classify(&error));
                }
                None => {
                    let message = "it ended without the last message of a stream".to_owned();
                    return Err(Cause::Garbage(message));
                }
            }
        }
    }
}

/// Whether the plugin means to take another call on the connection.
fn stays_open(head: &http::response::Parts) -> bool {
    let said = head.headers.get(CONNECTION).map(HeaderValue::as_bytes);
    let closes = said.is_some_and(|said| said.eq_ignore_ascii_case(b"close"));
    head.version == Version::HTTP_11 && !closes
}

/// Whether the end of the answer is another thing than the end of the connection.
fn has_end(head: &http::response::Parts) -> bool {
    let headers = &head.headers;
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

fn is_kind(head: &http::response::Parts, kind: &str) -> bool {
    let found = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    found.is_some_and(|found| found.starts_with(kind.as_bytes()))
}

/// What the last message of a stream says.
fn end_of_stream(message: &[u8]) -> Result<(), Cause> {
    let end: Value = serde_json::from_slice(message)
        .map_err(|_| Cause::Garbage("the last message of its stream is not JSON".to_owned()))?;
    match end.get("error") {
        None | Some(Value::Null) => Ok(()),
        Some(error) => Err(answered(error).unwrap_or(Cause::Answered {
            code: Code::Unknown,
            message: "an error without a code".to_owned(),
        })),
    }
}

/// What an answer other than 200 says.
fn error_of(head: &http::response::Parts, text: &[u8]) -> Cause {
    let error: Option<Value> = serde_json::from_slice(text).ok();
    if let Some(cause) = error.as_ref().and_then(answered) {
        return cause;
    }
    let code = match head.status {
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => {
            let what = stranger(head);
            return Cause::Garbage(format!("it does not speak Connect: {what}"));
        }
    };
    Cause::Answered {
        code,
        message: stranger(head),
    }
}

fn answered(error: &Value) -> Option<Cause> {
    let code = from_connect_name(error.get("code")?.as_str()?)?;
    let message = error.get("message").and_then(Value::as_str);
    Some(Cause::Answered {
        code,
        message: printable(message.unwrap_or_default()),
    })
}

fn classify(error: &hyper::Error) -> Cause {
    match error.is_parse() || error.is_parse_too_large() {
        true => Cause::Garbage(format!("it does not speak HTTP/1.1: {}", chain(error))),
        false => Cause::Broken(chain(error)),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    printable(&rat_service::ErrorChain(error).to_string())
}
