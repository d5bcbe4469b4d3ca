//! Local files as Iceberg storage: atomic, durable, confined.
//!
//! The `iceberg` crate's own local storage writes in place and does not sync, so a crash can leave
//! half a manifest under its final name. Here every file appears complete or not at all (see
//! [`AtomicFile`]), and a file that exists is never overwritten: Iceberg's names are unique, so a
//! second file of one name is a bug that must not destroy the first.
//!
//! Deliberately absent: caching (the catalog caches parsed metadata, the kernel caches pages) and
//! permissions (the umask and a setgid folder decide).

mod atomic;
mod error;
mod folder;
mod location;
mod walk;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage,
    StorageConfig, StorageFactory,
};
use serde::{Deserialize, Serialize};

pub use atomic::{AtomicFile, Existing};
pub use error::{Error, Obstacle, cause, is_full, is_not_found};
pub use location::{LocationError, local_path, location_of};
pub use walk::{files_below, remove_unfinished};

use atomic::{blocking, create_folder, sync_folder};
use folder::Place;
use location::shorten;

/// Whole files are only read for metadata and manifests; a longer one is not one of these.
const MAX_WHOLE_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Access to every local file that the process may access.
pub fn file_io() -> FileIO {
    FileIOBuilder::new(Arc::new(LocalStorage { root: None })).build()
}

/// Access to the files under `root` alone; links that lead out of it are not followed.
pub fn file_io_within(root: &Path) -> FileIO {
    FileIOBuilder::new(Arc::new(LocalStorage {
        root: Some(root.to_owned()),
    }))
    .build()
}

/// Opens the file `relative` below the folder `root`, without following a link on the way from
/// there. Blocks.
///
/// # Errors
/// The path climbs, something else stands in its place, or it cannot be opened.
pub fn open_within(root: &Path, relative: &str) -> Result<File, Error> {
    Place::within(root, relative)?.open()
}

/// Removes the file `relative` below the folder `root`, if it is there, without following a link
/// on the way from there.
///
/// # Errors
/// The path climbs, something else stands in the way, or it cannot be removed.
pub async fn remove_within(root: &Path, relative: &str) -> Result<(), Error> {
    let place = Place::within(root, relative)?;
    blocking(move || place.remove()).await
}

/// Removes the folder `location` if it is empty. Answers whether it is gone.
///
/// # Errors
/// The location is not a local one.
pub async fn remove_empty_folder(location: &str) -> Result<bool, Error> {
    let folder = local_path(location)?;
    blocking(move || match fs::remove_dir(&folder) {
        Ok(()) => Ok(true),
        Err(error) => Ok(error.kind() == io::ErrorKind::NotFound),
    })
    .await
}

/// Storage and its own factory: it has no state but the folder it is confined to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LocalStorage {
    root: Option<PathBuf>,
}

impl LocalStorage {
    /// The path of `location`, by its text within the root.
    fn resolve(&self, location: &str) -> Result<PathBuf, Error> {
        let path = local_path(location)?;
        match &self.root {
            Some(root) if !path.starts_with(root) => Err(LocationError::OutsideRoot {
                location: shorten(location),
                root: root.clone(),
            }
            .into()),
            _ => Ok(path),
        }
    }

    /// A check to be made on the blocking thread: that no link leads `path` out of the root.
    fn confine(root: Option<&Path>, path: &Path) -> Result<(), Error> {
        let Some(root) = root else { return Ok(()) };
        let real = |path: &Path| fs::canonicalize(path).map_err(Error::io("resolve", path));
        if real(path)?.starts_with(real(root)?) {
            return Ok(());
        }
        let location = shorten(&path.display().to_string());
        Err(LocationError::OutsideRoot {
            location,
            root: root.to_owned(),
        }
        .into())
    }

    /// Runs `work` on the path of `location`, which has to exist.
    async fn with_existing<T: Send + 'static>(
        &self,
        location: &str,
        work: impl FnOnce(PathBuf) -> Result<T, Error> + Send + 'static,
    ) -> iceberg::Result<T> {
        let path = self.resolve(location)?;
        let root = self.root.clone();
        let result = blocking(move || {
            Self::confine(root.as_deref(), &path)?;
            work(path)
        });
        Ok(result.await?)
    }

    /// The destination of a new file, whose folder exists and lies within the root.
    async fn destination(&self, location: &str) -> iceberg::Result<PathBuf> {
        let path = self.resolve(location)?;
        if let Some(root) = self.root.clone() {
            let folder = path.parent().unwrap_or(&path).to_owned();
            blocking(move || {
                create_folder(&folder)?;
                Self::confine(Some(&root), &folder)
            })
            .await?;
        }
        Ok(path)
    }
}

