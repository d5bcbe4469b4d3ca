//! Following a run's log.
//!
//! Events: `log` with a line (its id is the line's number, so that a client that comes back with
//! `Last-Event-ID` misses nothing), `status` whenever the run's status changes, and `error` with
//! `TIMEOUT` or `DISCONNECTED` when the stream ends before the run. The stream reads the
//! database, not the scheduler's memory: it works for runs of any age and after a restart.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use futures::{Stream, stream};
use rat_types::{Kind, RunId, RunStatus};
use serde::Serialize;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::handler::run_log::Line;
use crate::middleware::client_address::ClientAddress;
use crate::state::AppState;

/// How often a silent stream shows that it is alive.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long one stream lasts at most.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Pause between two looks, while lines arrive and while none do.
const BUSY: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_secs(1);
/// Lines that one look fetches.
const LINES: u32 = 500;
/// Streams of one address, and of all.
const PER_ADDRESS: usize = 10;
const ALL: usize = 1000;

/// The streams that are open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place among the open streams, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    address: IpAddr,
    streams: Streams,
}

impl Streams {
    /// A place for one more stream.
    pub(crate) fn open(&self, address: Option<ClientAddress>) -> Result<Permit, Fault> {
        let address = address.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.0);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = open.values().sum();
        let own = open.get(&address).copied().unwrap_or(0);
        if own >= PER_ADDRESS || total >= ALL {
            let message = format!(
                "too many open streams: {own} of {PER_ADDRESS} for this address, {total} of {ALL} in all"
            );
            return Err(Fault::new(Kind::ResourceExhausted, message)
                .because("TOO_MANY_STREAMS")
                .retry_after(Duration::from_secs(5)));
        }
        *open.entry(address).or_default() += 1;
        Ok(Permit {
            address,
            streams: self.clone(),
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self
            .streams
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[derive(Serialize)]
struct Status {
    status: RunStatus,
}

#[derive(Serialize)]
struct Failure {
    code: &'static str,
    message: &'static str,
}

struct Follower {
    state: AppState,
    run: RunId,
    after: u64,
    shown: Option<RunStatus>,
    /// A look after the run had ended: lines may have been on their way.
    looked_again: bool,
    ready: VecDeque<Event>,
    pause: Option<Duration>,
    ends_at: Instant,
    over: bool,
    _permit: Permit,
}

/// The events of `run` after line `after`.
pub(crate) fn follow(
    state: AppState,
    run: RunId,
    after: u64,
    permit: Permit,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    let follower = Follower {
        state,
        run,
        after,
        shown: None,
        looked_again: false,
        ready: VecDeque::new(),
        pause: None,
        ends_at: Instant::now() + LONGEST,
        over: false,
        _permit: permit,
    };
    stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    })
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if let Some(failure) = self.wait().await {
                self.end(failure);
            } else if let Err(failure) = self.look().await {
                self.end(failure);
            }
        }
    }

    /// Waits until it is time to look again; answers why there will be no next look.
    async fn wait(&mut self) -> Option<Failure> {
        let pause = self.pause.take()?;
        let shutdown = self.state.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {
                Some(Failure { code: "DISCONNECTED", message: "the server is shutting down" })
            }
            () = tokio::time::sleep_until(self.ends_at) => {
                Some(Failure { code: "TIMEOUT", message: "the stream lasted 30 minutes; open it again" })
            }
            () = tokio::time::sleep(pause) => None,
        }
    }

    async fn look(&mut self) -> Result<(), Failure> {
        // The status first: a run that had ended by then has written its last line.
        let run = self
            .state
            .store
            .runs()
            .get(self.run)
            .await
            .map_err(|error| {
                tracing::warn!(run = %self.run, error = %error, "a log stream broke off");
                Failure {
                    code: "DISCONNECTED",
                    message: "the platform database does not answer",
                }
            })?;
        let gone = Failure {
            code: "DISCONNECTED",
            message: "the run was deleted",
        };
        let status = run.ok_or(gone)?.status;
        let lines = self
            .state
            .store
            .run_logs()
            .read(self.run, self.after, LINES)
            .await;
        let lines = lines.map_err(|error| {
            tracing::warn!(run = %self.run, error = %error, "a log stream broke off");
            Failure {
                code: "DISCONNECTED",
                message: "the platform database does not answer",
            }
        })?;
        let (full, none) = (lines.len() == LINES as usize, lines.is_empty());
        for line in lines {
            self.after = line.seq;
            let event = Event::default().event("log").id(line.seq.to_string());
            self.push(event, &Line::from(line));
        }
        self.pause = match (full, none) {
            (true, _) => None,
            (false, false) => Some(BUSY),
            (false, true) => Some(IDLE),
        };
        if full {
            return Ok(());
        }
        if status.is_terminal() && !self.looked_again {
            self.looked_again = true;
            self.pause = Some(BUSY);
            return Ok(());
        }
        if self.shown != Some(status) {
            self.shown = Some(status);
            self.push(Event::default().event("status"), &Status { status });
        }
        self.over = status.is_terminal();
        Ok(())
    }

    fn end(&mut self, failure: Failure) {
        self.push(Event::default().event("error"), &failure);
        self.over = true;
    }

    fn push<T: Serialize>(&mut self, event: Event, data: &T) {
        match event.json_data(data) {
            Ok(event) => self.ready.push_back(event),
            Err(error) => tracing::error!(error = %error, "failed to encode an event"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<ClientAddress> {
        Some(ClientAddress(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))))
    }

    #[test]
    fn one_address_has_ten_streams_and_gets_them_back() {
        let streams = Streams::default();
        let mut open: Vec<Permit> = (0..PER_ADDRESS)
            .map(|_| streams.open(address(1)).unwrap())
            .collect();
        assert!(streams.open(address(1)).is_err());
        assert!(streams.open(address(2)).is_ok());
        open.pop();
        assert!(streams.open(address(1)).is_ok());
        drop(open);
        assert!(streams.0.lock().unwrap().is_empty());
    }

    #[test]
    fn all_addresses_together_have_a_bound() {
        let streams = Streams::default();
        let open: Vec<Permit> = (0..100)
            .flat_map(|n| std::iter::repeat_n(n, 10))
            .map(|n| streams.open(address(n)).unwrap())
            .collect();
        assert_eq!(open.len(), ALL);
        assert!(streams.open(address(200)).is_err());
    }
}
