//! Tokens that the auth plugin has verified, for as long as it allows and a minute at most.
//!
//! The tokens themselves are not kept, only their SHA-256. How many there are is bounded by the
//! bytes that they take.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use moka::future::Cache;
use rat_types::{Identity, Secret};
use sha2::{Digest as _, Sha256};

/// What an entry takes besides its texts.
const OVERHEAD: usize = 256;

/// A verified token.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) identity: Identity,
    /// Number of the plugin that verified it.
    plugin: u64,
    /// When the plugin was asked.
    at: Instant,
    /// Seconds since 1970 at which the plugin's word ends.
    expires_at: u64,
}

/// The tokens.
#[derive(Debug)]
pub(crate) struct TokenCache {
    entries: Cache<[u8; 32], Arc<Known>>,
    limit: Duration,
}

impl TokenCache {
    /// Believes nothing for longer than `limit`, and takes `bytes` at most.
    pub(crate) fn new(limit: Duration, bytes: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, known: &Arc<Known>| weight(&known.identity))
            .time_to_live(limit)
            .build();
        Self { entries, limit }
    }

    /// Who presents `token`, if `plugin` said so a short while ago, and how long ago that was.
    pub(crate) async fn get(&self, plugin: u64, token: &Secret) -> Option<(Arc<Known>, Duration)> {
        let found = self.entries.get(&digest(token)).await?;
        let age = found.at.elapsed();
        let believed =
            found.plugin == plugin && age < self.limit && seconds_now() < found.expires_at;
        believed.then_some((found, age))
    }

    /// Remembers what `plugin` said before it was asked again: since `asked`, until `expires_at`.
    pub(crate) async fn put(
        &self,
        (plugin, token): (u64, &Secret),
        identity: &Identity,
        asked: Instant,
        expires_at: i64,
    ) {
        let expires_at = u64::try_from(expires_at).unwrap_or(0);
        if expires_at <= seconds_now() {
            return;
        }
        let known = Known {
            identity: identity.clone(),
            plugin,
            at: asked,
            expires_at,
        };
        self.entries.insert(digest(token), Arc::new(known)).await;
    }
}

fn weight(identity: &Identity) -> u32 {
    let roles: usize = identity.roles.iter().map(|role| role.len() + 24).sum();
    let texts = identity.user_id.len() + identity.email.len() + identity.display_name.len();
    u32::try_from(OVERHEAD + roles + texts).unwrap_or(u32::MAX)
}

fn digest(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose().as_bytes()).into()
}

fn seconds_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 believes nothing.
    now.map_or(u64::MAX, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: i64 = 32_503_680_000;

    fn token(text: &str) -> Secret {
        Secret::new(text)
    }

    #[tokio::test]
    async fn a_token_is_known_to_the_plugin_that_verified_it_alone() {
        let cache = TokenCache::new(Duration::from_secs(60), 1 << 20);
        let identity = Identity::anonymous();
        let good = token("good");
        cache.put((1, &good), &identity, Instant::now(), FAR).await;
        let (found, _) = cache.get(1, &good).await.unwrap();
        assert_eq!(found.identity, identity);
        assert!(cache.get(2, &good).await.is_none());
        assert!(cache.get(1, &token("other")).await.is_none());
    }

    #[tokio::test]
    async fn nothing_is_believed_beyond_its_time() {
        let identity = Identity::anonymous();
        let (good, now) = (token("good"), Instant::now());
        let cache = TokenCache::new(Duration::from_secs(60), 1 << 20);
        let past = i64::try_from(seconds_now()).unwrap();
        for never in [0, -1, i64::MIN, past] {
            cache.put((1, &good), &identity, now, never).await;
            assert!(cache.get(1, &good).await.is_none(), "{never}");
        }
        // The minute counts from when the plugin was asked, not from when it answered.
        let Some(long_ago) = now.checked_sub(Duration::from_secs(61)) else {
            return;
        };
        cache.put((1, &good), &identity, long_ago, FAR).await;
        assert!(cache.get(1, &good).await.is_none());
    }

    #[tokio::test]
    async fn many_tokens_take_bounded_memory() {
        let cache = TokenCache::new(Duration::from_secs(60), 100 * 1024);
        let mut identity = Identity::anonymous();
        identity.display_name = "x".repeat(1000);
        for number in 0..5000 {
            let token = token(&number.to_string());
            cache.put((1, &token), &identity, Instant::now(), FAR).await;
        }
        cache.entries.run_pending_tasks().await;
        assert!(cache.entries.weighted_size() <= 100 * 1024);
        assert!(cache.entries.entry_count() < 100);
    }
}
