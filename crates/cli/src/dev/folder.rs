//! The private folder of `rat dev`: one at a time, owned by its user, short enough for sockets.

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use crate::state_folder;

/// Longest path of a Unix socket: `sun_path` with its final zero byte has 108.
pub(super) const MAX_SOCKET_PATH: usize = 107;
/// Longest name of a socket in the folder.
const LONGEST_SOCKET: &str = "/internal.sock";

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    sockets: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens `path`, or the default folder, creating it where needed.
    ///
    /// # Errors
    /// It cannot be created or written, another `rat dev` uses it, or there is no default.
    pub fn open(path: Option<&Path>) -> Result<Arc<Self>> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_folder()?,
        };
        create_private(&path)?;
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", path.display()))?;
        if path.to_str().is_none() {
            bail!("the folder's path {} is not UTF-8 text", path.display());
        }
        let lock = lock(&path)?;
        for name in ["log", "data", "lake"] {
            create_private(&path.join(name))?;
        }
        let sockets = sockets(
            &path,
            std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
        )?;
        Ok(Arc::new(Self {
            path,
            sockets,
            _lock: lock,
        }))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the programs' output goes.
    pub fn logs(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where generated data goes.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The path of a socket.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.sockets.join(name)
    }
}

fn default_folder() -> Result<PathBuf> {
    let base = state_folder::find()
        .context("there is no default folder, because HOME is not set; name one with --dir")?;
    Ok(base.join("rat/dev"))
}

/// Creates a folder that only its user can enter, and its parents as usual.
fn create_private(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create folder {}", parent.display()))?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("cannot create folder {}", path.display()))
        }
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another rat dev uses {}; stop it, or name another folder with --dir",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// The folder for sockets: the private one if their paths fit, else one of the user's run-time
/// folders.
fn sockets(folder: &Path, runtime: Option<PathBuf>) -> Result<PathBuf> {
    if fits(folder) {
        return Ok(folder.to_owned());
    }
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    let name = format!("rat-dev-{:016x}", hasher.finish());
    let runtime =
        runtime.filter(|path| path.is_absolute() && path.is_dir() && fits(&path.join(&name)));
    let user = Uid::current();
    let (base, name) = match runtime {
        Some(base) => (base, name),
        None => (std::env::temp_dir(), format!("{name}-{user}")),
    };
    let path = base.join(name);
    if !fits(&path) {
        bail!(
            "the path of {} is too long for Unix sockets ({MAX_SOCKET_PATH} bytes), and so is that of {}; name a shorter folder with --dir",
            folder.display(),
            path.display()
        );
    }
    create_private(&path)?;
    // In a folder that everybody can write to, somebody else may have been first.
    let meta = fs::symlink_metadata(&path)
        .with_context(|| format!("cannot look at {}", path.display()))?;
    if !meta.is_dir() || meta.uid() != user.as_raw() || meta.mode() & 0o077 != 0 {
        bail!(
            "{} is not a private folder of this user; remove it",
            path.display()
        );
    }
    Ok(path)
}

fn fits(folder: &Path) -> bool {
    folder.as_os_str().len() + LONGEST_SOCKET.len() <= MAX_SOCKET_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::open(Some(folder.path())).unwrap();
        let error = Folder::open(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("another rat dev uses"), "{error}");
        drop(first);
        Folder::open(Some(folder.path())).unwrap();
    }

    #[test]
    fn sockets_move_to_a_run_time_folder_when_the_path_is_too_long_for_them() {
        let base = tempfile::tempdir_in("/tmp").unwrap();
        let long = base.path().join("x".repeat(80));
        let runtime = base.path().join("run");
        for path in [&long, &runtime] {
            fs::create_dir(path).unwrap();
        }
        let chosen = sockets(&long, Some(runtime.clone())).unwrap();
        assert!(chosen.starts_with(&runtime), "{}", chosen.display());
        assert!(fits(&chosen) && chosen.is_dir());
        assert_eq!(sockets(&runtime, None).unwrap(), runtime);
        assert_eq!(
            sockets(&long, Some(runtime)).unwrap(),
            chosen,
            "the same again"
        );
    }
}
