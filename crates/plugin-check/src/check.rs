//! What a check is, and all of them.

use std::sync::LazyLock;

use futures::future::BoxFuture;
use rat_config::Slot;

use crate::checks;
use crate::judge::Judge;
use crate::session::Failure;
use crate::wire::NoAnswer;

/// What it means that a check does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The plugin breaks the contract.
    Required,
    /// The plugin lacks something that is good to have and that plugins on the SDK have.
    Advised,
}

impl Level {
    /// The level as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Advised => "advised",
        }
    }
}

/// A check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Stable name, for example `health.status-word`.
    pub id: &'static str,
    /// What it means that it does not pass.
    pub level: Level,
    /// The slot that it is about; none where it is about every plugin.
    pub slot: Option<Slot>,
    /// The sentence of the contract.
    pub sentence: &'static str,
    /// Where the sentence stands.
    pub source: &'static str,
    /// Whether the plugin has to prove afterwards that it still answers.
    pub(crate) is_nasty: bool,
    pub(crate) probe: Probe,
}

/// How a check is done.
pub(crate) type Probe = for<'a> fn(&'a Judge) -> BoxFuture<'a, Outcome>;

/// What a check found out: what was seen, or why it does not pass.
pub(crate) type Outcome = Result<String, Miss>;

/// Why a check does not pass.
#[derive(Debug)]
pub(crate) enum Miss {
    /// The sentence does not hold.
    Broken(String),
    /// It holds, and something is worth a look all the same.
    Doubt(String),
    /// The plugin no longer answers, which breaks the contract whatever the check is about.
    Gone(String),
    /// Nobody knows.
    NotChecked(String),
}

impl From<NoAnswer> for Miss {
    fn from(error: NoAnswer) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Self {
        Self::Broken(failure.to_string())
    }
}

/// Ends a check: the sentence does not hold.
pub(crate) fn broken<T>(text: impl Into<String>) -> Result<T, Miss> {
    Err(Miss::Broken(text.into()))
}

/// Ends a check: it could not be done.
pub(crate) fn not_checked<T>(text: impl Into<String>) -> Result<T, Miss> {
    Err(Miss::NotChecked(text.into()))
}

impl Check {
    /// A check of what the contract requires.
    pub(crate) const fn required(id: &'static str, probe: Probe, sentence: &'static str) -> Self {
        Self {
            id,
            level: Level::Required,
            slot: None,
            sentence,
            source: "docs/reference/plugins.md",
            is_nasty: false,
            probe,
        }
    }

    /// A check of what is good to have.
    pub(crate) const fn advised(id: &'static str, probe: Probe, sentence: &'static str) -> Self {
        let mut check = Self::required(id, probe, sentence);
        check.level = Level::Advised;
        check
    }

    /// The same, for plugins of one slot.
    pub(crate) const fn of(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }

    /// The same, after which the plugin has to prove that it still answers.
    pub(crate) const fn nasty(mut self) -> Self {
        self.is_nasty = true;
        self
    }

    /// The same, with where its sentence stands.
    pub(crate) const fn from(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// Every check, in the order in which they are done: what is gentle comes first.
pub static CHECKS: LazyLock<Vec<Check>> = LazyLock::new(|| {
    [
        checks::health::CHECKS,
        checks::slot::CHECKS,
        checks::auth::CHECKS,
        checks::executor::CHECKS,
        checks::sharing::CHECKS,
        checks::enforcement::CHECKS,
        checks::cloud::CHECKS,
        checks::optional::CHECKS,
        checks::standard::CHECKS,
        checks::message::CHECKS,
        checks::load::CHECKS,
        checks::restart::CHECKS,
    ]
    .concat()
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_in_kebab_case() {
        let mut seen = BTreeSet::new();
        for check in CHECKS.iter() {
            assert!(seen.insert(check.id), "{} twice", check.id);
            let is_plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
            assert!(
                check.id.contains('.') && check.id.chars().all(is_plain),
                "{}",
                check.id
            );
            assert!(check.sentence.ends_with('.'), "{}", check.id);
        }
    }
}
