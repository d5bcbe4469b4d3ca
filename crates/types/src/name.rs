//! Names and ids, parsed once at the edge and valid from then on.
//!
//! Every name matches `^[a-z][a-z0-9_-]*$`, so it can be a path segment, part of a table name and
//! (quoted) an SQL identifier without escaping.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A name that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {value:?}: {rule}")]
pub struct InvalidName {
    /// What was being named, for example `namespace`.
    pub what: &'static str,
    /// The refused text, cut at 160 characters.
    pub value: String,
    /// What a valid one looks like.
    pub rule: String,
}

impl InvalidName {
    fn new(what: &'static str, value: &str, rule: impl Into<String>) -> Self {
        Self {
            what,
            value: value.chars().take(160).collect(),
            rule: rule.into(),
        }
    }
}

fn check(what: &'static str, value: &str, max: usize) -> Result<(), InvalidName> {
    let mut bytes = value.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    let rest =
        bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if first && rest && value.len() <= max {
        return Ok(());
    }
    let rule = format!(
        "it must start with a letter, contain only a-z, 0-9, '_' and '-', and have at most {max} characters"
    );
    Err(InvalidName::new(what, value, rule))
}

macro_rules! string_type {
    ($ty:ty) => {
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl From<$ty> for String {
            fn from(value: $ty) -> Self {
                value.as_str().to_owned()
            }
        }
        impl TryFrom<String> for $ty {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                value.parse()
            }
        }
    };
}

macro_rules! name_type {
    ($(#[$doc:meta])* $ty:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $ty(String);

        impl $ty {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $ty {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                check($what, value, $max)?;
                Ok(Self(value.to_owned()))
            }
        }

        string_type!($ty);
    };
}

name_type!(
    /// A namespace: the unit of ownership, at most 63 characters.
    NamespaceName,
    "namespace",
    63
);
name_type!(
    /// A table, which is also the name of the pipeline that writes it, at most 128 characters.
    TableName,
    "table name",
    128
);
name_type!(
    /// A landing zone, at most 128 characters.
    ZoneName,
    "landing zone",
    128
);

/// The layers of the medallion architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// As it came in.
    Bronze,
    /// Cleaned and joined.
    Silver,
    /// Ready for people.
    Gold,
}

impl Layer {
    /// All layers, in order.
    pub const ALL: [Self; 3] = [Self::Bronze, Self::Silver, Self::Gold];

    /// The layer as text.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Bronze => "bronze",
            Self::Silver => "silver",
            Self::Gold => "gold",
        }
    }
}

impl FromStr for Layer {
    type Err = InvalidName;
    fn from_str(value: &str) -> Result<Self, InvalidName> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.as_str() == value)
            .ok_or_else(|| InvalidName::new("layer", value, "it must be bronze, silver or gold"))
    }
}

string_type!(Layer);

/// The full name of a table, `namespace.layer.name`, which is also the identity of the pipeline
/// that writes it: one pipeline writes exactly one table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableIdent {
    /// Namespace.
    pub namespace: NamespaceName,
    /// Layer.
    pub layer: Layer,
    /// Name.
    pub name: TableName,
}

impl TableIdent {
    /// Parses `layer.name` (in `namespace`) or `namespace.layer.name`.
    ///
    /// # Errors
    /// Any other number of parts, or a part that is not a valid name.
    pub fn parse_in(namespace: &NamespaceName, text: &str) -> Result<Self, InvalidName> {
        match text.split('.').collect::<Vec<_>>()[..] {
            [layer, name] => Ok(Self {
                namespace: namespace.clone(),
                layer: layer.parse()?,
                name: name.parse()?,
            }),
            _ => text.parse(),
        }
    }

    /// The table as a quoted SQL identifier, `"namespace"."layer"."name"`.
    pub fn to_sql(&self) -> String {
        format!(
            "\"{}\".\"{}\".\"{}\"",
            self.namespace, self.layer, self.name
        )
    }

    /// The folder of the table relative to the lake's root: `namespace/layer/name`.
    pub fn folder(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.layer, self.name)
    }
}

impl fmt::Display for TableIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.namespace, self.layer, self.name))
    }
}

impl FromStr for TableIdent {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.split('.').collect::<Vec<_>>()[..] {
            [namespace, layer, name] => Ok(Self {
                namespace: namespace.parse()?,
                layer: layer.parse()?,
                name: name.parse()?,
            }),
            _ => Err(InvalidName::new(
                "table",
                text,
                "write it as namespace.layer.name",
            )),
        }
    }
}

/// A landing zone within its namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ZoneIdent {
    /// Namespace.
    pub namespace: NamespaceName,
    /// Zone.
    pub name: ZoneName,
}

impl fmt::Display for ZoneIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

/// Id of a run: a UUIDv7, so that ids sort by creation time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// The id for a run that is created at `at`; unique, not guessable from the time alone.
    pub fn new_at(at: DateTime<Utc>) -> Self {
        let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
        let timestamp =
            uuid::Timestamp::from_unix(uuid::NoContext, seconds, at.timestamp_subsec_nanos());
        Self(Uuid::new_v7(timestamp))
    }

    /// When the run was created, if the id tells: a UUID of another version does not.
    pub fn created_at(&self) -> Option<DateTime<Utc>> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
    }

    /// Name of the Iceberg branch that the run writes: `run-<id>`.
    pub fn branch(&self) -> String {
        format!("run-{}", self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| InvalidName::new("run id", text, "it must be a UUID"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        for good in ["a", "a1", "line-item", "line_item", &"x".repeat(63)] {
            assert!(good.parse::<NamespaceName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "1a",
            "-a",
            "_a",
            "a.b",
            "a/b",
            "..",
            "é",
            "a b",
            "a\0",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<NamespaceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_two_part_name_is_looked_up_in_the_given_namespace() {
        let here: NamespaceName = "shop".parse().unwrap();
        let short = TableIdent::parse_in(&here, "gold.daily").unwrap();
        assert_eq!(short.to_string(), "shop.gold.daily");
        assert_eq!(
            TableIdent::parse_in(&here, "other.gold.daily")
                .unwrap()
                .namespace
                .as_str(),
            "other"
        );
        assert!(TableIdent::parse_in(&here, "daily").is_err());
        assert!(TableIdent::parse_in(&here, "platinum.daily").is_err());
    }

    #[test]
    fn run_ids_sort_by_creation_time() {
        let early = RunId::new_at(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let late = RunId::new_at(DateTime::from_timestamp(1_700_000_001, 0).unwrap());
        assert!(early.to_string() < late.to_string());
    }
}
