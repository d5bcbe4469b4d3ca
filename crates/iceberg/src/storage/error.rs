//! What can go wrong with a file, and how it travels through `iceberg::Error`.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use rat_types::Kind;

use super::location::LocationError;

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The location cannot be used; nothing was touched.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// A file of that name exists and was left as it is.
    #[error("{path} exists already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Something else stands where the file, or a folder on the way to it, should be. It was left
    /// as it is.
    #[error("{path} is a {by}")]
    Obstructed {
        /// What stands in the way.
        path: PathBuf,
        /// What it is.
        by: Obstacle,
    },
    /// The file is longer than what may be held in memory at once.
    #[error("{path} has {size} bytes, more than the {limit} that are read at once")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The range is not within the file, which therefore is not what its metadata says.
    #[error("bytes {start}..{end} are not within {path}, which has {size}")]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
        /// Size of the file.
        size: u64,
    },
    /// The file was closed before; what was written after that is lost.
    #[error("{path} is closed")]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("failed to {operation} {path}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What stands in the way of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// A file, where a folder should be.
    File,
    /// A folder, where the file should be.
    Folder,
    /// A symbolic link, which is not followed.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Link => "link",
            Self::Other => "special file",
        })
    }
}

impl Error {
    /// Whether a file or folder is not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Location(error) => error.kind(),
            Self::Exists { .. } => Kind::AlreadyExists,
            Self::Obstructed { .. } => Kind::Conflict,
            Self::TooLarge { .. } => Kind::PayloadTooLarge,
            Self::OutOfRange { .. } => Kind::InvalidArgument,
            Self::Closed { .. } => Kind::Internal,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Kind::NotFound,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Kind::ResourceExhausted
                }
                _ => Kind::Internal,
            },
        }
    }

    /// Stable name of the failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Location(error) => error.reason(),
            Self::Exists { .. } => "FILE_EXISTS",
            Self::Obstructed { .. } => "FILE_OBSTRUCTED",
            Self::TooLarge { .. } => "FILE_TOO_LARGE",
            Self::OutOfRange { .. } => "FILE_RANGE",
            Self::Closed { .. } => "FILE_CLOSED",
            Self::Io { .. } => "FILE_IO",
        }
    }
}

impl From<Error> for iceberg::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Location(_) | Error::OutOfRange { .. } => iceberg::ErrorKind::DataInvalid,
            Error::Exists { .. }
            | Error::Obstructed { .. }
            | Error::TooLarge { .. }
            | Error::Closed { .. }
            | Error::Io { .. } => iceberg::ErrorKind::Unexpected,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

/// The storage error inside an error of the `iceberg` crate, if that is what it is about.
pub fn cause(error: &iceberg::Error) -> Option<&Error> {
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        current = error.source();
    }
    None
}

/// Whether `error` says that a file does not exist.
pub fn is_not_found(error: &iceberg::Error) -> bool {
    cause(error).is_some_and(|error| error.kind() == Kind::NotFound)
}

/// Whether `error` says that there is no room left for what was to be written.
pub fn is_full(error: &iceberg::Error) -> bool {
    cause(error).is_some_and(|error| error.kind() == Kind::ResourceExhausted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_survives_the_way_through_iceberg() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let error = iceberg::Error::from(Error::io("open", Path::new("/a"))(missing));
        assert!(is_not_found(&error));
        let outer =
            iceberg::Error::new(iceberg::ErrorKind::Unexpected, "reading").with_source(error);
        assert!(is_not_found(&outer));
        assert!(!is_not_found(&iceberg::Error::new(
            iceberg::ErrorKind::Unexpected,
            "other"
        )));
    }
}
