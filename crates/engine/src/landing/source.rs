//! One landing file, which must stay what it was when the run was submitted.
//!
//! A file is opened several times: for its columns, for its rows, and to find the line of a
//! mistake. A file that somebody replaces or rewrites in between would be read with the columns
//! of another one, so every open compares it with the first one and with the frozen size, and the
//! end of the file is believed only if the file has not been rewritten while it was read.

use std::error::Error as _;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rat_iceberg::storage::{self, open_within};

use crate::LandingFileError;

/// A file to read.
#[derive(Debug, Clone)]
pub(super) struct SourceFile {
    /// Zone and path, for messages.
    pub(super) name: String,
    /// Where it lies.
    pub(super) path: PathBuf,
    /// The lake's folder. No link below it is followed: it might lead to files that the run has no
    /// business with, on behalf of whoever put it there.
    root: Option<PathBuf>,
    /// Size in bytes when the run was submitted.
    pub(super) size: u64,
    /// What has been found out about it, by whoever opened it.
    known: Arc<Known>,
}

#[derive(Debug, Default)]
struct Known {
    identity: OnceLock<Identity>,
    fault: OnceLock<LandingFileError>,
}

/// What tells a file from the one that replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl SourceFile {
    pub(super) fn new(name: String, path: PathBuf, size: u64) -> Self {
        Self {
            name,
            path,
            root: None,
            size,
            known: Arc::default(),
        }
    }

    /// The same file, below the folder `root`.
    pub(super) fn below(self, root: PathBuf) -> Self {
        Self {
            root: Some(root),
            ..self
        }
    }

    /// Opens the file, if it still is the one that the run was submitted with.
    pub(super) fn open(&self) -> Result<Opened, LandingFileError> {
        let file = self
            .open_file()
            .map_err(|error| self.error(None, format!("the file cannot be opened: {error}")))?;
        let opened = Opened {
            file,
            source: self.clone(),
        };
        opened.check()?;
        Ok(opened)
    }

    fn open_file(&self) -> Result<File, String> {
        let Some(root) = &self.root else {
            return File::open(&self.path).map_err(|error| error.to_string());
        };
        let path = self.path.strip_prefix(root).ok().and_then(Path::to_str);
        open_within(root, path.unwrap_or_default()).map_err(|error| match &error {
            storage::Error::Obstructed { by, .. } => format!("a {by} is in its place"),
            error => error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string),
        })
    }

    /// A mistake in the file.
    ///
    /// A parser reports what a reader below it found out in words of its own, and a file that
    /// has been replaced seems to have all sorts of mistakes: the cause goes before the effect.
    pub(super) fn error(&self, line: Option<u64>, message: impl Into<String>) -> LandingFileError {
        if let Some(fault) = self.known.fault.get() {
            return fault.clone();
        }
        if self.is_another_file() {
            return self.changed();
        }
        LandingFileError {
            file: self.name.clone(),
            line,
            message: message.into(),
            changed: false,
        }
    }

    /// Whether a reader has found a fault.
    pub(super) fn is_faulty(&self) -> bool {
        self.known.fault.get().is_some()
    }

    /// Remembers the first fault that a reader finds, and makes it fit for `Read`.
    pub(super) fn fault(&self, fault: LandingFileError) -> io::Error {
        let fault = self.known.fault.get_or_init(|| fault);
        io::Error::other(fault.clone())
    }

    fn changed(&self) -> LandingFileError {
        LandingFileError {
            file: self.name.clone(),
            line: None,
            message: "the file was changed, replaced or deleted after the run was submitted; run the pipeline again".to_owned(),
            changed: true,
        }
    }

    fn is_another_file(&self) -> bool {
        let Some(first) = self.known.identity.get() else {
            return false;
        };
        std::fs::metadata(&self.path).map_or(true, |found| Identity::of(&found) != *first)
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    source: SourceFile,
}

impl Opened {
    /// The descriptor.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Fails if the file is not what it was at first, or is being rewritten.
    pub(super) fn check(&self) -> Result<(), LandingFileError> {
        let source = &self.source;
        let metadata = self
            .file
            .metadata()
            .map_err(|error| source.error(None, format!("the file cannot be read: {error}")))?;
        let found = Identity::of(&metadata);
        let first = source.known.identity.get_or_init(|| found);
        if found == *first && found.size == source.size {
            return Ok(());
        }
        Err(source.changed())
    }
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.check().map_err(|fault| self.source.fault(fault))?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn source(folder: &tempfile::TempDir, text: &str) -> SourceFile {
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        SourceFile::new("a.csv".to_owned(), path, text.len() as u64)
    }

    #[test]
    fn a_file_of_another_size_than_the_frozen_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = source(&folder, "id\n1\n");
        std::fs::write(&file.path, "id\n1\n2\n").unwrap();
        assert!(file.open().unwrap_err().changed);
    }

    #[test]
    fn a_file_that_is_replaced_by_one_of_the_same_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = source(&folder, "id\n1\n");
        drop(file.open().unwrap());
        std::fs::write(folder.path().join("new"), "id\n2\n").unwrap();
        std::fs::rename(folder.path().join("new"), &file.path).unwrap();
        assert!(file.open().unwrap_err().changed);
        assert!(file.error(Some(1), "a consequence").changed);
    }

    #[test]
    fn a_file_that_is_deleted_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = source(&folder, "id\n1\n");
        drop(file.open().unwrap());
        std::fs::remove_file(&file.path).unwrap();
        assert!(file.open().unwrap_err().changed);
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = source(&folder, "id\n1\n");
        let mut opened = file.open().unwrap();
        let mut writer = File::options().append(true).open(&file.path).unwrap();
        writer.write_all(b"2\n").unwrap();
        let mut text = String::new();
        assert!(opened.read_to_string(&mut text).is_err());
        assert!(file.error(None, "a consequence").changed);
    }
}
