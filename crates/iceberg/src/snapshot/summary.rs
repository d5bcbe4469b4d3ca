//! The `added-*`, `deleted-*` and `total-*` figures of a snapshot's summary.

use std::collections::HashMap;

use iceberg::spec::{DataContentType, DataFile, Summary};

/// Summary property that names the run which made a snapshot. Publishing finds by it, after a
/// crash, what it has done already.
pub const RUN_ID_PROPERTY: &str = "rat.run-id";

/// Summary property with the id of the snapshot of the same table that the rows were computed from,
/// or `none` for a table without rows. Such rows are right on top of that state and of no other.
pub const READ_SNAPSHOT_PROPERTY: &str = "rat.read-snapshot-id";

/// Sums over a set of files: everything live in a snapshot, or what it added or dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows of the data files. Rows that delete files take away are not subtracted.
    pub records: u64,
    /// Number of data files.
    pub data_files: u64,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// Number of delete files.
    pub delete_files: u64,
    /// Entries of position delete files.
    pub position_deletes: u64,
    /// Entries of equality delete files.
    pub equality_deletes: u64,
}

impl Totals {
    /// The totals that a summary states, when it states the ones that matter.
    pub fn from_summary(summary: &Summary) -> Option<Self> {
        let figure = |key: &str| summary.additional_properties.get(key)?.parse::<u64>().ok();
        Some(Self {
            records: figure("total-records")?,
            data_files: figure("total-data-files")?,
            size_bytes: figure("total-files-size")?,
            delete_files: figure("total-delete-files").unwrap_or_default(),
            position_deletes: figure("total-position-deletes").unwrap_or_default(),
            equality_deletes: figure("total-equality-deletes").unwrap_or_default(),
        })
    }

    /// Counts one more file in.
    pub fn add(&mut self, file: &DataFile) {
        self.size_bytes += file.file_size_in_bytes();
        match file.content_type() {
            DataContentType::Data => {
                self.data_files += 1;
                self.records += file.record_count();
            }
            DataContentType::PositionDeletes => {
                self.delete_files += 1;
                self.position_deletes += file.record_count();
            }
            DataContentType::EqualityDeletes => {
                self.delete_files += 1;
                self.equality_deletes += file.record_count();
            }
        }
    }

    /// Whether delete files take rows away, so that `records` is only an upper bound.
    pub fn has_deletes(&self) -> bool {
        self.delete_files > 0
    }

    /// These figures and those of `more`.
    pub(super) fn plus(self, more: Self) -> Self {
        Self {
            records: self.records + more.records,
            data_files: self.data_files + more.data_files,
            size_bytes: self.size_bytes + more.size_bytes,
            delete_files: self.delete_files + more.delete_files,
            position_deletes: self.position_deletes + more.position_deletes,
            equality_deletes: self.equality_deletes + more.equality_deletes,
        }
    }

    /// Writes the figures as totals.
    pub(super) fn write_totals(&self, properties: &mut HashMap<String, String>) {
        let figures = [
            ("total-records", self.records),
            ("total-data-files", self.data_files),
            ("total-files-size", self.size_bytes),
            ("total-delete-files", self.delete_files),
            ("total-position-deletes", self.position_deletes),
            ("total-equality-deletes", self.equality_deletes),
        ];
        for (key, value) in figures {
            properties.insert(key.to_owned(), value.to_string());
        }
    }

    /// Writes the figures, where they are not zero, as what was added.
    pub(super) fn write_added(&self, properties: &mut HashMap<String, String>) {
        let figures = [
            ("added-records", self.records),
            ("added-data-files", self.data_files),
            ("added-files-size", self.size_bytes),
        ];
        write_positive(&figures, properties);
    }

    /// Writes the figures, where they are not zero, as what was dropped.
    pub(super) fn write_deleted(&self, properties: &mut HashMap<String, String>) {
        let figures = [
            ("deleted-records", self.records),
            ("deleted-data-files", self.data_files),
            ("removed-files-size", self.size_bytes),
            ("removed-delete-files", self.delete_files),
            ("removed-position-deletes", self.position_deletes),
            ("removed-equality-deletes", self.equality_deletes),
        ];
        write_positive(&figures, properties);
    }
}

fn write_positive(figures: &[(&str, u64)], properties: &mut HashMap<String, String>) {
    for (key, value) in figures.iter().filter(|(_, value)| *value > 0) {
        properties.insert((*key).to_owned(), value.to_string());
    }
}
