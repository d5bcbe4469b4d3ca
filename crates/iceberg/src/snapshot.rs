//! Snapshots of our own making: append and overwrite on any branch, and an append moved onto
//! another head.
//!
//! The `iceberg` crate writes manifests and manifest lists but composes only one kind of snapshot
//! out of them (a fast append on `main`). [`SnapshotProducer`] composes the others. What comes out
//! is an ordinary Iceberg snapshot for an `add-snapshot` update; nothing is committed here, and
//! the producer knows no catalog.
//!
//! Only tables of format version 2 are written: version 1 has no sequence numbers to keep a
//! deletion apart from a later re-addition, and version 3 wants row lineage. Both are read.
//! Manifests are not merged; compaction is somebody else's work.

mod inspect;
mod lookup;
mod producer;
mod summary;

pub use inspect::{
    AddedPaths, TableFile, added_files, added_paths, live_entries, live_files, manifests, totals,
};
pub use lookup::check_writable;
pub use producer::SnapshotProducer;
pub use summary::{READ_SNAPSHOT_PROPERTY, RUN_ID_PROPERTY, Totals};

use iceberg::spec::FormatVersion;
use rat_types::Kind;

use crate::storage::is_full;

/// A snapshot could not be read or composed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table would have to be upgraded (or was written by a newer engine) before it can be
    /// written; reading it works.
    #[error("tables of format version {version} are not written, only version 2")]
    FormatVersion {
        /// The table's version.
        version: FormatVersion,
    },
    /// Rows would have to be split by partition value first, which no strategy does yet.
    #[error("the table is partitioned (spec {spec_id}), and unpartitioned files cannot be added")]
    Partitioned {
        /// Id of the table's default partition spec.
        spec_id: i32,
    },
    /// The snapshot was expired or never belonged to the table: load the table again.
    #[error("the table has no snapshot {snapshot_id}")]
    UnknownSnapshot {
        /// The id looked for.
        snapshot_id: i64,
    },
    /// The table's metadata is damaged: a manifest names a spec that does not exist.
    #[error("the table has no partition spec {spec_id}")]
    UnknownSpec {
        /// The id looked for.
        spec_id: i32,
    },
    /// Only appends can be moved onto another head; everything else has to be computed again.
    #[error("snapshot {snapshot_id} is {operation:?}, not an append, and cannot be rebased")]
    NotAnAppend {
        /// The snapshot that is in the way.
        snapshot_id: i64,
        /// Its operation.
        operation: &'static str,
    },
    /// Somebody tries to make the table point at files that are not its own.
    #[error("{path:?} is not inside the table's folder {folder:?}")]
    OutsideFolder {
        /// The path.
        path: String,
        /// The only folder it may be in.
        folder: String,
    },
    /// The manifest list is missing or damaged.
    #[error("failed to read manifest list {path:?}")]
    ReadManifestList {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// The manifest is missing or damaged.
    #[error("failed to read manifest {path:?}")]
    ReadManifest {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// Nothing refers to the manifest yet, so the table is as it was.
    #[error("failed to write manifest {path:?}")]
    WriteManifest {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// Nothing refers to the manifest list yet, so the table is as it was.
    #[error("failed to write manifest list {path:?}")]
    WriteManifestList {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<iceberg::Error>,
    },
}

impl Error {
    /// The sort of failure.
    pub fn kind(&self) -> Kind {
        match self {
            Self::FormatVersion { .. } | Self::Partitioned { .. } => Kind::NotImplemented,
            Self::UnknownSnapshot { .. } | Self::NotAnAppend { .. } => Kind::Conflict,
            Self::OutsideFolder { .. } => Kind::PermissionDenied,
            Self::WriteManifest { source, .. } | Self::WriteManifestList { source, .. }
                if is_full(source) =>
            {
                Kind::ResourceExhausted
            }
            Self::UnknownSpec { .. }
            | Self::ReadManifestList { .. }
            | Self::ReadManifest { .. }
            | Self::WriteManifest { .. }
            | Self::WriteManifestList { .. } => Kind::Internal,
        }
    }

    /// The stable name of the failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::FormatVersion { .. } => "TABLE_FORMAT_VERSION",
            Self::Partitioned { .. } => "TABLE_PARTITIONED",
            Self::UnknownSnapshot { .. } => "SNAPSHOT_UNKNOWN",
            Self::UnknownSpec { .. } => "PARTITION_SPEC_UNKNOWN",
            Self::NotAnAppend { .. } => "SNAPSHOT_NOT_AN_APPEND",
            Self::OutsideFolder { .. } => "PATH_OUTSIDE_TABLE",
            Self::ReadManifestList { .. } | Self::ReadManifest { .. } => "MANIFEST_UNREADABLE",
            Self::WriteManifest { source, .. } | Self::WriteManifestList { source, .. } => {
                match is_full(source) {
                    true => "STORAGE_FULL",
                    false => "MANIFEST_NOT_WRITTEN",
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
