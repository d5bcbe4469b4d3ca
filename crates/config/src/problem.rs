//! What is wrong with the settings, and where.

use std::fmt;

use rat_types::Kind;

/// How many problems are printed; the rest is counted.
const MAX_SHOWN: usize = 100;

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// A key of a mapping.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
}

/// The way to a value from the root of the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(Vec<Segment>);

impl Path {
    /// The path of a setting as it is written in texts: `storage.url`.
    pub(crate) fn dotted(text: &str) -> Self {
        Self(
            text.split('.')
                .map(|key| Segment::Key(key.to_owned()))
                .collect(),
        )
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        self.join(Segment::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.join(Segment::Index(index))
    }

    pub(crate) fn join(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The path of the first `length` steps.
    pub(crate) fn prefix(&self, length: usize) -> Self {
        Self(self.0.iter().take(length).cloned().collect())
    }

    /// The path of what this is in.
    pub(crate) fn parent(&self) -> Self {
        self.prefix(self.0.len().saturating_sub(1))
    }

    /// Whether this is `other` or lies within it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    f.write_str(if position == 0 { "" } else { "." })?;
                    let plain = |char: char| char.is_ascii_alphanumeric() || "_-".contains(char);
                    if !key.is_empty() && key.len() <= 64 && key.chars().all(plain) {
                        f.write_str(key)?;
                    } else {
                        f.write_str(&crate::text::quoted(key))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A place in a text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// Where a problem comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The settings file.
    File {
        /// The name under which the text was loaded.
        name: String,
        /// Where in the text; absent where the problem concerns the file as a whole.
        position: Option<Position>,
    },
    /// An environment variable.
    Environment(String),
    /// The built-in defaults together with what was set.
    Settings,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                name,
                position: Some(Position { line, column }),
            } => {
                write!(f, "{name}:{line}:{column}")
            }
            Self::File {
                name,
                position: None,
            } => f.write_str(name),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Settings => f.write_str("settings"),
        }
    }
}

/// One mistake: displayed as `rat.yaml:12:5: storage.url: …` or `environment RAT_X: …`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it was made.
    pub origin: Origin,
    /// The setting, as in `storage.url`; empty where no single one is concerned.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        let named_by_variable = matches!(self.origin, Origin::Environment(_));
        if !self.path.is_empty() && !named_by_variable {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with the settings: the file's mistakes in the file's order, then
/// the environment's. Displays one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts `problems`; `None` where there is none.
    pub(crate) fn collect(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort();
        problems.dedup();
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// For a refusal that nobody explained. It would be a fault of this crate.
    pub(crate) fn unexplained() -> Self {
        let message = "refused for a reason that was not recorded".to_owned();
        Self(vec![Problem {
            origin: Origin::Settings,
            path: String::new(),
            message,
        }])
    }

    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// What sort of failure this is: always the caller's input.
    pub fn kind(&self) -> Kind {
        Kind::InvalidArgument
    }

    /// The stable code of this failure.
    pub fn reason(&self) -> &'static str {
        "CONFIGURATION_INVALID"
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().take(MAX_SHOWN).enumerate() {
            f.write_str(if position == 0 { "" } else { "\n" })?;
            problem.fmt(f)?;
        }
        match self.0.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for Problems {}
