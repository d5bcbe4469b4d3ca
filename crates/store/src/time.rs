//! The clock, in the precision that both databases keep.

use chrono::{DateTime, SubsecRound, Utc};

/// Now, in microseconds.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
