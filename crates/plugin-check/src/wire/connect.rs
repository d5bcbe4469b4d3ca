//! The Connect protocol over HTTP/1.1: what `curl` speaks.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::{MAX_REPLY, NoAnswer, chain, connect};
use crate::target::Target;

/// What came back over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Http1Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Content type, lower case.
    pub(crate) kind: String,
    /// The body.
    pub(crate) body: Bytes,
}

/// Posts `body` to a method over a connection of its own.
pub(crate) async fn post(
    target: &Target,
    path: &str,
    kind: &str,
    body: Vec<u8>,
    limit: Duration,
) -> Result<Http1Reply, NoAnswer> {
    let exchange = async {
        let stream = connect(target, b"http/1.1", limit).await?;
        let broken = |error: hyper::Error| NoAnswer::NotHttp1(chain(&error));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        let request = Request::post(path)
            .header("host", target.authority())
            .header("content-type", kind)
            .header("connect-protocol-version", "1")
            .header("connection", "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| NoAnswer::Broken(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let (head, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(piece) = body.frame().await {
            if let Ok(data) = piece.map_err(broken)?.into_data() {
                if bytes.len() + data.len() > MAX_REPLY {
                    return Err(NoAnswer::TooLarge);
                }
                bytes.put(data);
            }
        }
        let kind = head.headers.get("content-type").map(|kind| kind.as_bytes());
        Ok(Http1Reply {
            status: head.status.as_u16(),
            kind: String::from_utf8_lossy(kind.unwrap_or_default()).to_lowercase(),
            body: bytes.freeze(),
        })
    };
    match tokio::time::timeout(limit, exchange).await {
        Ok(reply) => reply,
        Err(_) => Err(NoAnswer::TimedOut(limit)),
    }
}
