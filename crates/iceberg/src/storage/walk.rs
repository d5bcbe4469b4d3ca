//! Going through folders: what lies in one, and what killed processes left.
//!
//! Links are not followed, so no walk leaves the folder that it began in, nor goes round in
//! circles.

use std::fs::{self, DirEntry, FileType};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::atomic::{blocking, is_temporary};
use super::error::Error;
use super::location::{local_path, location_of};

/// Levels of folders that are gone down. Partitions are folders, and nothing of ours is deeper.
const DEEPEST: usize = 32;

/// Locations of the files in the folder `location` and in those below it; none if it does not
/// exist.
///
/// # Errors
/// A folder cannot be read.
pub async fn files_below(location: &str) -> Result<Vec<String>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![(local_path(location)?, 0)];
    while let Some((folder, depth)) = folders.pop() {
        for (path, sort) in blocking(move || list(&folder)).await? {
            if sort.is_dir() && depth < DEEPEST {
                folders.push((path, depth + 1));
            } else if sort.is_file() && path.to_str().is_some() {
                // Names that are not UTF-8 cannot stand in Iceberg metadata.
                files.push(location_of(&path));
            }
        }
    }
    Ok(files)
}

/// Removes the unfinished files of [`super::AtomicFile`] below `root` that nobody has written to
/// for `age`: their writers were killed. Answers how many there were. What cannot be read or
/// removed is logged and left.
///
/// Goes folder by folder, so dropping this ends it soon.
pub async fn remove_unfinished(root: &Path, age: Duration) -> u64 {
    let mut removed = 0;
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let (path, Some(before)) = (folder.clone(), SystemTime::now().checked_sub(age)) else {
            return removed;
        };
        match blocking(move || remove_from(&path, before)).await {
            Ok((count, below)) => {
                removed += count;
                if depth < DEEPEST {
                    folders.extend(below.into_iter().map(|folder| (folder, depth + 1)));
                }
            }
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "failed to look for unfinished files");
            }
        }
    }
    removed
}

/// Answers how many files were removed, and the folders in `folder`.
fn remove_from(folder: &Path, before: SystemTime) -> Result<(u64, Vec<PathBuf>), Error> {
    let (mut removed, mut below) = (0, Vec::new());
    for (path, sort) in list(folder)? {
        if sort.is_dir() {
            below.push(path);
        } else if sort.is_file() && is_temporary(&path) && is_older(&path, before) {
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "failed to remove an unfinished file");
                }
            }
        }
    }
    Ok((removed, below))
}

fn is_older(path: &Path, before: SystemTime) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified < before)
}

/// What is in `folder`, and of what sort; nothing if it does not exist.
fn list(folder: &Path) -> Result<Vec<(PathBuf, FileType)>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(Error::io("list", folder))?,
    };
    let sorted = |entry: DirEntry| Ok((entry.path(), entry.file_type()?));
    entries
        .map(|entry| entry.and_then(sorted).map_err(Error::io("list", folder)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_found_in_every_folder_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["one", "a/two", "a/b/three"] {
            fs::write(root.join(name), "").unwrap();
        }
        fs::write(folder.path().join("outside"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("link")).unwrap();
        let mut found = files_below(&location_of(&root)).await.unwrap();
        found.sort();
        let expected = ["a/b/three", "a/two", "one"].map(|name| location_of(&root.join(name)));
        assert_eq!(found, expected);
        let missing = location_of(&root.join("missing"));
        assert_eq!(files_below(&missing).await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn only_old_unfinished_files_are_removed() {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("shop/gold/daily/data");
        fs::create_dir_all(&deep).unwrap();
        let old = SystemTime::now() - 2 * DAY;
        let unfinished = ".0190a0000000700080000000000000ff.tmp";
        for (name, modified) in [
            (unfinished, old),
            (".0190a0000000700080000000000000fe.tmp", SystemTime::now()),
            ("notes.tmp", old),
            (".editor.tmp", old),
            ("0190a0000000700080000000000000ff.tmp", old),
            ("old.parquet", old),
        ] {
            let file = fs::File::create(deep.join(name)).unwrap();
            file.set_modified(modified).unwrap();
        }
        assert_eq!(remove_unfinished(folder.path(), DAY).await, 1);
        assert!(!deep.join(unfinished).exists());
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 5);
        assert_eq!(remove_unfinished(&folder.path().join("none"), DAY).await, 0);
    }
}
