//! Signs of life for systemd's watchdog.
//!
//! The proof is a request to the plugin's own listener: the socket is there, connections are taken,
//! the runtime turns, requests are answered, and it is this process that does all of it. It says
//! nothing about health: a plugin that waits for somebody else is alive.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::time::Duration;

use rat_config::Address;
use rat_service::runtime::Process;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use crate::front::PROBE;

const OK: &[u8] = b"HTTP/1.1 200 ";
/// Enough for the first line.
const ANSWER: u64 = 64;

/// Probes every listener at a third of the watchdog's time, and feeds it when all answered. While
/// the plugin drains it takes no connections: then it is proof enough that this runs.
///
/// A socket that the plugin's user may not open cannot be probed, and says nothing: its mode is
/// the unit's, and restarting the plugin would not change it.
pub(super) async fn feed(addresses: Vec<Address>, secret: String, process: Process) -> Infallible {
    let mut is_told = false;
    let Some(limit) = process.watchdog() else {
        return std::future::pending().await;
    };
    loop {
        let mut is_alive = true;
        for address in &addresses {
            match probe(address, &secret, limit / 3).await {
                Err(_) if process.shutdown().is_cancelled() => {}
                Ok(()) => {}
                Err(Failed::Forbidden) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(
                            %address,
                            "the plugin's user may not open its own socket: the watchdog cannot see \
                             whether it answers there (SupplementaryGroups= of the unit)"
                        );
                    }
                }
                Err(Failed::Silent(error)) => {
                    is_alive = false;
                    tracing::error!(%address, error, "the plugin does not answer its own probe");
                }
            }
        }
        if is_alive {
            process.alive();
        }
        sleep(limit / 3).await;
    }
}

/// Why a probe found nothing.
enum Failed {
    Forbidden,
    Silent(String),
}

async fn probe(address: &Address, secret: &str, limit: Duration) -> Result<(), Failed> {
    let asked = async {
        match address {
            Address::Unix(path) => ask(UnixStream::connect(path).await?, secret).await,
            Address::Tcp { host, port } => {
                ask(TcpStream::connect((host.as_str(), *port)).await?, secret).await
            }
        }
    };
    match timeout(limit, asked).await {
        Ok(Ok(answer)) if answer.starts_with(OK) => Ok(()),
        Ok(Ok(_)) => Err(Failed::Silent("another process answers there".to_owned())),
        Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => Err(Failed::Forbidden),
        Ok(Err(error)) => Err(Failed::Silent(error.to_string())),
        Err(_) => Err(Failed::Silent("no answer in time".to_owned())),
    }
}

async fn ask(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    secret: &str,
) -> std::io::Result<Vec<u8>> {
    let request =
        format!("GET {PROBE}{secret} HTTP/1.1\r\nHost: plugin\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER).read_to_end(&mut answer).await?;
    Ok(answer)
}
