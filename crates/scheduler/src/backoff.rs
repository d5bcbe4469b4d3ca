//! Growing pauses, for one caller or for all of them together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Pauses that double from a first to a last.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
    last: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        Self { next: first, last }
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next.min(self.last);
        self.next = pause.saturating_mul(2);
        pause
    }
}

/// Whether the executor takes runs at the moment. While it does not, one run at a time tries.
#[derive(Debug)]
pub(crate) struct Gate {
    closed: Mutex<Option<Closed>>,
    first: Duration,
    last: Duration,
}

#[derive(Debug)]
struct Closed {
    until: Instant,
    backoff: Backoff,
}

/// What the gate allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// As many as there is room for.
    Free,
    /// One, to see whether the executor is back.
    One,
    /// None before this time.
    Closed(Instant),
}

impl Gate {
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        Self {
            closed: Mutex::new(None),
            first,
            last,
        }
    }

    /// The executor took a run.
    pub(crate) fn open(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The executor did not take a run. Several at once count as one.
    pub(crate) fn close(&self) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let closed = closed.get_or_insert_with(|| Closed {
            until: now,
            backoff: Backoff::new(self.first, self.last),
        });
        if closed.until <= now {
            closed.until = now + closed.backoff.pause();
        }
    }

    pub(crate) fn passage(&self) -> Passage {
        match &*self.closed.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Passage::Free,
            Some(closed) if closed.until <= Instant::now() => Passage::One,
            Some(closed) => Passage::Closed(closed.until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_last() {
        let mut backoff = Backoff::new(10 * MS, 35 * MS);
        let pauses: Vec<Duration> = (0..4).map(|_| backoff.pause()).collect();
        assert_eq!(pauses, [10 * MS, 20 * MS, 35 * MS, 35 * MS]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_gate_lets_one_through_after_a_while() {
        let gate = Gate::new(10 * MS, 20 * MS);
        assert_eq!(gate.passage(), Passage::Free);
        gate.close();
        gate.close();
        let until = Instant::now() + 10 * MS;
        assert_eq!(gate.passage(), Passage::Closed(until));
        tokio::time::advance(10 * MS).await;
        assert_eq!(gate.passage(), Passage::One);
        gate.close();
        assert_eq!(gate.passage(), Passage::Closed(Instant::now() + 20 * MS));
        gate.open();
        assert_eq!(gate.passage(), Passage::Free);
    }
}
