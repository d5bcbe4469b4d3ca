//! Listening sockets of a daemon: bound here, or handed over by systemd.
//!
//! A Unix socket and a TCP port behave alike behind [`Listener`] and [`Connection`], so that a
//! server is written once. Who is on the other end travels with the connection as [`Peer`].
//!
//! Deliberately without TLS: between RAT's processes the socket file's mode is the protection, and
//! on the public port a reverse proxy ends TLS.

mod activation;
mod connection;
mod unix;

use std::future::poll_fn;
use std::net::IpAddr;
use std::path::PathBuf;
use std::task::{Context, Poll, ready};
use std::{io, iter};

use rat_config::Address;
use tokio::net::{TcpListener, UnixListener};

pub use activation::{Activation, ActivationError};
pub use connection::{Connection, Credentials, Peer};

/// Why a listener could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or the address is not one of this machine.
    #[error("failed to listen on {address}")]
    BindTcp {
        /// The address.
        address: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The socket file cannot be made; look at the folder's owner and mode.
    #[error("failed to listen on unix:{}", path.display())]
    BindUnix {
        /// The socket file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// Another process answers on the socket; stop it first.
    #[error("another process listens on unix:{}", path.display())]
    InUse {
        /// The socket file.
        path: PathBuf,
    },
    /// Something that is not a socket lies at the path; it is left alone.
    #[error("{} exists and is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The descriptor that systemd handed over is not a listening stream socket.
    #[error("the socket {name:?} from systemd cannot be used")]
    Activation {
        /// Its name in `LISTEN_FDNAMES`.
        name: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

/// A bound listening socket, or several of them that systemd handed over under one name.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
    local: Address,
    /// The others of the same name.
    more: Vec<Inner>,
    /// Removes the socket file of a listener that made it; `None` for TCP and for systemd's.
    _file: Option<unix::SocketFile>,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Inner {
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(context))?;
                stream.set_nodelay(true)?;
                Poll::Ready(Ok(Connection::tcp(stream, peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(context))?;
                Poll::Ready(Ok(Connection::unix(stream)))
            }
        }
    }
}

/// Listens on `address`, unless systemd handed over sockets named `descriptor`: then all of those are
/// used and `address` is not looked at. A unit may have several `ListenStream=`.
///
/// A Unix socket gets mode 0660; its folder is made with mode 0750 where it is missing; a socket
/// file on which nobody answers is replaced.
///
/// # Errors
/// See [`Error`].
pub async fn bind(address: &Address, descriptor: Option<&str>) -> Result<Listener, Error> {
    if let Some(name) = descriptor
        && let Some(listener) = handed_over(name, address)?
    {
        return Ok(listener);
    }
    match address {
        Address::Unix(path) => {
            let (listener, file) = unix::bind(path).await?;
            Ok(Listener {
                inner: Inner::Unix(listener),
                local: address.clone(),
                more: Vec::new(),
                _file: Some(file),
            })
        }
        Address::Tcp { host, port } => bind_tcp(host, *port).await,
    }
}

/// The sockets of that name as one listener, which is where the first of them is that is at `address`.
fn handed_over(name: &str, address: &Address) -> Result<Option<Listener>, Error> {
    let mut found = Vec::new();
    while let Some(socket) = Activation::claim(name) {
        found.push(activation::adopt(name, socket)?);
    }
    let is_there = |listener: &Listener| !is_elsewhere(address, listener.local_address());
    let Some(first) = found
        .iter()
        .position(is_there)
        .or((!found.is_empty()).then_some(0))
    else {
        return Ok(None);
    };
    let mut listener = found.swap_remove(first);
    if !is_there(&listener) {
        let (unit, local) = (format!("{name}.socket"), listener.local_address());
        tracing::warn!(
            %address, socket = %local, unit,
            "systemd's socket has another address than the settings: restart its unit"
        );
    }
    listener.more = found.into_iter().map(|other| other.inner).collect();
    Ok(Some(listener))
}

/// Whether a socket is surely not at the address of the settings. Of a host name nobody knows which
/// addresses it had when the socket was made.
fn is_elsewhere(settings: &Address, socket: &Address) -> bool {
    match (settings, socket) {
        (
            Address::Tcp { host, port },
            Address::Tcp {
                host: bound,
                port: on,
            },
        ) => {
            let is_other = |ip: IpAddr| bound.parse().is_ok_and(|bound: IpAddr| bound != ip);
            *port != *on || host.parse().is_ok_and(is_other)
        }
        (settings, socket) => settings != socket,
    }
}

/// Every socket that systemd handed over and nobody has claimed yet, whatever its name.
///
/// # Errors
/// [`Error::Activation`] for one that does not listen.
pub fn activated() -> Result<Vec<Listener>, Error> {
    let sockets = Activation::claim_all();
    let listeners = sockets
        .into_iter()
        .map(|(name, socket)| activation::adopt(&name, socket));
    listeners.collect()
}

async fn bind_tcp(host: &str, port: u16) -> Result<Listener, Error> {
    let failed = |source| Error::BindTcp {
        address: format!("{host}:{port}"),
        source,
    };
    let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok(Listener {
        inner: Inner::Tcp(listener),
        local: Address::Tcp {
            host: local.ip().to_string(),
            port: local.port(),
        },
        more: Vec::new(),
        _file: None,
    })
}

impl Listener {
    /// Where the socket really is: with the port that the system chose where 0 was asked for.
    pub fn local_address(&self) -> &Address {
        &self.local
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// What the system answered. Most such errors belong to one connection (it was gone before it
    /// could be taken) or pass (no descriptor left); the listener stays usable.
    pub async fn accept(&self) -> io::Result<Connection> {
        let accepted = |context: &mut Context<'_>| {
            let all = iter::once(&self.inner).chain(&self.more);
            all.map(|inner| inner.poll_accept(context))
                .find(Poll::is_ready)
                .unwrap_or(Poll::Pending)
        };
        poll_fn(accepted).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_at_another_address_is_noticed_and_a_name_is_not_judged() {
        for (settings, socket, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", false),
            ("[::1]:8080", "[::1]:8080", false),
            ("localhost:8080", "127.0.0.1:8080", false),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("localhost:8081", "127.0.0.1:8080", true),
            ("unix:/run/a.sock", "unix:/run/a.sock", false),
            ("unix:/run/a.sock", "unix:/run/b.sock", true),
            ("unix:/run/a.sock", "127.0.0.1:8080", true),
        ] {
            let (settings, socket) = (settings.parse().unwrap(), socket.parse().unwrap());
            assert_eq!(
                is_elsewhere(&settings, &socket),
                expected,
                "{settings} {socket}"
            );
        }
    }
}
