//! What the tests share.

use std::path::Path;
use std::time::Duration;

use rat_config::Address;
use rat_service::listen::{Listener, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// No test waits longer than this for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn tcp() -> (Listener, Address) {
    let listener = bind(&"127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let address = listener.local_address().clone();
    (listener, address)
}

pub(crate) async fn unix(folder: &Path) -> (Listener, Address) {
    let address = Address::Unix(folder.join("s.sock"));
    (bind(&address, None).await.unwrap(), address)
}

pub(crate) async fn connect(address: &Address) -> TcpStream {
    TcpStream::connect(address.to_string()).await.unwrap()
}

pub(crate) async fn unix_stream(address: &Address) -> UnixStream {
    let Address::Unix(path) = address else {
        panic!("not a Unix socket")
    };
    UnixStream::connect(path).await.unwrap()
}

/// Sends `request` and reads until the server closes.
pub(crate) async fn talk(address: &Address, request: &str) -> String {
    let mut stream: Box<dyn Stream> = match address {
        Address::Tcp { .. } => Box::new(connect(address).await),
        Address::Unix(_) => Box::new(unix_stream(address).await),
    };
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

pub(crate) async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    // A reset is as good an end as any.
    let _ = read.expect("the server closes the connection in time");
    String::from_utf8(answer).unwrap()
}

pub(crate) trait Stream:
    tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send
{
}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}
