//! The way to one replica of a plugin: a socket, and TLS on it where the address asks for it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::Tls;

/// Bytes to and from a plugin.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Where one replica of a plugin is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// Connects. The text of a failure says at which step.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    tls: Option<&Tls>,
    application: &[u8],
) -> Result<Box<dyn Io>, String> {
    match endpoint {
        Endpoint::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(format!("failed to connect to {endpoint}: {error}")),
        },
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect(address).await;
            let stream =
                stream.map_err(|error| format!("failed to connect to {endpoint}: {error}"))?;
            // A call is one small packet; waiting for more costs its time.
            let _ = stream.set_nodelay(true);
            match tls {
                None => Ok(Box::new(stream)),
                Some(tls) => Ok(Box::new(tls.connect(stream, application).await?)),
            }
        }
    }
}
