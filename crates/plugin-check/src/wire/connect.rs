//! The Connect protocol over HTTP/1.1: what `curl` speaks.

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::body::Outgoing;
use super::{ANNOUNCED, Call, Code, MAX_REPLY, NoAnswer, Reply, Sent, chain, connect, frame};
use crate::target::Target;

/// The flag of the last frame of a stream.
const LAST: u8 = 2;

/// What is posted.
#[derive(Debug)]
pub(crate) struct Posted<'a> {
    pub(crate) path: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) sent: Sent<'a>,
    pub(crate) timeout: Option<Duration>,
}

/// What came back over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Http1Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Content type, lower case.
    pub(crate) kind: String,
    /// Every header, to look for secrets in.
    pub(crate) metadata: String,
    /// The body.
    pub(crate) body: Bytes,
}

/// Posts over a connection of its own.
pub(crate) async fn post(
    target: &Target,
    posted: Posted<'_>,
    limit: Duration,
) -> Result<Http1Reply, NoAnswer> {
    match tokio::time::timeout(limit, exchange(target, posted, limit)).await {
        Ok(reply) => reply,
        Err(_) => Err(NoAnswer::TimedOut(limit)),
    }
}

async fn exchange(
    target: &Target,
    posted: Posted<'_>,
    limit: Duration,
) -> Result<Http1Reply, NoAnswer> {
    let stream = connect(target, b"http/1.1", limit).await?;
    let broken = |error: hyper::Error| NoAnswer::NotHttp1(chain(&error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let mut driver = JoinSet::new();
    // How it ends is told to whoever posts.
    driver.spawn(async move { drop(connection.await) });
    let mut request = Request::post(posted.path)
        .header("host", target.authority())
        .header("user-agent", super::AGENT)
        .header("content-type", posted.kind)
        .header("connect-protocol-version", "1")
        .header("connection", "close");
    if let Some(timeout) = posted.timeout {
        request = request.header("connect-timeout-ms", timeout.as_millis().max(1).to_string());
    }
    let body = match posted.sent {
        Sent::Whole(bytes) => Outgoing::whole(Bytes::copy_from_slice(bytes)),
        Sent::CutShort(part) | Sent::Unending(part) => {
            request = request.header("content-length", ANNOUNCED);
            Outgoing::unending(Bytes::copy_from_slice(part))
        }
    };
    let request = request
        .body(body)
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
        metadata: format!("{:?}", head.headers),
        body: bytes.freeze(),
    })
}

/// Posts the beginning of a message and closes the connection's half, which hyper does not do.
/// Whether that was answered with success.
async fn cut_short(target: &Target, call: Call<'_>, part: &[u8]) -> Result<bool, NoAnswer> {
    let talk = async {
        let mut stream = connect(target, b"http/1.1", call.deadline).await?;
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/proto\r\n\
             connect-protocol-version: 1\r\ncontent-length: {ANNOUNCED}\r\n\r\n",
            call.path,
            target.authority()
        );
        let mut answer = Vec::new();
        let exchange = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(part).await?;
            stream.shutdown().await?;
            (&mut stream)
                .take(MAX_REPLY as u64)
                .read_to_end(&mut answer)
                .await
        };
        let ended = exchange.await;
        match (ended, answer.is_empty()) {
            (Err(error), true) => Err(NoAnswer::Broken(chain(&error))),
            _ => Ok(answer.starts_with(b"HTTP/1.1 200")),
        }
    };
    match tokio::time::timeout(call.deadline, talk).await {
        Ok(done) => done,
        Err(_) => Err(NoAnswer::TimedOut(call.deadline)),
    }
}

/// Calls a method with a binary message.
pub(crate) async fn call(
    target: &Target,
    call: Call<'_>,
    is_stream: bool,
) -> Result<Reply, NoAnswer> {
    let begin = Instant::now();
    if let Sent::CutShort(part) = call.sent {
        return match cut_short(target, call, part).await? {
            true => Ok(Reply {
                code: Code::OK,
                message: String::new(),
                messages: Vec::new(),
                metadata: String::new(),
                took: begin.elapsed(),
            }),
            false => Err(NoAnswer::NotConnect("no success".to_owned())),
        };
    }
    let framed = match (is_stream, call.sent) {
        (true, Sent::Whole(message)) => frame::frame(message),
        _ => Bytes::new(),
    };
    let posted = Posted {
        path: call.path,
        kind: match is_stream {
            true => "application/connect+proto",
            false => "application/proto",
        },
        sent: match (is_stream, call.sent) {
            (true, Sent::Whole(_)) => Sent::Whole(&framed),
            (_, sent) => sent,
        },
        timeout: call.timeout,
    };
    let kind = posted.kind;
    let reply = post(target, posted, call.deadline).await?;
    let reply_of = |code, message: String, messages| Reply {
        code,
        message,
        messages,
        metadata: format!("{}{}", reply.metadata, String::from_utf8_lossy(&reply.body)),
        took: begin.elapsed(),
    };
    if reply.status == 200 && reply.kind.starts_with(kind) {
        let (code, message, messages) = match is_stream {
            true => stream(reply.body.clone())?,
            false => (Code::OK, String::new(), vec![reply.body.clone()]),
        };
        return Ok(reply_of(code, message, messages));
    }
    let error: Value = match serde_json::from_slice(&reply.body) {
        Ok(error) if reply.kind.starts_with("application/json") => error,
        _ => {
            let (status, kind) = (reply.status, &reply.kind);
            let text = format!("HTTP status {status}, content type {kind:?}");
            return Err(NoAnswer::NotConnect(text));
        }
    };
    let (code, message) = refusal(&error)?;
    Ok(reply_of(code, message, Vec::new()))
}

/// Code and message of an error.
fn refusal(error: &Value) -> Result<(Code, String), NoAnswer> {
    let word = error["code"].as_str().unwrap_or_default();
    let Some(code) = Code::of_connect(word) else {
        return Err(NoAnswer::NotConnect(format!("the code is {word:?}")));
    };
    let message = error["message"].as_str().unwrap_or_default();
    Ok((code, message.to_owned()))
}

/// The messages of a stream, and how it ended.
fn stream(mut bytes: Bytes) -> Result<(Code, String, Vec<Bytes>), NoAnswer> {
    let mut messages = Vec::new();
    let undecodable = |text: &str| NoAnswer::Undecodable(text.to_owned());
    while bytes.len() >= 5 {
        let flag = bytes.get_u8();
        let length = bytes.get_u32() as usize;
        if bytes.len() < length {
            return Err(undecodable("a frame is cut short"));
        }
        let message = bytes.split_to(length);
        if flag & LAST == 0 {
            messages.push(message);
            continue;
        }
        let end: Value = serde_json::from_slice(&message)
            .map_err(|_| undecodable("the end of the stream is no JSON"))?;
        return match end.get("error") {
            None => Ok((Code::OK, String::new(), messages)),
            Some(error) => refusal(error).map(|(code, text)| (code, text, messages)),
        };
    }
    Err(undecodable("the stream has no end"))
}
