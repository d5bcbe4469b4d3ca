//! Bearer tokens of runs and queries.
//!
//! A token is a name and 256 random bits. Only its SHA-256 is kept, and looking a hash up needs
//! no constant-time comparison: whoever can measure how far a hash matches still has to find a
//! text with that hash.

mod query;
mod run;

use rand::TryRngCore;
use rand::rngs::OsRng;
use rat_types::Secret;
use sha2::{Digest, Sha256};

pub use query::{Asker, QueryToken, QueryTokens, TooManyQueries};
pub use run::RunTokens;

const RUN_PREFIX: &str = "rat_run_";
const QUERY_PREFIX: &str = "rat_query_";
const TOKEN_BYTES: usize = 32;

/// The system has no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("failed to read random numbers from the system")]
pub struct NoRandomness(#[source] rand::rand_core::OsError);

/// A new token for a run. Its hash goes to the run's row, the token to the executor.
pub(crate) fn mint_run_token() -> Result<Secret, NoRandomness> {
    mint(RUN_PREFIX)
}

fn mint(prefix: &str) -> Result<Secret, NoRandomness> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(NoRandomness)?;
    Ok(Secret::new(format!("{prefix}{}", hex::encode(bytes))))
}

/// What is kept of a token: SHA-256 in lower-case hex.
pub(crate) fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Whether the text could be a token with this prefix: everything else is not worth a lookup.
fn has_form(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        digits.len() == 2 * TOKEN_BYTES
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_their_form_and_differ() {
        let (one, other) = (mint_run_token().unwrap(), mint_run_token().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert!(has_form(RUN_PREFIX, one.expose()));
        assert!(!has_form(QUERY_PREFIX, one.expose()));
        assert!(!has_form(RUN_PREFIX, &one.expose()[..71]));
        assert!(!has_form(RUN_PREFIX, &one.expose().to_uppercase()));
        assert_eq!(hash("").len(), 64);
    }
}
