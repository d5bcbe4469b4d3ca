//! gRPC over one HTTP/2 connection.
//!
//! On `h2` itself and not on a ready-made client: only here is known whether a call that failed
//! had been sent, which decides whether it may be sent again (`docs/adr/0011`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{REQUEST_ID, Wire, header, milliseconds_until, stranger};
use crate::call::{Cause, Method};
use crate::dial::Endpoint;
use crate::frame::{Frames, frame};
use crate::text::printable;

/// What a plugin may send ahead of what is read: of one answer, and of all.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of the headers of an answer.
const HEADERS: u32 = 16 << 10;

pub(crate) struct Session {
    wire: Arc<Wire>,
    sender: SendRequest<Bytes>,
    over: Arc<AtomicBool>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("grpc::Session").finish_non_exhaustive()
    }
}

/// The messages of one answer.
pub(crate) struct Messages {
    body: RecvStream,
    frames: Frames,
    ended: bool,
}

impl Session {
    pub(crate) async fn open(wire: &Arc<Wire>, endpoint: &Endpoint) -> Result<Self, Cause> {
        let io = wire.dial(endpoint).await?;
        let handshake = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADERS)
            .handshake(io);
        let (sender, connection) = match tokio::time::timeout(wire.options.dial, handshake).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) if error.is_io() => {
                return Err(Cause::Broken(printable(&error.to_string())));
            }
            Ok(Err(error)) => return Err(Cause::Unreachable(format!("{endpoint}: {error}"))),
            Err(_) => {
                return Err(Cause::Unreachable(format!(
                    "{endpoint} does not take HTTP/2"
                )));
            }
        };
        let over = Arc::new(AtomicBool::new(false));
        let driven = async move {
            // Whoever has a call under way hears of the error too.
            let _ = connection.await;
        };
        let ended = Arc::clone(&over);
        wire.drive(driven, move || ended.store(true, Ordering::Release));
        Ok(Self {
            wire: Arc::clone(wire),
            sender,
            over,
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(crate) async fn unary(
        &self,
        method: Method,
        message: &Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Cause> {
        let mut messages = self.send(method, message, Some(deadline)).await?;
        let Some(answer) = messages.next().await? else {
            return Err(Cause::Garbage("it ended well without a message".to_owned()));
        };
        match messages.next().await? {
            None => Ok(answer),
            Some(_) => Err(Cause::Garbage("there was more than one message".to_owned())),
        }
    }

    pub(crate) async fn stream(&self, method: Method, message: &Bytes) -> Result<Messages, Cause> {
        self.send(method, message, None).await
    }

    async fn send(
        &self,
        method: Method,
        message: &Bytes,
        deadline: Option<Instant>,
    ) -> Result<Messages, Cause> {
        let request = self.request(method, deadline)?;
        let ready = self.sender.clone().ready().await;
        let mut sender = ready.map_err(|error| self.not_sent(&error))?;
        let sent = sender.send_request(request, false);
        let (answer, mut body) = sent.map_err(|error| self.not_sent(&error))?;
        let unsent = body.send_data(frame(message), true).err();
        let answer = match (answer.await, unsent) {
            (Ok(answer), _) => answer,
            // Without its message the call cannot have been executed.
            (Err(_), Some(error)) => return Err(self.not_sent(&error)),
            (Err(error), None) => return Err(self.failed(&error)),
        };
        let (head, body) = answer.into_parts();
        check(&head)?;
        if let Some(status) = Status::from_header_map(&head.headers) {
            judge(&status)?;
        }
        Ok(Messages {
            ended: body.is_end_stream(),
            body,
            frames: Frames::new(self.wire.options.answer_bytes),
        })
    }

    fn request(&self, method: Method, deadline: Option<Instant>) -> Result<Request<()>, Cause> {
        let uri = format!(
            "{}://{}{}",
            self.wire.scheme(),
            self.wire.authority,
            method.path
        );
        let mut request = Request::post(uri)
            .header(CONTENT_TYPE, "application/grpc")
            .header("te", "trailers")
            .header("user-agent", concat!("ratd/", env!("CARGO_PKG_VERSION")));
        if let Some(id) = rat_api::current_request_id() {
            request = request.header(REQUEST_ID, id);
        }
        if let Some(deadline) = deadline {
            let timeout = format!("{}m", milliseconds_until(deadline).min(99_999_999));
            request = request.header("grpc-timeout", header(timeout));
        }
        request
            .body(())
            .map_err(|error| Cause::Unreachable(format!("it cannot be addressed: {error}")))
    }

    /// The connection had ended before the call was handed to it.
    fn not_sent(&self, error: &h2::Error) -> Cause {
        self.over.store(true, Ordering::Release);
        match error.is_library() {
            true => Cause::Unreachable(no_http2(error)),
            false => Cause::Refused(printable(&error.to_string())),
        }
    }

    fn failed(&self, error: &h2::Error) -> Cause {
        let cause = classify(error);
        if cause.is_about_the_connection() {
            self.over.store(true, Ordering::Release);
        }
        cause
    }
}

impl Messages {
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        loop {
            if let Some(frame) = self.frames.next()? {
                if frame.flags != 0 {
                    return Err(Cause::Garbage(
                        "it is compressed, which was not asked for".to_owned(),
                    ));
                }
                return Ok(Some(frame.message));
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.data().await {
                Some(Ok(chunk)) => {
                    self.frames.push(&chunk);
                    // A connection that is gone needs no window; the next read tells.
                    let _ = self.body.flow_control().release_capacity(chunk.len());
                }
                Some(Err(error)) => return Err(classify(&error)),
                None => self.finish().await?,
            }
        }
    }

    /// After the last byte: what the plugin says became of the call.
    async fn finish(&mut self) -> Result<(), Cause> {
        self.ended = true;
        let trailers = self.body.trailers().await;
        let trailers = trailers.map_err(|error| classify(&error))?;
        let status = Status::from_header_map(&trailers.unwrap_or_default());
        let Some(status) = status else {
            return Err(Cause::Garbage("it ended without a gRPC status".to_owned()));
        };
        judge(&status)?;
        match self.frames.is_empty() {
            true => Ok(()),
            false => Err(Cause::Garbage("it ended within a message".to_owned())),
        }
    }
}

fn judge(status: &Status) -> Result<(), Cause> {
    match status.code() {
        Code::Ok => Ok(()),
        code => Err(Cause::Answered {
            code,
            message: printable(status.message()),
        }),
    }
}

/// Whether an answer is gRPC at all.
fn check(head: &http::response::Parts) -> Result<(), Cause> {
    let is_grpc = |headers: &HeaderMap| {
        let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
    };
    if head.status == StatusCode::OK && is_grpc(&head.headers) {
        return Ok(());
    }
    match head.status {
        // What gRPC makes of a server that does not have the method and does not know gRPC.
        StatusCode::NOT_FOUND => Err(Cause::Answered {
            code: Code::Unimplemented,
            message: stranger(head),
        }),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Err(Cause::Answered {
                code: Code::Unavailable,
                message: stranger(head),
            })
        }
        _ => Err(Cause::Garbage(format!(
            "it does not speak gRPC: {}",
            stranger(head)
        ))),
    }
}

/// What an error says about the call: refused, broken off, or lost with the connection.
fn classify(error: &h2::Error) -> Cause {
    let text = printable(&error.to_string());
    if error.is_go_away() && error.is_library() {
        return Cause::Unreachable(no_http2(error));
    }
    if error.is_go_away() && error.is_remote() {
        // The streams that a GOAWAY ends are those that the plugin promises not to have seen.
        return Cause::Refused(text);
    }
    if error.is_reset() && error.is_remote() {
        return match error.reason() {
            Some(Reason::REFUSED_STREAM) => Cause::Refused(text),
            _ => Cause::Reset(text),
        };
    }
    match error.is_io() {
        true => Cause::Broken(text),
        false => Cause::Garbage(text),
    }
}

/// We ended the connection, because what came was no HTTP/2.
fn no_http2(error: &h2::Error) -> String {
    let reason = error.reason().unwrap_or(Reason::NO_ERROR);
    let reason = printable(reason.description());
    format!("it does not speak HTTP/2 as it should: {reason}")
}
