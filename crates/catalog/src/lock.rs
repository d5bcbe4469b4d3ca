//! One commit at a time per table.
//!
//! Correctness rests on the database's compare-and-set alone. The lock keeps the writers of this
//! process from racing for it: without it, of 32 writers to one table 31 would write a metadata
//! file for nothing, again and again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use rat_types::TableIdent;
use tokio::sync::{Mutex, MutexGuard};

use crate::Error;

/// Tables that fall onto one stripe wait for each other, which costs time and nothing else, as
/// nobody ever holds two.
const STRIPES: usize = 256;

/// How long a commit waits for those before it.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct TableLocks {
    stripes: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl TableLocks {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::new(),
        }
    }

    /// # Errors
    /// [`Error::Busy`] when the turn does not come in time.
    pub(crate) async fn lock(&self, table: &TableIdent) -> Result<MutexGuard<'_, ()>, Error> {
        let hash = self.hasher.hash_one(table);
        // The remainder is below STRIPES, so both conversions are lossless.
        let stripe = &self.stripes[(hash % STRIPES as u64) as usize];
        let waited = tokio::time::timeout(WAIT, stripe.lock()).await;
        waited.map_err(|_| Error::Busy {
            table: table.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_table_is_locked_once_and_waiting_ends() {
        let locks = TableLocks::new();
        let table: TableIdent = "a.gold.b".parse().unwrap();
        let held = locks.lock(&table).await.unwrap();
        assert!(matches!(locks.lock(&table).await, Err(Error::Busy { .. })));
        drop(held);
        assert!(locks.lock(&table).await.is_ok());
    }
}
