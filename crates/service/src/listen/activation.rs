//! Sockets that systemd holds for us (`LISTEN_FDS`, `LISTEN_FDNAMES`).
//!
//! They outlive the process: while it restarts, connections wait in the backlog instead of being
//! refused. The descriptors are taken over once, before the first thread exists, because the
//! variables must not be inherited by children and cannot be changed safely later.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::sys::socket::{getsockopt, sockopt};
use rat_config::Address;
use socket2::{Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::{Error, Inner, Listener};

static HANDED_OVER: Mutex<Vec<(String, OwnedFd)>> = Mutex::new(Vec::new());

/// What systemd said about its sockets makes no sense; the unit is wrong.
#[derive(Debug, thiserror::Error)]
#[error("failed to take over the sockets from systemd")]
pub struct ActivationError {
    #[source]
    source: io::Error,
}

/// The sockets that systemd handed over and nobody has claimed yet.
#[derive(Debug)]
pub struct Activation;

impl Activation {
    /// Takes the descriptors over and unsets the variables.
    ///
    /// To be called once, while the process has one thread. [`crate::runtime::start`] does.
    ///
    /// # Errors
    /// The variables contradict each other.
    pub(crate) fn take_over() -> Result<(), ActivationError> {
        #[expect(
            unsafe_code,
            reason = "the process has one thread, so nobody reads the environment"
        )]
        // SAFETY: the only caller is `runtime::start`, which runs before any thread is made.
        let found = unsafe { sd_notify::listen_fds_with_names_and_unset_env() };
        let found = found.map_err(|source| ActivationError { source })?;
        let mut sockets = HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner);
        for (descriptor, name) in found {
            #[expect(
                unsafe_code,
                reason = "a descriptor number from systemd has no owner yet"
            )]
            // SAFETY: systemd opened it for us, sd_notify has just set a flag on it, so it is
            // open; the variables are gone, so nobody takes it a second time.
            let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
            sockets.push((name, owned));
        }
        Ok(())
    }

    /// The first unclaimed socket with this name.
    pub(super) fn claim(name: &str) -> Option<OwnedFd> {
        let mut sockets = HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner);
        let index = sockets.iter().position(|(found, _)| found == name)?;
        Some(sockets.remove(index).1)
    }

    /// All unclaimed sockets, with their names.
    pub(super) fn claim_all() -> Vec<(String, OwnedFd)> {
        let mut sockets = HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *sockets)
    }

    /// Names of the sockets that nobody claimed: a mistake in a unit, worth a warning.
    pub fn unclaimed() -> Vec<String> {
        let sockets = HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Makes a listener of a descriptor from systemd, whatever family it has.
pub(super) fn adopt(name: &str, descriptor: OwnedFd) -> Result<Listener, Error> {
    try_adopt(descriptor).map_err(|source| Error::Activation {
        name: name.to_owned(),
        source,
    })
}

fn try_adopt(descriptor: OwnedFd) -> io::Result<Listener> {
    let socket = Socket::from(descriptor);
    if socket.r#type()? != Type::STREAM {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a stream socket",
        ));
    }
    if !getsockopt(&socket, sockopt::AcceptConn)? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it does not listen",
        ));
    }
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    if let Some(address) = address.as_socket() {
        let inner = Inner::Tcp(TcpListener::from_std(socket.into())?);
        let local = Address::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        };
        return Ok(Listener {
            inner,
            local,
            more: Vec::new(),
            _file: None,
        });
    }
    match address.as_pathname() {
        Some(path) => {
            let local = Address::Unix(path.to_owned());
            let inner = Inner::Unix(UnixListener::from_std(socket.into())?);
            Ok(Listener {
                inner,
                local,
                more: Vec::new(),
                _file: None,
            })
        }
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is neither a TCP port nor a Unix socket with a path",
        )),
    }
}
