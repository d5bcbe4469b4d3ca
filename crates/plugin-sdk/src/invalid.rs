//! What is wrong with a configuration.

use std::fmt;

/// How many problems are printed; the rest is counted.
const MAX_SHOWN: usize = 100;

/// A configuration that cannot be worked with: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    problems: Vec<Problem>,
    /// Whether something is only missing, which ratd may send.
    is_incomplete: bool,
}

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which source it is in; empty where that is not known.
    pub origin: String,
    /// The key, as in `keycloak.url`; empty where the whole is meant.
    pub path: String,
    /// What is wrong, without the value.
    pub message: String,
}

impl Invalid {
    /// One mistake, in the value of `path`. The message must not hold the value: it may be a
    /// secret, and the message is printed.
    pub fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            problems: vec![Problem {
                origin: String::new(),
                path: path.into(),
                message: message.to_string(),
            }],
            is_incomplete: false,
        }
    }

    /// Something is missing without which the plugin cannot work, and which ratd may send: where it
    /// can, the plugin waits for it.
    pub fn missing(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            is_incomplete: true,
            ..Self::new(path, message)
        }
    }

    /// This and another's mistakes.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.problems.extend(other.problems);
        self.is_incomplete &= other.is_incomplete;
        self
    }

    /// `value`, unless there are mistakes.
    ///
    /// # Errors
    /// All of `mistakes`.
    pub fn unless<T>(mistakes: impl IntoIterator<Item = Self>, value: T) -> Result<T, Self> {
        match mistakes.into_iter().reduce(Self::and) {
            Some(invalid) => Err(invalid),
            None => Ok(value),
        }
    }

    /// Each mistake.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(crate) fn from_problems(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self {
            problems,
            is_incomplete: false,
        })
    }

    pub(crate) fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    pub(crate) fn map(self, change: impl FnMut(Problem) -> Problem) -> Self {
        Self {
            problems: self.problems.into_iter().map(change).collect(),
            ..self
        }
    }

    /// In one line, for a status.
    pub(crate) fn in_one_line(&self) -> String {
        self.to_string().replace('\n', "; ")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.origin, &self.path] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().take(MAX_SHOWN).enumerate() {
            f.write_str(if position == 0 { "" } else { "\n" })?;
            problem.fmt(f)?;
        }
        match self.problems.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for Invalid {}
