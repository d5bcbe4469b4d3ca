//! So many in a minute, and the number of the others.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);

/// Admits so many in a minute and counts the others.
#[derive(Debug)]
pub(super) struct Sampler {
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the minute began.
    began: Option<Instant>,
    admitted: u32,
    /// Turned away in this minute.
    surplus: u64,
    /// Turned away in minutes before, and not told yet.
    untold: u64,
}

impl State {
    fn turn(&mut self) {
        if self.began.is_some_and(|began| began.elapsed() >= WINDOW) {
            self.began = None;
            self.admitted = 0;
            self.untold += std::mem::take(&mut self.surplus);
        }
    }
}

impl Sampler {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            state: Mutex::default(),
        }
    }

    /// Whether this one is among the first of its minute.
    pub(super) fn admit(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turn();
        state.began.get_or_insert_with(Instant::now);
        if state.admitted < self.most {
            state.admitted += 1;
            return true;
        }
        state.surplus += 1;
        false
    }

    /// How many were turned away in minutes that are over, told once.
    pub(super) fn surplus(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turn();
        Some(std::mem::take(&mut state.untold)).filter(|count| *count > 0)
    }

    /// The same at the end, when no further minute will be over.
    pub(super) fn rest(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let surplus = std::mem::take(&mut state.surplus);
        Some(std::mem::take(&mut state.untold) + surplus).filter(|count| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_beyond_the_first_of_a_minute_are_counted_and_told_once() {
        let sampler = Sampler::new(2);
        let admitted = (0..10).filter(|_| sampler.admit()).count();
        assert_eq!((admitted, sampler.surplus()), (2, None));
        tokio::time::advance(WINDOW).await;
        assert_eq!((sampler.surplus(), sampler.surplus()), (Some(8), None));
        assert!(sampler.admit() && sampler.admit() && !sampler.admit());
        assert_eq!((sampler.rest(), sampler.rest()), (Some(1), None));
    }
}
