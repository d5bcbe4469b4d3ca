//! The form of an upload, with limits that its parser does not have.
//!
//! The parser keeps what it has not understood yet, so that a field's header that never ends would
//! fill the memory. And it waits for each piece as long as it may, so that a client that sends a
//! byte now and then would hold its connection for months.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use bytes::Bytes;
use futures::Stream;
use http::StatusCode;
use rat_types::Kind;
use tokio::time::Instant;

use crate::extract;
use crate::fault::Fault;
use crate::state::AppState;

/// Bytes from the end of one field to the end of the next one's header.
const LONGEST_HEADER: usize = 64 * 1024;
/// What the parser gets before it has to look at it.
const ROUND: usize = 64 * 1024;
/// How long a client has to be waited for before its rate counts.
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Bytes that have to arrive in that time: 1 KiB a second.
const RATE_BYTES: u64 = 60 * 1024;

/// A multipart form, read piece by piece.
#[derive(Debug)]
pub(crate) struct Form {
    multipart: Multipart,
    watch: Arc<Watch>,
}

/// What is known of the body behind a form.
#[derive(Debug)]
pub(crate) struct Watch {
    /// How long nothing may arrive.
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes since the header began that is being read; `None` within a field.
    header: Option<usize>,
    header_is_too_long: bool,
    /// Bytes since the parser last looked.
    round: usize,
    /// Bytes that arrived in this window, and how long they were waited for.
    arrived: u64,
    waited: Duration,
}

/// What to do before the parser gets more.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Read,
    Pause,
    Refuse,
}

impl FromRequest<AppState> for Form {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Fault> {
        let watch = Arc::new(Watch::new(state.config.upload_idle_timeout));
        let watched = Arc::clone(&watch);
        let request = request.map(|body| Body::from_stream(watched.over(body)));
        let extract::Form(multipart) = extract::Form::from_request(request, state).await?;
        Ok(Self { multipart, watch })
    }
}

impl Form {
    pub(crate) fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// The next field, whose predecessor was read to its end.
    pub(crate) async fn next_field(&mut self) -> Result<Option<Field<'_>>, Fault> {
        self.watch.state().header = Some(0);
        let field = self.watch.wait(self.multipart.next_field()).await?;
        self.watch.state().header = None;
        Ok(field)
    }
}

impl Watch {
    fn new(idle: Duration) -> Self {
        Self {
            idle,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece of `field`.
    pub(crate) async fn chunk(&self, field: &mut Field<'_>) -> Result<Option<Bytes>, Fault> {
        self.wait(field.chunk()).await
    }

    /// What comes next; or 408 when it does not come, or too slowly.
    async fn wait<T>(
        &self,
        next: impl Future<Output = Result<T, MultipartError>>,
    ) -> Result<T, Fault> {
        let begun = Instant::now();
        let next = tokio::time::timeout(self.idle, next)
            .await
            .map_err(|_| late("the upload stalled: nothing arrived for too long"))?;
        if !self.state().keeps_pace(begun.elapsed()) {
            return Err(late("the upload is slower than 1 KiB a second"));
        }
        next.map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &MultipartError) -> Fault {
        if self.state().header_is_too_long {
            let message = format!("a field's header is longer than {LONGEST_HEADER} bytes");
            return Fault::invalid(message).because("FORM_INVALID");
        }
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Fault::new(Kind::PayloadTooLarge, "the upload is larger than the limit")
            }
            _ => Fault::invalid(format!("invalid form: {}", error.body_text()))
                .because("FORM_INVALID"),
        }
    }

    /// The body as the parser sees it.
    fn over(
        self: Arc<Self>,
        body: Body,
    ) -> impl Stream<Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> {
        let mut body = body.into_data_stream();
        futures::stream::poll_fn(move |cx| {
            match self.state().next() {
                Next::Read => {}
                Next::Pause => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Next::Refuse => {
                    return Poll::Ready(Some(Err("the header is too long".into())));
                }
            }
            let polled = std::pin::Pin::new(&mut body).poll_next(cx);
            match &polled {
                Poll::Ready(Some(Ok(bytes))) => self.state().arrived(bytes.len()),
                Poll::Pending => self.state().round = 0,
                Poll::Ready(_) => {}
            }
            // Unwrapped, because the extractor looks for its reasons one level deep.
            polled.map_err(axum::Error::into_inner)
        })
    }
}

impl State {
    /// The parser takes all that there is before it looks at any of it, so it is made to look
    /// before its header counts as too long.
    fn next(&mut self) -> Next {
        let header_is_long = self.header.is_some_and(|header| header > LONGEST_HEADER);
        if self.round > 0 && (header_is_long || self.round >= ROUND) {
            self.round = 0;
            return Next::Pause;
        }
        if header_is_long {
            self.header_is_too_long = true;
            return Next::Refuse;
        }
        Next::Read
    }

    fn arrived(&mut self, bytes: usize) {
        self.round += bytes;
        self.arrived += bytes as u64;
        if let Some(header) = &mut self.header {
            *header += bytes;
        }
    }

    /// Counts what the client was waited for, and not what storing its file took.
    fn keeps_pace(&mut self, waited: Duration) -> bool {
        self.waited += waited;
        if self.waited < RATE_WINDOW {
            return true;
        }
        self.waited = Duration::ZERO;
        std::mem::take(&mut self.arrived) >= RATE_BYTES
    }
}

fn late(message: &str) -> Fault {
    Fault::from_status(StatusCode::REQUEST_TIMEOUT, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_looked_at_before_it_is_too_long() {
        let mut state = State {
            header: Some(0),
            ..State::default()
        };
        assert_eq!(state.next(), Next::Read);
        state.arrived(LONGEST_HEADER + 1);
        assert_eq!(state.next(), Next::Pause);
        assert_eq!(state.next(), Next::Refuse);
        // The parser found its end: what follows is the file.
        state.header = None;
        assert_eq!(state.next(), Next::Read);
        state.arrived(ROUND);
        assert_eq!(state.next(), Next::Pause);
        assert_eq!(state.next(), Next::Read);
    }

    #[test]
    fn a_client_that_drips_does_not_keep_pace() {
        let mut state = State::default();
        let second = Duration::from_secs(1);
        for _ in 0..600 {
            state.arrived(1024);
            assert!(state.keeps_pace(second));
        }
        let mut kept = true;
        for _ in 0..60 {
            state.arrived(100);
            kept &= state.keeps_pace(second);
        }
        assert!(!kept);
    }
}
