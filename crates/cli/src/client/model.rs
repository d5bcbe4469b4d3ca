//! The API's JSON, as far as this program reads it. Unknown fields are ignored, so that an older
//! `rat` works with a newer ratd.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rat_types::{InvalidName, Phase, RunId, RunStatus, TableIdent};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::output::printable::printable;

/// One page of a list.
pub trait Page {
    /// What is listed.
    type Item;
    /// The field that the items are in.
    const FIELD: &str;
    /// The items of this page, and how many there are in all.
    fn into_parts(self) -> (Vec<Self::Item>, usize);
}

macro_rules! page {
    ($(#[$doc:meta])* $ty:ident, $field:ident: $item:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        pub struct $ty {
            /// Items of this page.
            pub $field: Vec<$item>,
            /// Number of items over all pages.
            #[serde(default)]
            pub total: usize,
        }

        impl Page for $ty {
            type Item = $item;
            const FIELD: &str = stringify!($field);
            fn into_parts(self) -> (Vec<$item>, usize) {
                let total = self.total.max(self.$field.len());
                (self.$field, total)
            }
        }
    };
}

mod access;

pub use access::{
    AuditEntry, AuditList, Features, Grant, GrantList, Me, Moved, Place, Plugin, PluginList,
    Reloaded, TransferList,
};

page!(
    /// `GET /namespaces`.
    NamespaceList, namespaces: Namespace
);
page!(
    /// `GET /pipelines`.
    PipelineList, pipelines: Pipeline
);
page!(
    /// `GET /runs`.
    RunList, runs: Run
);
page!(
    /// `GET /tables`.
    TableList, tables: TableEntry
);
page!(
    /// `GET /landing-zones`.
    ZoneList, zones: Zone
);
page!(
    /// `GET /landing-zones/{ns}/{name}/files`.
    ZoneFileList, files: ZoneFile
);
page!(
    /// `GET /files`.
    FileList, files: FileEntry
);

/// A namespace.
#[derive(Debug, Clone, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
}

/// Which pipelines a pipeline reads.
pub type Depends = Vec<String>;

/// A pipeline.
#[derive(Debug, Clone, Deserialize)]
pub struct Pipeline {
    /// Namespace.
    pub namespace: String,
    /// Layer.
    pub layer: String,
    /// Name.
    pub name: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Who may change it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Tables that its SQL refers to.
    #[serde(default)]
    pub depends_on: Depends,
    /// Hash over its sources.
    #[serde(default)]
    pub source_hash: Option<String>,
    /// When its row last changed.
    #[serde(default)]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Pipeline {
    /// The table that it writes, which is its identity.
    ///
    /// # Errors
    /// When the server sent a name that is none.
    pub fn ident(&self) -> Result<TableIdent, InvalidName> {
        format!("{}.{}.{}", self.namespace, self.layer, self.name).parse()
    }
}

/// Answer to `POST /runs` and to a cancellation.
#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    /// Id of the run.
    pub run_id: RunId,
    /// Its status.
    pub status: RunStatus,
}

/// Why a run failed: text, or text with a code.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum RunProblem {
    /// Only text.
    Text(String),
    /// Code and text.
    Coded {
        /// Stable code.
        code: String,
        /// For people.
        message: String,
    },
}

/// A run.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// Id.
    pub id: RunId,
    /// Namespace of its pipeline.
    #[serde(default)]
    pub namespace: String,
    /// Layer of its pipeline.
    #[serde(default)]
    pub layer: String,
    /// Name of its pipeline.
    #[serde(default)]
    pub pipeline: String,
    /// Status.
    pub status: RunStatus,
    /// What started it.
    #[serde(default)]
    pub trigger: String,
    /// Phase now executing, where ratd knows it.
    #[serde(default)]
    pub phase: Option<String>,
    /// When it began to execute.
    #[serde(default)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<DateTime<Utc>>,
    /// How long it executed.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// Rows that it wrote.
    #[serde(default)]
    pub rows_written: Option<u64>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<RunProblem>,
    /// Code of the failure, where it stands beside the text.
    #[serde(default)]
    pub error_code: Option<String>,
    /// Hash of the sources that it executed.
    #[serde(default)]
    pub source_hash: Option<String>,
    /// Phases that it has been through.
    #[serde(default)]
    pub phases: Option<Vec<Phase>>,
    /// When it was asked for.
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
}

impl Run {
    /// `namespace.layer.pipeline`.
    pub fn pipeline_name(&self) -> String {
        format!("{}.{}.{}", self.namespace, self.layer, self.pipeline)
    }

    /// Why it failed, in one line with its code.
    pub fn failure(&self) -> Option<String> {
        let (code, message) = match self.error.as_ref()? {
            RunProblem::Text(message) => (self.error_code.as_deref(), message),
            RunProblem::Coded { code, message } => (Some(code.as_str()), message),
        };
        let message = printable(message.clone());
        match (code, message.is_empty()) {
            (_, true) => code.map(str::to_owned),
            (Some(code), false) if !code.is_empty() => Some(format!("{message} ({code})")),
            _ => Some(message),
        }
    }
}

/// One line of a run's log.
#[derive(Debug, Clone, Deserialize)]
pub struct LogLine {
    /// Sequence number.
    #[serde(default)]
    pub seq: u64,
    /// When it was written.
    #[serde(default)]
    pub timestamp: Option<DateTime<Utc>>,
    /// Level.
    pub level: String,
    /// Text.
    #[serde(deserialize_with = "crate::output::printable::deserialize")]
    pub message: String,
}

