//! What is wrong with a pipeline, all of it at once and each with its place.

use std::fmt;

use rat_types::Kind;

/// What part of a pipeline a [`Problem`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Files, settings, annotations.
    Definition,
    /// The syntax of a template.
    Template,
    /// The syntax of what a template renders to.
    Sql,
}

/// One thing that is wrong, or odd, in a pipeline's source files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File, relative to the pipeline's folder.
    pub file: String,
    /// Line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
    /// What it is about.
    pub topic: Topic,
}

impl Problem {
    pub(crate) fn new(file: &str, line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            message: message.into(),
            topic: Topic::Definition,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{}: {}", self.file, line, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// Everything that is wrong with a pipeline; never empty. Displays one problem a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.to_text())]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    fn to_text(&self) -> String {
        self.0
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Always the caller's mistake.
    pub fn kind(&self) -> Kind {
        Kind::InvalidArgument
    }

    /// `TEMPLATE_INVALID` when only templates are wrong, else `PIPELINE_INVALID`.
    pub fn reason(&self) -> &'static str {
        let templates_only = self
            .0
            .iter()
            .all(|problem| problem.topic == Topic::Template);
        if templates_only {
            "TEMPLATE_INVALID"
        } else {
            "PIPELINE_INVALID"
        }
    }
}
