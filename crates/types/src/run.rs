//! A run: what is asked, and what became of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{RunFailure, RunId, Secret, TableIdent, ZoneIdent};

macro_rules! text_enum {
    ($(#[$doc:meta])* $ty:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $ty {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $ty {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in JSON and in the database.
            pub fn as_str(&self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $ty {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $ty {
            type Err = crate::InvalidName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(crate::InvalidName {
                        what: $what,
                        value: text.chars().take(160).collect(),
                        rule: format!("it must be one of {}", [$($text),+].join(", ")),
                    }),
                }
            }
        }
    };
}

text_enum!(
    /// State of a run in the platform database.
    RunStatus, "run status" {
        /// Waiting for its turn: for the table's writer before it, or for the executor.
        Pending = "pending",
        /// Taken by an executor, or being published.
        Running = "running",
        /// Published.
        Success = "success",
        /// Nothing was published; see the error.
        Failed = "failed",
        /// Nothing was published, because somebody said so.
        Cancelled = "cancelled",
    }
);

impl RunStatus {
    /// Whether the run has ended.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }
}

text_enum!(
    /// State of a run as an executor sees it. `Succeeded` means that the branch is complete and
    /// its tests passed; publishing is ratd's part.
    RunState, "run state" {
        /// In the executor's queue.
        Queued = "queued",
        /// Executing.
        Running = "running",
        /// Ended well.
        Succeeded = "succeeded",
        /// Ended badly.
        Failed = "failed",
        /// Ended by a cancellation.
        Cancelled = "cancelled",
    }
);

impl RunState {
    /// Whether the run has ended.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

text_enum!(
    /// How a run's result becomes the table's new content.
    MergeStrategy, "merge strategy" {
        /// The result replaces the table; an empty result empties it.
        FullRefresh = "full_refresh",
        /// The result is added to the table.
        AppendOnly = "append_only",
    }
);

text_enum!(
    /// What a failing quality test does to its run.
    Severity, "severity" {
        /// Reported, published all the same.
        Warn = "warn",
        /// The run is discarded.
        Error = "error",
    }
);

text_enum!(
    /// Verdict of a quality test.
    QualityStatus, "quality status" {
        /// No row was returned.
        Pass = "pass",
        /// Offending rows were returned.
        Fail = "fail",
        /// The query could not be executed.
        Error = "error",
    }
);

text_enum!(
    /// Level of a log entry.
    LogLevel, "log level" {
        /// For the pipeline's author, when something is odd.
        Debug = "debug",
        /// Progress.
        Info = "info",
        /// Something to look at.
        Warn = "warn",
        /// Why it failed.
        Error = "error",
    }
);

/// A file in a landing zone, frozen when the run was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandingFile {
    /// The zone.
    pub zone: ZoneIdent,
    /// Path within the zone, with `/`.
    pub path: String,
    /// Absolute URI (`file:///…`).
    pub location: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// All that an executor needs in order to execute one run. The runner reads no source from
/// storage and no setting from ratd: what is not in here does not influence the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Id of the run.
    pub run_id: RunId,
    /// The pipeline, and the table it writes.
    pub pipeline: TableIdent,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// What `run_started_at` renders to.
    pub run_started_at: DateTime<Utc>,
    /// Source files by path within the pipeline's folder.
    pub sources: BTreeMap<String, String>,
    /// SHA-256 over the sources, lower-case hex.
    pub source_hash: String,
    /// Every file that `landing_zone()` may name.
    pub landing_files: Vec<LandingFile>,
    /// ratd's internal listener: `unix:/path` or `http://host:port`.
    pub control_plane: String,
    /// Bearer token for catalog and callback, good for this run alone.
    pub token: Secret,
}

/// One phase of a run and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// `queue`, `render`, `plan`, `write`, `commit`, `quality`, `publish`.
    pub name: String,
    /// Duration in microseconds.
    pub duration_us: u64,
}

/// Result of one quality test on the run's own branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualityResult {
    /// Name of the test: its file name without `.sql`.
    pub name: String,
    /// Severity.
    pub severity: Severity,
    /// Verdict.
    pub status: QualityStatus,
    /// Number of offending rows.
    pub violations: u64,
    /// Duration in microseconds.
    pub duration_us: u64,
    /// The test's description, or the error's text.
    pub message: String,
    /// Up to three offending rows as JSON objects.
    pub samples: Vec<String>,
}

/// What became of a run, as its executor reports it: the body of the callback and the result
/// file of `rat-runner once`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// Id of the run.
    pub run_id: RunId,
    /// `succeeded`, `failed` or `cancelled`.
    pub state: RunState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RunFailure>,
    /// Rows that this run wrote.
    pub rows_written: u64,
    /// Bytes of data files that this run wrote.
    pub bytes_written: u64,
    /// Head of the run's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<i64>,
    /// Phases in order.
    pub phases: Vec<Phase>,
    /// Results of the quality tests.
    pub quality: Vec<QualityResult>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

impl RunOutcome {
    /// The outcome of a run that wrote nothing, at `finished_at`.
    pub fn without_rows(
        run_id: RunId,
        state: RunState,
        failure: Option<RunFailure>,
        finished_at: DateTime<Utc>,
    ) -> Self {
        Self {
            run_id,
            state,
            failure,
            rows_written: 0,
            bytes_written: 0,
            snapshot_id: None,
            phases: Vec::new(),
            quality: Vec::new(),
            finished_at,
        }
    }
}

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Sequence number within the run, from 1.
    pub seq: u64,
    /// When it was written.
    #[serde(rename = "timestamp")]
    pub at: DateTime<Utc>,
    /// Level.
    pub level: LogLevel,
    /// Text.
    pub message: String,
}
