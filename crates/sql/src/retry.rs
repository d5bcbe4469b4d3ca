//! Transactions that lost a race begin anew, a few times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Error, Fault};

const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// An error that says whether the same operation may succeed when it begins anew.
pub trait Transient {
    /// Whether nothing took effect, and another attempt makes sense now.
    fn is_transient(&self) -> bool;
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Statement {
                fault: Fault::Transient,
                ..
            }
        )
    }
}

/// Calls `attempt` until it succeeds, fails for a reason that is not [`Transient`], or has failed
/// eight times; the pauses between grow to a quarter of a second.
///
/// One attempt is one whole transaction: `retry(|| self.try_something(argument))`.
///
/// # Errors
/// Whatever the last attempt failed with.
pub async fn retry<T, E, F, Fut>(mut attempt: F) -> Result<T, E>
where
    E: Transient,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_transient() => {
                tokio::time::sleep(jittered(pause)).await;
                pause *= 2;
            }
            other => return other,
        }
    }
    attempt().await
}

/// Between half of `pause` and all of it, so that those who collided do not meet again.
fn jittered(pause: Duration) -> Duration {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    pause / 2 + (pause / 2).mul_f64(f64::from(now.subsec_nanos() % 1000) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lost(bool);

    impl Transient for Lost {
        fn is_transient(&self) -> bool {
            self.0
        }
    }

    #[tokio::test]
    async fn a_lost_race_is_tried_again_a_bounded_number_of_times() {
        let mut calls = 0;
        let outcome: Result<(), Lost> = retry(|| {
            calls += 1;
            async { Err(Lost(true)) }
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(calls, ATTEMPTS);
    }

    #[tokio::test]
    async fn another_failure_is_final() {
        let mut calls = 0;
        let outcome: Result<(), Lost> = retry(|| {
            calls += 1;
            async { Err(Lost(false)) }
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(calls, 1);
    }
}
