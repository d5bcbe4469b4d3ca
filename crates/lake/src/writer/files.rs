//! Names of data files, and their deletion when nobody wants them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use iceberg::spec::PartitionKey;
use iceberg::writer::file_writer::location_generator::{FileNameGenerator, LocationGenerator};
use rat_iceberg::storage::local_path;
use uuid::Uuid;

type Locations = Arc<Mutex<Vec<String>>>;

/// Makes the names `<folder>/<uuid>-<number>.parquet` of one writer, and records them.
#[derive(Debug, Clone)]
pub(super) struct Names {
    folder: Arc<str>,
    writer: Uuid,
    number: Arc<AtomicU64>,
    record: Locations,
}

impl Names {
    pub(super) fn new(folder: String) -> Self {
        Self {
            folder: folder.into(),
            writer: Uuid::new_v4(),
            number: Arc::new(AtomicU64::new(0)),
            record: Locations::default(),
        }
    }

    /// The same names, recorded in `written`.
    pub(super) fn recorded_by(&self, written: &Written) -> Self {
        Self {
            record: written.locations.clone(),
            ..self.clone()
        }
    }
}

impl FileNameGenerator for Names {
    fn generate_file_name(&self) -> String {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number:05}.parquet", self.writer)
    }
}

impl LocationGenerator for Names {
    fn generate_location(&self, _partition: Option<&PartitionKey>, name: &str) -> String {
        let location = format!("{}/{name}", self.folder);
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.push(location.clone());
        location
    }
}

/// Locations that were given to files, some of which may not exist. Dropping this deletes those
/// which do.
///
/// Each task of a writer owns one. When it is aborted, its files go once it has really stopped,
/// so none can appear afterwards.
#[derive(Debug, Default)]
pub(super) struct Written {
    locations: Locations,
}

impl Written {
    /// Takes over the files of `other`.
    pub(super) fn absorb(&mut self, other: Self) {
        let theirs = other.take();
        self.lock().extend(theirs);
    }

    /// Leaves the files alone from now on.
    pub(super) fn keep(&mut self) {
        self.take();
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.locations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for location in self.take() {
            let removed = match local_path(&location) {
                Ok(path) => std::fs::remove_file(path),
                Err(error) => Err(std::io::Error::other(error)),
            };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(location, %error, "failed to delete an unused data file");
                }
                _ => {}
            }
        }
    }
}
