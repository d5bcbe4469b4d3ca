//! Folders that are held open, and the way to them without links.
//!
//! A path is looked up anew by every call that names it, and whoever may write to one of its
//! folders can put a link there in between. A folder that is open stays what it is: in it files are
//! created, named and removed by their bare names. Below the folder to which a [`Place`] is
//! confined, each step of the way is opened from the one before and no link is followed. That
//! folder itself may be reached by links: it was chosen by who runs the machine.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::atomic::create_folder;
use super::error::{Error, Obstacle};
use super::location::{LocationError, shorten};

/// How often a folder is made that somebody else removes, still empty, as soon as it is there.
const TRIES: usize = 3;

/// Where a file lies or will lie.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The folder that no link may lead out of, if there is one.
    root: Option<PathBuf>,
    path: PathBuf,
}

/// What to do where a folder of the way does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Create,
    Fail,
}

impl Place {
    /// A path of this machine, with whatever links are in it.
    pub(super) fn anywhere(path: PathBuf) -> Self {
        Self { root: None, path }
    }

    /// The path `relative` below `root`.
    pub(super) fn within(root: &Path, relative: &str) -> Result<Self, LocationError> {
        let is_plain = |part| matches!(part, Component::Normal(_));
        let mut parts = Path::new(relative).components().peekable();
        if parts.peek().is_none() || !parts.all(is_plain) || relative.contains('\0') {
            return Err(LocationError::Unsafe {
                location: shorten(relative),
            });
        }
        Ok(Self {
            root: Some(root.to_owned()),
            path: root.join(relative),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The bare name.
    pub(super) fn name(&self) -> Result<&OsStr, Error> {
        self.path.file_name().ok_or_else(|| {
            let source = io::Error::from(io::ErrorKind::InvalidFilename);
            Error::io("create", &self.path)(source)
        })
    }

    /// The folder in which it lies.
    pub(super) fn folder(&self, missing: Missing) -> Result<Folder, Error> {
        self.name()?;
        let above = self.path.parent().unwrap_or(Path::new("/"));
        let Some(root) = &self.root else {
            return Folder::open(above, missing);
        };
        let mut folder = Folder::open(root, missing)?;
        // By its construction the path begins with the root.
        for part in above.strip_prefix(root).unwrap_or(Path::new("")) {
            folder = folder.enter(part, missing)?;
        }
        Ok(folder)
    }

    /// Whether the file could be written: that nothing stands in its way.
    pub(super) fn check(&self) -> Result<(), Error> {
        let folder = match self.folder(Missing::Fail) {
            Err(error) if error.is_missing() => return Ok(()),
            folder => folder?,
        };
        match folder.sort_of(self.name()?)? {
            Some(Obstacle::Folder) => Err(folder.obstructed(self.name()?, Obstacle::Folder)),
            _ => Ok(()),
        }
    }

    /// Opens the file for reading.
    pub(super) fn open(&self) -> Result<File, Error> {
        let folder = self.folder(Missing::Fail)?;
        let name = self.name()?;
        // Without waiting, because a pipe has nobody at its other end.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match folder.sort_of(name)? {
            None | Some(Obstacle::File) => {}
            Some(other) => return Err(folder.obstructed(name, other)),
        }
        let opened = openat(&folder.handle, name, flags, Mode::empty());
        Ok(opened.map_err(folder.failed("open", name))?.into())
    }

    /// Removes the file; a link is removed itself. It may not be there.
    pub(super) fn remove(&self) -> Result<(), Error> {
        let removed = match self.folder(Missing::Fail) {
            Ok(folder) => folder.remove(self.name()?),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.is_missing() => Ok(()),
            removed => removed,
        }
    }
}

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder {
    handle: File,
    /// How it was reached, for messages.
    path: PathBuf,
}

impl Folder {
    fn open(path: &Path, missing: Missing) -> Result<Self, Error> {
        let mut handle = File::open(path);
        for _ in 0..TRIES {
            match &handle {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && missing == Missing::Create =>
                {
                    create_folder(path)?;
                    handle = File::open(path);
                }
                _ => break,
            }
        }
        Ok(Self {
            handle: handle.map_err(Error::io("open", path))?,
            path: path.to_owned(),
        })
    }

    /// The folder `name` in this one, if it is one and no link.
    fn enter(self, name: &OsStr, missing: Missing) -> Result<Self, Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let open = || openat(&self.handle, name, flags, Mode::empty());
        let mut opened = open();
        for _ in 0..TRIES {
            if !matches!(opened, Err(Errno::ENOENT)) || missing == Missing::Fail {
                break;
            }
            match mkdirat(&self.handle, name, Mode::from_bits_truncate(0o777)) {
                Ok(()) => self.sync()?,
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(self.failed("create", name)(error)),
            }
            opened = open();
        }
        match opened {
            Ok(handle) => Ok(Self {
                handle: handle.into(),
                path: self.path.join(name),
            }),
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                let by = self.sort_of(name)?.unwrap_or(Obstacle::Other);
                Err(self.obstructed(name, by))
            }
            Err(error) => Err(self.failed("open", name)(error)),
        }
    }

    /// A new file, which must not be there.
    pub(super) fn create(&self, name: &OsStr) -> Result<File, Error> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let created = openat(&self.handle, name, flags, Mode::from_bits_truncate(0o666));
        Ok(created.map_err(self.failed("create", name))?.into())
    }

    /// Gives the file `from` the further name `to`, which must be free.
    pub(super) fn link(&self, from: &OsStr, to: &OsStr) -> Result<(), Error> {
        let linked = linkat(&self.handle, from, &self.handle, to, AtFlags::empty());
        linked.map_err(|error| match error {
            Errno::EEXIST => Error::Exists {
                path: self.path.join(to),
            },
            error => self.failed("create", to)(error),
        })
    }

    /// Gives the file `from` the name `to`, whatever file has it.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), Error> {
        let renamed = renameat(&self.handle, from, &self.handle, to);
        renamed.map_err(|error| match error {
            Errno::EISDIR => self.obstructed(to, Obstacle::Folder),
            error => self.failed("create", to)(error),
        })
    }

    pub(super) fn remove(&self, name: &OsStr) -> Result<(), Error> {
        let removed = unlinkat(&self.handle, name, UnlinkatFlags::NoRemoveDir);
        removed.map_err(self.failed("delete", name))
    }

    /// Makes durable which names there are.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.handle
            .sync_all()
            .map_err(Error::io("sync", &self.path))
    }

    /// What `name` is, where it is there.
    fn sort_of(&self, name: &OsStr) -> Result<Option<Obstacle>, Error> {
        let found = fstatat(&self.handle, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let mode = match found {
            Ok(found) => found.st_mode,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(self.failed("look at", name)(error)),
        };
        Ok(Some(
            match SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) {
                SFlag::S_IFREG => Obstacle::File,
                SFlag::S_IFDIR => Obstacle::Folder,
                SFlag::S_IFLNK => Obstacle::Link,
                _ => Obstacle::Other,
            },
        ))
    }

    fn obstructed(&self, name: &OsStr, by: Obstacle) -> Error {
        Error::Obstructed {
            path: self.path.join(name),
            by,
        }
    }

    fn failed(&self, operation: &'static str, name: &OsStr) -> impl FnOnce(Errno) -> Error {
        let path = self.path.join(name);
        move |error| Error::io(operation, &path)(error.into())
    }
}

/// A name that nobody else has.
pub(super) fn temporary_name(suffix: &str) -> OsString {
    format!(".{}{suffix}", uuid::Uuid::new_v4().simple()).into()
}
