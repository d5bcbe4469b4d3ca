//! Values of query parameters whose own parsers say what went wrong inside them, and not what a
//! caller should have sent.

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer, Error};

/// Characters of a refused value that are shown.
const SHOWN: usize = 64;

/// A number of things, 0 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) DateTime<Utc>);

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

fn refused<E: Error>(value: &str, rule: &str) -> E {
    let shown: String = value.chars().take(SHOWN).collect();
    E::custom(format!("must be {rule}, not {shown:?}"))
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(count) if digits => Ok(Self(count)),
            // However many there are, it is more than that.
            Err(_) if digits => Ok(Self(u64::MAX)),
            _ => Err(refused(&text, "a whole number from 0 up, such as 50")),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let rule = "a time in RFC 3339, such as 2026-01-31T08:00:00Z";
        let time = text.parse().map_err(|_| refused(&text, rule))?;
        Ok(Self(time))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(refused(&text, "true or false")),
        }
    }
}
