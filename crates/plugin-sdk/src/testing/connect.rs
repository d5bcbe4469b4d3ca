//! A plain HTTP client on a Unix socket.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::UnixStream;

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    Http2,
}

/// An answer over HTTP.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The messages of a streaming answer: flags and content of each envelope.
    ///
    /// # Panics
    /// It is cut off in an envelope.
    pub fn envelopes(&self) -> Vec<(u8, Bytes)> {
        let mut rest = self.body.clone();
        let mut found = Vec::new();
        while !rest.is_empty() {
            let header = rest.split_to(5);
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
            found.push((header[0], rest.split_to(length as usize)));
        }
        found
    }
}

pub(super) async fn send(
    socket: &Path,
    version: Version,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let mut request = Request::post(format!("http://plugin{path}"));
    if version == Version::Http1 {
        request = Request::post(path).header("host", "plugin");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).expect("a valid request");
    let stream = UnixStream::connect(socket)
        .await
        .expect("the plugin is there");
    let response = exchange(TokioIo::new(stream), version, request).await;
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.collect().await.expect("a whole answer").to_bytes(),
    }
}

async fn exchange(
    io: TokioIo<UnixStream>,
    version: Version,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    match version {
        Version::Http1 => {
            let (mut sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
            // Ends with the connection.
            tokio::spawn(connection);
            sender.send_request(request).await.expect("an answer")
        }
        Version::Http2 => {
            let executor = TokioExecutor::new();
            let (mut sender, connection) = http2::handshake(executor, io).await.expect("HTTP/2");
            tokio::spawn(connection);
            sender.send_request(request).await.expect("an answer")
        }
    }
}
