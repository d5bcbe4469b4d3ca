//! How times stand in answers: RFC 3339 with microseconds and `Z`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// A time in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl From<DateTime<Utc>> for Time {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_second_has_its_microseconds_too() {
        let time = Time("2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(
            serde_json::to_string(&time).unwrap(),
            "\"2026-01-01T00:00:00.000000Z\""
        );
    }
}