/// `GET /runs/{id}/logs`.
#[derive(Debug, Clone, Deserialize)]
pub struct LogPage {
    /// Lines, oldest first.
    pub logs: Vec<LogLine>,
    /// Status of the run.
    pub status: RunStatus,
}

/// A column of a table or of an answer.
#[derive(Debug, Clone, Deserialize)]
pub struct ColumnInfo {
    /// Name.
    pub name: String,
    /// Type, for people.
    #[serde(default, rename = "type")]
    pub data_type: String,
    /// What it means.
    #[serde(default)]
    pub description: Option<String>,
}

/// Answer to `POST /query`. Cells stay the text that ratd sent, so that no digit is lost.
#[derive(Debug, Deserialize)]
pub struct QueryAnswer {
    /// Columns in order.
    pub columns: Vec<ColumnInfo>,
    /// Rows as objects.
    pub rows: Vec<BTreeMap<String, Box<RawValue>>>,
    /// Number of rows in the answer.
    #[serde(default)]
    pub total_rows: u64,
    /// Whether there were more.
    #[serde(default)]
    pub truncated: bool,
    /// How long it took.
    #[serde(default)]
    pub duration_ms: f64,
}

/// A table in a list.
#[derive(Debug, Clone, Deserialize)]
pub struct TableEntry {
    /// Namespace.
    pub namespace: String,
    /// Layer.
    pub layer: String,
    /// Name.
    pub name: String,
    /// Rows in its current snapshot.
    #[serde(default)]
    pub row_count: u64,
    /// Bytes of its data files.
    #[serde(default)]
    pub size_bytes: u64,
    /// What it holds.
    #[serde(default)]
    pub description: Option<String>,
}

/// A table with its columns.
#[derive(Debug, Clone, Deserialize)]
pub struct TableDetail {
    /// What the list says too.
    #[serde(flatten)]
    pub entry: TableEntry,
    /// Columns in order.
    #[serde(default)]
    pub columns: Vec<ColumnInfo>,
}

/// A landing zone.
#[derive(Debug, Clone, Deserialize)]
pub struct Zone {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What lands there.
    #[serde(default)]
    pub description: Option<String>,
    /// Number of files.
    #[serde(default)]
    pub file_count: u64,
    /// Their size.
    #[serde(default)]
    pub total_bytes: u64,
    /// When the zone last changed.
    #[serde(default)]
    pub updated_at: Option<DateTime<Utc>>,
}

/// A file in a landing zone.
#[derive(Debug, Clone, Deserialize)]
pub struct ZoneFile {
    /// Id, for deleting it.
    #[serde(default)]
    pub id: String,
    /// Path within the zone.
    pub filename: String,
    /// Size.
    #[serde(default)]
    pub size_bytes: u64,
    /// SHA-256 of its content in lower-case hex, where ratd knows it.
    #[serde(default)]
    pub hash: Option<String>,
    /// When it arrived.
    #[serde(default)]
    pub uploaded_at: Option<DateTime<Utc>>,
}

/// A source file in a list.
#[derive(Debug, Clone, Deserialize)]
pub struct FileEntry {
    /// `{ns}/pipelines/{layer}/{name}/…`.
    pub path: String,
    /// Size.
    #[serde(default)]
    pub size: u64,
}

/// A source file with its text.
#[derive(Debug, Clone, Deserialize)]
pub struct FileContent {
    /// The text.
    pub content: String,
}

/// `GET /health`.
#[derive(Debug, Clone, Deserialize)]
pub struct Health {
    /// `ok`, or what is wrong.
    pub status: String,
    /// Version of ratd.
    #[serde(default)]
    pub version: Option<String>,
    /// Status of each service.
    #[serde(default)]
    pub services: BTreeMap<String, String>,
    /// Status of each plugin.
    #[serde(default)]
    pub plugins: BTreeMap<String, String>,
}

/// `GET /health/ready`.
#[derive(Debug, Clone, Deserialize)]
pub struct Readiness {
    /// `ready` or `not_ready`.
    pub status: String,
    /// What was checked.
    #[serde(default)]
    pub checks: BTreeMap<String, serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_run_names_message_and_code_however_the_api_spells_it() {
        let base = r#"{"id":"019a0000-0000-7000-8000-000000000000","status":"failed""#;
        for (rest, expected) in [
            (r#","error":"no such table"}"#, Some("no such table")),
            (
                r#","error":"boom","error_code":"SQL_INVALID"}"#,
                Some("boom (SQL_INVALID)"),
            ),
            (
                r#","error":{"code":"CONFLICT","message":"main moved"}}"#,
                Some("main moved (CONFLICT)"),
            ),
            (r#","error":null}"#, None),
            ("}", None),
        ] {
            let run: Run = serde_json::from_str(&format!("{base}{rest}")).unwrap();
            assert_eq!(run.failure().as_deref(), expected, "{rest}");
        }
    }

    #[test]
    fn cells_keep_every_digit() {
        let text = r#"{"columns":[{"name":"a","type":"Decimal128(38, 10)"}],
            "rows":[{"a":1234567890123456789012345678.0123456789}]}"#;
        let answer: QueryAnswer = serde_json::from_str(text).unwrap();
        assert_eq!(
            answer.rows[0]["a"].get(),
            "1234567890123456789012345678.0123456789"
        );
    }
}
