//! Everything ratd remembers: namespaces, pipelines and their source files, runs and their logs,
//! landing zones, plugins, the catalog's table pointers and settings, on SQLite or PostgreSQL.
//!
//! All SQL of ratd stands in this crate, one text per query for both databases; `rat-sql` runs it.
//! [`Store`] hands out one small handle per subject (`store.runs().get(id)`); handles are free to
//! make and hold nothing.
//!
//! What to expect everywhere:
//! - `get` answers `None` for a thing that does not exist; a method that *changes* a named thing
//!   answers [`Error::NotFound`]. Compare-and-set methods answer `false` when the thing was not in
//!   the expected state, which is an answer and not an error.
//! - Times are set here, in microseconds, because that is what both databases keep.
//! - No method keeps a transaction open across calls: what must be atomic is one method.
//!
//! The crate deliberately knows no policy (who may do what, when a run starts) and touches no file
//! of the lake.

mod audit_log;
mod error;
mod files;
mod migrations;
mod namespaces;
mod owners;
mod page;
mod pipelines;
mod plugins;
mod quality;
mod run_logs;
mod runs;
mod settings;
mod source_hash;
mod store;
mod table_metadata;
mod tables;
mod time;
mod zones;

pub use audit_log::{AuditFilter, AuditLog, AuditRecord};
pub use error::Error;
pub use files::{File, FileRecord, Files};
pub use migrations::migrations;
pub use namespaces::{NamespaceRecord, Namespaces};
pub use owners::{Owned, Owners};
pub use page::{DEFAULT_LIMIT, MAX_LIMIT, Page, Paging};
pub use pipelines::{
    NewPipeline, Only, PipelineFilter, PipelineKey, PipelineRecord, PipelineUpdate, Pipelines,
};
pub use plugins::{NewPlugin, PluginHealth, PluginRecord, PluginStatus, Plugins};
pub use quality::Quality;
pub use run_logs::RunLogs;
pub use runs::{Cancellation, LastLine, NewRun, RunEnd, RunFilter, RunRecord, RunStart, Runs};
pub use settings::Settings;
pub use source_hash::source_hash;
pub use store::Store;
pub use table_metadata::{TableMetadata, TableMetadataRecord};
pub use tables::{StagedTable, TablePointer, Tables};
pub use zones::{NewZone, NewZoneFile, ZoneFileRecord, ZoneRecord, ZoneUpdate, Zones};
