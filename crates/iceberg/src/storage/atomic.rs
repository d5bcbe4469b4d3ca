//! Files that appear complete or not at all.
//!
//! A file is written under a temporary name in the folder where it will live, synced, given its
//! name, and then the folder is synced: after a power cut there is either the whole file or none.
//! Giving the name is a hard link, because a link never replaces what is there; replacing is a
//! rename and has to be asked for. Whoever drops an [`AtomicFile`] without committing leaves
//! nothing behind; a killed process may leave one `.….tmp` file, which no reader ever looks at and
//! [`super::remove_unfinished`] removes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::Error;
use super::folder::{Folder, Missing, Place, temporary_name};
use super::location::LocationError;

/// Collected before a thread is asked to write, so that small chunks do not cost a hand-over each.
const BUFFER_BYTES: usize = 256 * 1024;

const TEMPORARY_SUFFIX: &str = ".tmp";

/// Whether the file has a name that an [`AtomicFile`] gives until the commit.
pub(super) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let id = name
        .and_then(|name| name.strip_prefix('.'))
        .and_then(|name| name.strip_suffix(TEMPORARY_SUFFIX));
    id.is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What to do with a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and fail with [`Error::Exists`].
    Keep,
    /// Replace it in one step; readers that have it open keep the old content.
    Replace,
}

/// A file under construction.
///
/// Every call works on a thread for blocking work, so it may be used from async code.
#[derive(Debug)]
pub struct AtomicFile {
    destination: Place,
    open: Option<OpenFile>,
    pending: Vec<u8>,
    written: u64,
}

impl AtomicFile {
    /// Starts the file that will be `destination`. Nothing is created before the first write that
    /// fills the buffer, or the commit; missing folders are created then.
    pub fn new(destination: impl Into<PathBuf>) -> Self {
        Self::at(Place::anywhere(destination.into()))
    }

    /// Starts the file that will be `relative` below the folder `root`. No link on the way from
    /// there is followed, whenever it was put there.
    ///
    /// # Errors
    /// A path that is empty, absolute or climbs.
    pub fn within(root: &Path, relative: &str) -> Result<Self, LocationError> {
        Ok(Self::at(Place::within(root, relative)?))
    }

    fn at(destination: Place) -> Self {
        Self {
            destination,
            open: None,
            pending: Vec::new(),
            written: 0,
        }
    }

    /// Looks whether anything is in the way of the file as things are: a folder of its name, a
    /// file or a link where its path has a folder. Creates nothing.
    ///
    /// # Errors
    /// [`Error::Obstructed`], or a folder cannot be looked at.
    pub async fn check(&self) -> Result<(), Error> {
        let destination = self.destination.clone();
        blocking(move || destination.check()).await
    }

    /// Appends `chunk`.
    ///
    /// # Errors
    /// The disk is full or broken, or the folder cannot be created. Nothing stays behind.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.written += chunk.len() as u64;
        self.pending.extend_from_slice(&chunk);
        if self.pending.len() < BUFFER_BYTES {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let open = self.open.take();
        let destination = self.destination.clone();
        let (open, mut pending) = blocking(move || {
            let mut open = OpenFile::reuse(open, &destination)?;
            open.append(&pending)?;
            Ok((open, pending))
        })
        .await?;
        pending.clear();
        self.open = Some(open);
        self.pending = pending;
        Ok(())
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the file durable and gives it its name. Answers its size.
    ///
    /// # Errors
    /// [`Error::Exists`] under [`Existing::Keep`]; the disk is full or broken. Nothing stays
    /// behind.
    pub async fn commit(self, existing: Existing) -> Result<u64, Error> {
        let Self {
            destination,
            open,
            pending,
            written,
        } = self;
        let named = blocking(move || {
            let mut open = OpenFile::reuse(open, &destination)?;
            open.append(&pending)?;
            open.publish(&destination, existing)?;
            // What replaced another file cannot be taken back.
            let unwanted = (existing == Existing::Keep).then_some(destination);
            Ok(Named { unwanted })
        });
        named.await?.keep();
        Ok(written)
    }
}

/// A file that has its name. Work on a blocking thread ends even when the caller has gone away;
/// then this is dropped unseen and removes the file again.
#[derive(Debug)]
struct Named {
    unwanted: Option<Place>,
}

impl Named {
    fn keep(mut self) {
        self.unwanted = None;
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(place) = &self.unwanted {
            let _ = place.remove();
        }
    }
}

/// The temporary file; dropping it removes it.
#[derive(Debug)]
struct OpenFile {
    file: File,
    folder: Folder,
    temporary: OsString,
    /// For messages.
    path: PathBuf,
    named: bool,
}

impl OpenFile {
    fn reuse(open: Option<Self>, destination: &Place) -> Result<Self, Error> {
        open.map_or_else(|| Self::create(destination), Ok)
    }

