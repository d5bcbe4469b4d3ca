//! Tokens of queries under way: in memory, because a query dies with the ratd that asked for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rat_types::{Identity, Kind, Secret};

use super::{NoRandomness, QUERY_PREFIX, has_form, hash, mint};

type ByHash = Arc<Mutex<HashMap<String, Asker>>>;

/// On whose behalf a query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The caller.
    pub identity: Identity,
    /// Id of their request; empty where there is none.
    pub request_id: String,
}

/// The tokens of all queries under way. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct QueryTokens {
    tokens: ByHash,
    limit: usize,
}

/// Why there is no token for a query.
#[derive(Debug, thiserror::Error)]
pub enum TooManyQueries {
    /// As many queries as allowed are under way; try again when one has ended.
    #[error("{limit} queries are under way")]
    Limit {
        /// The limit.
        limit: usize,
    },
    /// The system has no random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl TooManyQueries {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Limit { .. } => Kind::ResourceExhausted,
            Self::Randomness(_) => Kind::Internal,
        }
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Limit { .. } => "TOO_MANY_QUERIES",
            Self::Randomness(_) => "NO_RANDOMNESS",
        }
    }
}

/// A query's token. It is valid until this is dropped.
#[derive(Debug)]
pub struct QueryToken {
    secret: Secret,
    hash: String,
    tokens: ByHash,
}

impl QueryTokens {
    /// For at most `limit` queries at a time.
    pub fn new(limit: usize) -> Self {
        Self {
            tokens: ByHash::default(),
            limit,
        }
    }

    /// A token with which a query reads as `identity` may, in answer to the request `request_id`.
    ///
    /// # Errors
    /// Too many queries are under way.
    pub fn mint(&self, identity: Identity, request_id: &str) -> Result<QueryToken, TooManyQueries> {
        let secret = mint(QUERY_PREFIX)?;
        let hash = hash(secret.expose());
        let mut tokens = lock(&self.tokens);
        if tokens.len() >= self.limit {
            return Err(TooManyQueries::Limit { limit: self.limit });
        }
        let request_id = request_id.to_owned();
        let asker = Asker {
            identity,
            request_id,
        };
        tokens.insert(hash.clone(), asker);
        Ok(QueryToken {
            secret,
            hash,
            tokens: Arc::clone(&self.tokens),
        })
    }

    /// On whose behalf the query with this token reads, if there is such a query.
    pub fn lookup(&self, token: &str) -> Option<Asker> {
        if !has_form(QUERY_PREFIX, token) {
            return None;
        }
        lock(&self.tokens).get(&hash(token)).cloned()
    }
}

impl QueryToken {
    /// The token, for the query service.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl Drop for QueryToken {
    fn drop(&mut self) {
        lock(&self.tokens).remove(&self.hash);
    }
}

fn lock(tokens: &ByHash) -> MutexGuard<'_, HashMap<String, Asker>> {
    tokens.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_as_long_as_its_query() {
        let tokens = QueryTokens::new(1);
        let token = tokens.mint(Identity::anonymous(), "r1").unwrap();
        let text = token.secret().expose().to_owned();
        let asker = tokens.lookup(&text).unwrap();
        assert_eq!(asker.identity, Identity::anonymous());
        assert_eq!(asker.request_id, "r1");
        assert_eq!(tokens.lookup("rat_query_"), None);
        let refused = tokens.mint(Identity::anonymous(), "").unwrap_err();
        assert_eq!(refused.reason(), "TOO_MANY_QUERIES");
        drop(token);
        assert_eq!(tokens.lookup(&text), None);
        assert!(tokens.mint(Identity::anonymous(), "").is_ok());
    }
}
