//! What was found out.

use std::time::Duration;

use rat_config::Slot;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::check::{Check, Level};

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The sentence holds.
    Pass,
    /// The plugin breaks the contract.
    Fail,
    /// Worth a look.
    Warn,
    /// Nobody knows; the detail says why.
    NotChecked,
}

impl Verdict {
    /// The verdict for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Warn => "warn",
            Self::NotChecked => "not checked",
        }
    }
}

/// The result of one check.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What became of it.
    pub verdict: Verdict,
    /// What was seen, or what to mend.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Finding", 8)?;
        out.serialize_field("id", self.check.id)?;
        out.serialize_field("level", self.check.level.as_str())?;
        out.serialize_field("slot", &self.check.slot.map(Slot::as_str))?;
        out.serialize_field("verdict", &self.verdict)?;
        out.serialize_field("detail", &self.detail)?;
        out.serialize_field("duration_ms", &(self.took.as_micros() as f64 / 1_000.0))?;
        out.serialize_field("sentence", self.check.sentence)?;
        out.serialize_field("source", self.check.source)?;
        out.end()
    }
}

/// How many of each verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Checks that passed.
    pub passed: usize,
    /// Breaches of the contract.
    pub failed: usize,
    /// Things worth a look.
    pub warnings: usize,
    /// Checks that were not done.
    pub not_checked: usize,
}

/// All that was found out about a plugin.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where the plugin is.
    pub address: String,
    /// What it calls itself; null where it does not say.
    pub name: Option<String>,
    /// Its version; null where it does not say.
    pub version: Option<String>,
    /// The slots it was judged for.
    pub slots: Vec<&'static str>,
    /// How many of each verdict.
    pub summary: Summary,
    /// The checks, in the order in which they were done.
    pub checks: Vec<Finding>,
}

impl Report {
    /// Whether nothing failed; `strict` counts warnings as failures.
    pub fn is_success(&self, strict: bool) -> bool {
        self.summary.failed == 0 && !(strict && self.summary.warnings > 0)
    }

    /// The result of a check.
    pub fn finding(&self, id: &str) -> Option<&Finding> {
        self.checks.iter().find(|finding| finding.check.id == id)
    }

    pub(crate) fn summarise(findings: &[Finding]) -> Summary {
        let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
        Summary {
            passed: count(Verdict::Pass),
            failed: count(Verdict::Fail),
            warnings: count(Verdict::Warn),
            not_checked: count(Verdict::NotChecked),
        }
    }
}

/// What a check that does not pass counts as.
pub(crate) fn weight(level: Level) -> Verdict {
    match level {
        Level::Required => Verdict::Fail,
        Level::Advised => Verdict::Warn,
    }
}