    fn create(destination: &Place) -> Result<Self, Error> {
        let temporary = temporary_name(TEMPORARY_SUFFIX);
        let mut folder = destination.folder(Missing::Create)?;
        let mut file = folder.create(&temporary);
        // More than once: somebody may remove the folder, still empty, as soon as it is there.
        for _ in 0..3 {
            match &file {
                Err(error) if error.is_missing() => {
                    folder = destination.folder(Missing::Create)?;
                    file = folder.create(&temporary);
                }
                _ => break,
            }
        }
        Ok(Self {
            file: file?,
            folder,
            temporary,
            path: destination.path().to_owned(),
            named: false,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all(bytes)
            .map_err(Error::io("write", &self.path))
    }

    fn publish(mut self, destination: &Place, existing: Existing) -> Result<(), Error> {
        // Syncs the content and the size, which is all that a reader needs.
        self.file
            .sync_data()
            .map_err(Error::io("sync", &self.path))?;
        let name = destination.name()?;
        match existing {
            // The temporary name goes before the folder is synced.
            Existing::Keep => {
                self.folder.link(&self.temporary, name)?;
                self.clean_up();
            }
            Existing::Replace => self.folder.rename(&self.temporary, name)?,
        }
        self.named = true;
        self.folder.sync()
    }

    /// Nobody reads the temporary name; what cannot be removed now is removed with its folder.
    fn clean_up(&self) {
        let _ = self.folder.remove(&self.temporary);
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if !self.named {
            self.clean_up();
        }
    }
}

/// Creates `folder` and what is missing above it, each durable in its parent.
pub(crate) fn create_folder(folder: &Path) -> Result<(), Error> {
    match fs::create_dir(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(above) = folder.parent() else {
                return Err(Error::io("create", folder)(error));
            };
            create_folder(above)?;
            create_folder(folder)
        }
        Err(error) => Err(Error::io("create", folder)(error)),
    }
}

pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io("sync", folder))
}

/// Runs `work` on a thread for blocking work. If the caller goes away, `work` still ends.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => {
            let source = io::Error::new(io::ErrorKind::Interrupted, error);
            Err(Error::io(
                "finish work on",
                Path::new("a file while shutting down"),
            )(source))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_committed_file_is_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/a.csv");
        let mut file = AtomicFile::new(&path);
        file.write(Bytes::from_static(b"a,b\n")).await.unwrap();
        file.write(Bytes::from(vec![b'x'; BUFFER_BYTES]))
            .await
            .unwrap();
        file.write(Bytes::from_static(b"end")).await.unwrap();
        assert!(!path.exists(), "not before the commit");
        let size = file.commit(Existing::Keep).await.unwrap();
        assert_eq!(size, 4 + BUFFER_BYTES as u64 + 3);
        assert_eq!(fs::read(&path).unwrap().len() as u64, size);
        assert_eq!(names(path.parent().unwrap()), ["a.csv"]);
    }

    #[tokio::test]
    async fn dropping_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::new(folder.path().join("a.csv"));
        file.write(Bytes::from(vec![0; BUFFER_BYTES * 2]))
            .await
            .unwrap();
        assert_eq!(names(folder.path()).len(), 1, "a temporary file");
        drop(file);
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_commit_that_nobody_waits_for_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        for polls in 1..20 {
            let mut file = AtomicFile::new(&path);
            file.write(Bytes::from_static(b"a")).await.unwrap();
            let mut commit = std::pin::pin!(file.commit(Existing::Keep));
            let mut committed = false;
            for _ in 0..polls {
                committed |= futures::poll!(commit.as_mut()).is_ready();
                if committed {
                    break;
                }
                tokio::task::yield_now().await;
            }
            if committed {
                fs::remove_file(&path).unwrap();
            }
        }
        // Work that was begun still runs to its end.
        let gone = async {
            while !names(folder.path()).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone)
            .await
            .expect("an abandoned file stayed");
    }

    #[tokio::test]
    async fn an_existing_file_is_kept_unless_replacing_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "old").unwrap();

        let mut file = AtomicFile::new(&path);
        file.write(Bytes::from_static(b"new")).await.unwrap();
        let error = file.commit(Existing::Keep).await.unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");

        let mut file = AtomicFile::new(&path);
        file.write(Bytes::from_static(b"new")).await.unwrap();
        file.commit(Existing::Replace).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[tokio::test]
    async fn of_many_writers_of_one_name_exactly_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v1.metadata.json");
        let writers = (0..16).map(|i: u8| {
            let path = path.clone();
            async move {
                let mut file = AtomicFile::new(path);
                file.write(Bytes::from(vec![i; 1000])).await.unwrap();
                file.commit(Existing::Keep).await.is_ok()
            }
        });
        let won = futures::future::join_all(writers).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let content = fs::read(&path).unwrap();
        assert!(content.iter().all(|byte| *byte == content[0]), "torn file");
        assert_eq!(names(folder.path()), ["v1.metadata.json"]);
    }

    #[tokio::test]
    async fn a_file_where_a_folder_should_be_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let file = AtomicFile::new(folder.path().join("file/a.csv"));
        let error = file.commit(Existing::Keep).await.unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
