//! The files that logins are kept in: one per server, `logins/<hash>.json` in the state folder.
//!
//! Only their user can read them; they are replaced, never changed, so that nobody reads half of
//! one. Beside each lies a file that is locked by whoever is about to replace it: a refresh token
//! may be good only once, so that two processes must not use it at the same time.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::{Error, Login};
use crate::client::Server;
use crate::state_folder;

/// Longer than the requests that are made under the lock.
const PATIENCE: Duration = Duration::from_secs(45);
/// Pause between two attempts to lock.
const LOOK: Duration = Duration::from_millis(25);
/// Others have no business here.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// The login at one server, if there is one.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    name: String,
    server: String,
}

/// The right to replace a login.
#[derive(Debug)]
pub struct Lock<'a> {
    store: &'a Store,
    _file: File,
}

impl Store {
    /// Where the login at `server` is kept; nothing is made yet.
    ///
    /// # Errors
    /// [`Error::NoFolder`].
    pub fn of(server: &Server) -> Result<Self, Error> {
        let state = state_folder::find().ok_or(Error::NoFolder)?;
        Ok(Self::within(state.join("rat/logins"), server))
    }

    fn within(folder: PathBuf, server: &Server) -> Self {
        let server = server.to_string();
        let hash = Sha256::digest(server.as_bytes());
        let name = hash
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            folder,
            name,
            server,
        }
    }

    /// The server.
    pub fn server(&self) -> &str {
        &self.server
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }

    /// The login, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or others can.
    pub fn read(&self) -> Result<Option<Login>, Error> {
        self.load(false)
    }

    /// The login, to have it forgotten: one that others can read all the more.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_to_end(&self) -> Result<Option<Login>, Error> {
        self.load(true)
    }

    fn load(&self, also_exposed: bool) -> Result<Option<Login>, Error> {
        let path = self.path("json");
        let failed = |source| Error::File {
            action: "read",
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & OTHERS != 0 && !also_exposed {
            return Err(Error::Exposed { path });
        }
        let text = io::read_to_string(file).map_err(failed)?;
        let login = serde_json::from_str(&text);
        login
            .map(Some)
            .map_err(|source| Error::Malformed { path, source })
    }

    /// Waits until nobody else is about to replace the login.
    ///
    /// # Errors
    /// The folder cannot be written, or somebody takes too long.
    pub async fn lock(&self) -> Result<Lock<'_>, Error> {
        make_folder(&self.folder)?;
        let path = self.path("lock");
        let failed = |source| Error::File {
            action: "lock",
            path: path.clone(),
            source,
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(failed)?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => {
                    return Ok(Lock {
                        store: self,
                        _file: file,
                    });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => {
                    return Err(Error::Busy {
                        server: self.server.clone(),
                        seconds: PATIENCE.as_secs(),
                    });
                }
                Err(TryLockError::WouldBlock) => sleep(LOOK).await,
            }
        }
    }
}

impl Lock<'_> {
    /// Replaces the login, for good: it is on the disk afterwards.
    ///
    /// # Errors
    /// It cannot be written; then the old one is still there.
    pub fn write(&self, login: &Login) -> Result<(), Error> {
        let path = self.store.path("json");
        let text = serde_json::to_vec_pretty(login).map_err(|source| Error::Malformed {
            path: path.clone(),
            source,
        })?;
        replace(&self.store.folder, &path, &text).map_err(|source| Error::File {
            action: "write",
            path,
            source,
        })
    }

    /// Removes the login; answers whether there was one. The file of the lock stays: whoever
    /// waits for it has it open.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> Result<bool, Error> {
        let path = self.store.path("json");
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::File {
                action: "remove",
                path,
                source,
            }),
        }
    }
}

/// Writes beside the file, and moves that into its place.
fn replace(folder: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    // Made with mode 0600, under a name that nobody can know before.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::File {
        action: "make the private folder",
        path: folder.to_owned(),
        source,
    };
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => return Ok(()),
        Err(_) if folder.is_dir() => {}
        Err(error) => return Err(failed(error)),
    }
    let mode = fs::metadata(folder).map_err(failed)?.permissions().mode();
    match mode & OTHERS {
        0 => Ok(()),
        _ => fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)).map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use rat_types::Secret;

    use super::super::{Granted, Terms};
    use super::*;

    fn login(token: &str) -> Login {
        let terms = Terms {
            issuer: "https://example.org".to_owned(),
            client_id: "rat-cli".to_owned(),
            scopes: vec!["profile".to_owned()],
        };
        let granted = Granted {
            access_token: Secret::new(token),
            refresh_token: Some(Secret::new("refresh")),
            lifetime: Some(Duration::from_secs(60)),
        };
        Login::new("http://127.0.0.1:8080".to_owned(), terms, granted, None)
    }

    fn store(folder: &Path, server: &str) -> Store {
        Store::within(folder.join("rat/logins"), &server.parse().unwrap())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_login_is_kept_for_its_server_and_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let ours = store(folder.path(), "http://127.0.0.1:8080/");
        assert!(ours.read().unwrap().is_none());
        ours.lock().await.unwrap().write(&login("one")).unwrap();
        assert_eq!(mode(&ours.folder), 0o700);
        assert_eq!(mode(&ours.path("json")), 0o600);
        let same = store(folder.path(), "http://127.0.0.1:8080");
        let kept = same.read().unwrap().unwrap();
        assert_eq!(kept.access_token.expose(), "one");
        assert_eq!(kept.terms, login("one").terms);
        for other in [
            "http://127.0.0.1:8081",
            "https://127.0.0.1:8080",
            "unix:/run/x",
        ] {
            assert!(store(folder.path(), other).read().unwrap().is_none());
        }
        let lock = ours.lock().await.unwrap();
        assert!(lock.remove().unwrap());
        assert!(!lock.remove().unwrap());
        assert!(ours.read().unwrap().is_none());
    }

    #[tokio::test]
    async fn what_others_can_read_or_have_changed_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), "http://127.0.0.1:8080");
        store.lock().await.unwrap().write(&login("one")).unwrap();
        let path = store.path("json");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(store.read(), Err(Error::Exposed { .. })));
        assert!(store.read_to_end().unwrap().is_some());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "{").unwrap();
        assert!(matches!(store.read(), Err(Error::Malformed { .. })));
        fs::set_permissions(&store.folder, Permissions::from_mode(0o755)).unwrap();
        store.lock().await.unwrap().write(&login("two")).unwrap();
        assert_eq!(mode(&store.folder), 0o700);
        assert_eq!(store.read().unwrap().unwrap().access_token.expose(), "two");
    }

    #[tokio::test]
    async fn one_at_a_time_replaces_a_login() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), "http://127.0.0.1:8080");
        let first = store.lock().await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(100), store.lock());
        assert!(second.await.is_err());
        drop(first);
        store.lock().await.unwrap();
    }
}