#[async_trait]
#[typetag::serde(name = "rat-local")]
impl Storage for LocalStorage {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        let path = self.resolve(path)?;
        Ok(blocking(move || fs::exists(&path).map_err(Error::io("look for", &path))).await?)
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        self.with_existing(path, |path| {
            let metadata = fs::metadata(&path).map_err(Error::io("look at", &path))?;
            Ok(FileMetadata {
                size: metadata.len(),
            })
        })
        .await
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        self.with_existing(path, |path| {
            let size = fs::metadata(&path).map_err(Error::io("open", &path))?.len();
            if size > MAX_WHOLE_FILE_BYTES {
                return Err(Error::TooLarge {
                    path,
                    size,
                    limit: MAX_WHOLE_FILE_BYTES,
                });
            }
            fs::read(&path)
                .map(Bytes::from)
                .map_err(Error::io("read", &path))
        })
        .await
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        let reader = self.with_existing(path, |path| {
            let file = File::open(&path).map_err(Error::io("open", &path))?;
            let size = file.metadata().map_err(Error::io("look at", &path))?.len();
            Ok(LocalRead {
                opened: Arc::new(Opened { file, path, size }),
            })
        });
        Ok(Box::new(reader.await?))
    }

    async fn write(&self, path: &str, bs: Bytes) -> iceberg::Result<()> {
        let mut file = AtomicFile::new(self.destination(path).await?);
        file.write(bs).await?;
        file.commit(Existing::Keep).await?;
        Ok(())
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        let path = self.destination(path).await?;
        Ok(Box::new(LocalWrite {
            file: Some(AtomicFile::new(&path)),
            path,
        }))
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        let path = self.resolve(path)?;
        let root = self.root.clone();
        let work = move || {
            if !fs::exists(&path).map_err(Error::io("look for", &path))? {
                return Ok(());
            }
            Self::confine(root.as_deref(), &path)?;
            tolerate_missing(fs::remove_file(&path)).map_err(Error::io("delete", &path))
        };
        Ok(blocking(work).await?)
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        let path = self.resolve(path)?;
        let root = self.root.clone();
        let work = move || {
            // By its own type: a link to a folder is left alone, as is a file.
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
            if !is_folder {
                return Ok(());
            }
            Self::confine(root.as_deref(), &path)?;
            tolerate_missing(fs::remove_dir_all(&path)).map_err(Error::io("delete", &path))?;
            match path.parent() {
                Some(above) if above.is_dir() => sync_folder(above),
                _ => Ok(()),
            }
        };
        Ok(blocking(work).await?)
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

#[typetag::serde(name = "rat-local")]
impl StorageFactory for LocalStorage {
    fn build(&self, _config: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

fn tolerate_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

struct Opened {
    file: File,
    path: PathBuf,
    size: u64,
}

/// Reads by position, so that many ranges of one file can be read at once.
struct LocalRead {
    opened: Arc<Opened>,
}

#[async_trait]
impl FileRead for LocalRead {
    async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
        let opened = self.opened.clone();
        let work = move || {
            let Opened { file, path, size } = &*opened;
            let Range { start, end } = range;
            let length = end
                .checked_sub(start)
                .filter(|_| end <= *size)
                .and_then(|length| usize::try_from(length).ok())
                .ok_or_else(|| Error::OutOfRange {
                    path: path.clone(),
                    start,
                    end,
                    size: *size,
                })?;
            let mut buffer = vec![0; length];
            file.read_exact_at(&mut buffer, start)
                .map_err(Error::io("read", path))?;
            Ok(Bytes::from(buffer))
        };
        Ok(blocking(work).await?)
    }
}

struct LocalWrite {
    file: Option<AtomicFile>,
    path: PathBuf,
}

#[async_trait]
impl FileWrite for LocalWrite {
    async fn write(&mut self, bs: Bytes) -> iceberg::Result<()> {
        let Some(file) = &mut self.file else {
            return Err(Error::Closed {
                path: self.path.clone(),
            }
            .into());
        };
        if let Err(error) = file.write(bs).await {
            // What was written so far is incomplete: nobody may commit it.
            self.file = None;
            return Err(error.into());
        }
        Ok(())
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        let Some(file) = self.file.take() else {
            return Err(Error::Closed {
                path: self.path.clone(),
            }
            .into());
        };
        file.commit(Existing::Keep).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
