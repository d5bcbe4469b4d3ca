//! The folder for spilled data of one process.
//!
//! What a process that was killed leaves behind would stay forever: files for spilled data are
//! deleted by whoever made them. So each process has a folder of its own, whose lock the system
//! lets go when the process ends in whatever way, and whoever starts next deletes the folders of
//! those that have ended.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = "rat-spill-";
const LOCK: &str = "lock";
/// Names that may be taken.
const ATTEMPTS: usize = 100;

static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// A folder, which is deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct SpillFolder {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl SpillFolder {
    /// A new folder in `parent`, which is made if it is missing.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        for _ in 0..ATTEMPTS {
            if let Some(folder) = Self::attempt(parent)? {
                folder.sweep(parent);
                return Ok(folder);
            }
        }
        let message = format!("no name is free in {}", parent.display());
        Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// `None`: the name is taken, or another process has taken the folder for one that was left.
    fn attempt(parent: &Path) -> io::Result<Option<Self>> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            result => result?,
        }
        let lock = match File::create_new(path.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let found = fs::metadata(path.join(LOCK));
        let is_there = found.is_ok_and(|found| lock.metadata().is_ok_and(|own| same(&own, &found)));
        Ok(is_there.then_some(Self { path, _lock: lock }))
    }

    /// Deletes the folders of processes that have ended. One that cannot be deleted is in nobody's
    /// way.
    fn sweep(&self, parent: &Path) {
        let (Ok(own), Ok(entries)) = (fs::metadata(&self.path), fs::read_dir(parent)) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path == self.path || !name.to_string_lossy().starts_with(PREFIX) {
                continue;
            }
            // The parent may be everybody's.
            let is_ours = fs::symlink_metadata(&path)
                .is_ok_and(|found| found.is_dir() && found.uid() == own.uid());
            if is_ours {
                delete_left(&path);
            }
        }
    }
}

fn same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

fn delete_left(path: &Path) {
    match File::open(path.join(LOCK)) {
        Ok(lock) if lock.try_lock().is_ok() => {
            let _ = fs::remove_dir_all(path);
        }
        // Somebody's who lives.
        Ok(_) => {}
        // Nothing else was made yet.
        Err(_) => {
            let _ = fs::remove_dir(path);
        }
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        // The next one to start tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_processes_that_ended_are_deleted_and_others_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = SpillFolder::create(parent.path()).unwrap();
        fs::write(living.path().join("rows"), "x").unwrap();
        let left = parent.path().join("rat-spill-1-0");
        fs::create_dir_all(left.join("datafusion-x")).unwrap();
        fs::write(left.join("datafusion-x/rows"), "x").unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let unfinished = parent.path().join("rat-spill-2-0");
        fs::create_dir(&unfinished).unwrap();
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();
        let link = parent.path().join("rat-spill-3-0");
        std::os::unix::fs::symlink(&other, &link).unwrap();

        let next = SpillFolder::create(parent.path()).unwrap();
        assert!(!left.exists() && !unfinished.exists());
        assert!(living.path().join("rows").exists());
        assert!(other.exists() && link.exists());

        let path = next.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        drop(next);
        assert!(!path.exists());
    }
}
