//! How many queries run at a time, and how many may wait.
//!
//! Waiting is bounded in number and in time: a query that would wait behind too many others is
//! refused at once, so that an overloaded service answers quickly instead of piling up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Queries that may wait for each one that may run.
const WAITING_PER_SLOT: usize = 8;
/// How much longer than its time the threads of a query may need to end.
const GRACE: Duration = Duration::from_secs(30);

/// There is no room for another query now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// Too many wait already.
    #[error("{running} queries are running and {waiting} are waiting; try again later")]
    Full {
        /// Queries that may run.
        running: usize,
        /// Queries that wait.
        waiting: usize,
    },
    /// It waited as long as a query may take.
    #[error("the query waited {} s for one of the {running} places; try again later", limit.as_secs())]
    TooLong {
        /// Queries that may run.
        running: usize,
        /// How long it waited.
        limit: Duration,
    },
}

/// The door. Clones share it.
#[derive(Debug, Clone)]
pub struct Admission {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// When each place that is taken was taken.
    taken: Arc<Mutex<Vec<Instant>>>,
    slots: usize,
    patience: Duration,
}

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    since: Instant,
    taken: Arc<Mutex<Vec<Instant>>>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(door: &Admission, permit: OwnedSemaphorePermit) -> Self {
        let (since, taken) = (Instant::now(), Arc::clone(&door.taken));
        lock(&taken).push(since);
        Self {
            since,
            taken,
            _permit: permit,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(index) = taken.iter().position(|since| *since == self.since) {
            taken.swap_remove(index);
        }
    }
}

fn lock(taken: &Mutex<Vec<Instant>>) -> MutexGuard<'_, Vec<Instant>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Admission {
    /// A door with `slots` places, behind which nobody waits longer than `patience`.
    pub fn new(slots: usize, patience: Duration) -> Self {
        let slots = slots.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(slots)),
            waiting: Arc::new(AtomicUsize::new(0)),
            taken: Arc::default(),
            slots,
            patience,
        }
    }

    /// Whether every place is held by somebody who should have left long ago.
    pub fn is_stuck(&self) -> bool {
        let limit = self.patience.saturating_add(GRACE);
        let taken = lock(&self.taken);
        taken.len() >= self.slots && taken.iter().all(|since| since.elapsed() > limit)
    }

    /// Waits for a place; it is free again when the answer is dropped.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn enter(&self) -> Result<Place, Busy> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place::new(self, place));
        }
        let waiting = Waiting::begin(&self.waiting);
        if waiting.before >= self.slots.saturating_mul(WAITING_PER_SLOT) {
            return Err(Busy::Full {
                running: self.slots,
                waiting: waiting.before,
            });
        }
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(self.patience, place).await {
            Ok(Ok(place)) => Ok(Place::new(self, place)),
            // The semaphore is never closed, so only the time can be over.
            Ok(Err(_)) | Err(_) => Err(Busy::TooLong {
                running: self.slots,
                limit: self.patience,
            }),
        }
    }
}

/// Counted among those that wait until dropped, also when the caller goes away meanwhile.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        Self {
            count,
            before: count.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test(start_paused = true)]
    async fn waiting_is_bounded_in_number_and_time() {
        let door = Admission::new(1, Duration::from_secs(10));
        let place = door.enter().await.unwrap();
        let mut queue: Vec<_> = (0..WAITING_PER_SLOT)
            .map(|_| Box::pin(door.enter()))
            .collect();
        assert!(
            queue
                .iter_mut()
                .all(|waiting| waiting.as_mut().now_or_never().is_none())
        );
        assert_eq!(
            door.enter().await.unwrap_err(),
            Busy::Full {
                running: 1,
                waiting: 8
            }
        );

        queue.pop();
        let late = door.enter().await.unwrap_err();
        assert!(
            matches!(late, Busy::TooLong { running: 1, .. }),
            "who left made room: {late}"
        );

        drop(place);
        let next = queue.remove(0);
        drop(queue);
        assert!(next.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_door_is_stuck_when_nobody_leaves_in_time() {
        let door = Admission::new(2, Duration::from_secs(10));
        let first = door.enter().await.unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!door.is_stuck(), "there is a place");
        let second = door.enter().await.unwrap();
        assert!(!door.is_stuck(), "one has just come");
        tokio::time::advance(Duration::from_secs(39)).await;
        assert!(!door.is_stuck(), "its threads may still end");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(door.is_stuck());
        drop(first);
        assert!(!door.is_stuck());
        drop(second);
    }
}
