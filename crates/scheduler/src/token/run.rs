//! Tokens of runs: looked up in the database, where they outlive a restart of ratd.

use rat_store::{Error, RunRecord, Store};

use super::{RUN_PREFIX, has_form, hash};

/// Finds the run that a token belongs to.
#[derive(Debug, Clone)]
pub struct RunTokens {
    store: Store,
}

impl RunTokens {
    /// Looks into `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The running run with this token. A token dies when its run has ended.
    ///
    /// # Errors
    /// The database fails.
    pub async fn lookup(&self, token: &str) -> Result<Option<RunRecord>, Error> {
        if !has_form(RUN_PREFIX, token) {
            return Ok(None);
        }
        self.store.runs().find_by_token_hash(&hash(token)).await
    }
}
