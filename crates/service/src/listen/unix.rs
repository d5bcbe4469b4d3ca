//! Unix sockets that this process makes itself.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::Error;

const SOCKET_MODE: u32 = 0o660;
const FOLDER_MODE: u32 = 0o750;
const BACKLOG: i32 = 1024;
/// How long a process behind an existing socket has to take our knock.
const KNOCK: Duration = Duration::from_secs(1);

/// A socket file that goes away with its listener, unless somebody replaced it meanwhile.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "failed to remove the socket file");
        }
    }
}

pub(super) async fn bind(path: &Path) -> Result<(UnixListener, SocketFile), Error> {
    remove_stale(path).await?;
    make_socket(path).map_err(|source| Error::BindUnix {
        path: path.to_owned(),
        source,
    })
}

fn make_socket(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The mode of the descriptor becomes the mode of the file (minus the umask), so that there is
    // no moment in which the file is open to others.
    fchmod(&socket, Mode::from_bits_truncate(SOCKET_MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    let made = fs::symlink_metadata(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        device: made.dev(),
        inode: made.ino(),
    };
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

async fn remove_stale(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::BindUnix {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Error::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    let in_use = || Error::InUse {
        path: path.to_owned(),
    };
    match tokio::time::timeout(KNOCK, UnixStream::connect(path)).await {
        // A full backlog makes the knock wait: somebody is there.
        Ok(Ok(_)) | Err(_) => Err(in_use()),
        Ok(Err(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
            io::ErrorKind::NotFound => Ok(()),
            io::ErrorKind::WouldBlock => Err(in_use()),
            _ => Err(failed(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_for_owner_and_group_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("s.sock");
        let (listener, file) = bind(&path).await.unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            SOCKET_MODE
        );
        let parent = fs::metadata(path.parent().unwrap()).unwrap();
        assert_eq!(parent.permissions().mode() & 0o777, FOLDER_MODE);
        drop((listener, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _live = bind(&path).await.unwrap();
        assert!(matches!(
            bind(&path).await.unwrap_err(),
            Error::InUse { .. }
        ));
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            bind(&path).await.unwrap_err(),
            Error::NotASocket { .. }
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_listener_does_not_remove_its_successors_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let (_listener, file) = bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _successor = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(file);
        assert!(path.exists());
    }
}
