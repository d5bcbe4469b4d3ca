//! The port of loopback to which the browser brings the provider's answer (RFC 8252, 7.3).
//!
//! Browsers open connections that they may never use, and ask for icons: each connection is looked
//! after by itself, for a short time, and only a request for [`PATH`] counts.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Url;

/// Where the answer is to be brought.
const PATH: &str = "/callback";
/// Time that a connection has to send its request, or to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's head; a code has less than a KiB.
const MAX_HEAD: usize = 16 << 10;
/// Connections at a time.
const MAX_CONNECTIONS: usize = 32;
/// Pause after a connection that could not be taken.
const BREATH: Duration = Duration::from_millis(50);

/// A port that is open until this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    url: Url,
}

/// A browser that waits to be told how it went.
#[derive(Debug)]
pub(super) struct Visitor {
    stream: TcpStream,
    /// What it brought, in the order of the address.
    pub(super) parameters: Vec<(String, String)>,
}

impl Visitor {
    /// The parameter of that name; an error if it comes twice.
    pub(super) fn parameter(&self, name: &str) -> Result<Option<&str>, ()> {
        let mut found = self.parameters.iter().filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(()),
            (first, None) => Ok(first.map(|(_, value)| value.as_str())),
        }
    }

    /// Whether it brings the answer to the question with this `state`.
    fn answers(&self, state: &str) -> bool {
        matches!(self.parameter("state"), Ok(Some(found)) if found == state)
    }

    /// Shows a page and hangs up.
    pub(super) async fn tell(mut self, is_success: bool) {
        let (status, text) = match is_success {
            true => ("200 OK", "You are logged in. This page can be closed."),
            false => (
                "400 Bad Request",
                "The login failed. The terminal says why.",
            ),
        };
        answer(&mut self.stream, status, text).await;
    }

    async fn turn_away(mut self) {
        let text = "This is the answer to another login. The terminal goes on waiting for its own.";
        answer(&mut self.stream, "400 Bad Request", text).await;
    }
}

impl Listener {
    pub(super) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let url = Url::parse(&format!("http://{address}{PATH}")).map_err(io::Error::other)?;
        Ok(Self { listener, url })
    }

    /// Where the browser has to be sent.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Waits for the visitor that brings the answer to the question with this `state`. Any page and any
    /// program of this machine can send others here, who must not end a login.
    pub(super) async fn visitor(&self, state: &str) -> Visitor {
        let mut connections = JoinSet::<Option<Visitor>>::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                    match accepted {
                        Ok((stream, _)) => drop(connections.spawn(receive(stream, self.url.clone()))),
                        Err(error) => {
                            tracing::debug!(%error, "a connection of the browser could not be taken");
                            tokio::time::sleep(BREATH).await;
                        }
                    }
                }
                Some(received) = connections.join_next() => {
                    match received {
                        Ok(Some(visitor)) if visitor.answers(state) => return visitor,
                        Ok(Some(visitor)) => drop(connections.spawn(async {
                            visitor.turn_away().await;
                            None
                        })),
                        Ok(None) | Err(_) => {}
                    }
                }
            }
        }
    }
}

/// Reads a request; answers by itself what is not for us.
async fn receive(mut stream: TcpStream, base: Url) -> Option<Visitor> {
    let head = timeout(PATIENCE, read_head(&mut stream)).await.ok()??;
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let url = base.join(target).ok();
    let is_ours =
        |url: &Url| method == "GET" && url.path() == PATH && url.origin() == base.origin();
    match url.filter(is_ours) {
        Some(url) => Some(Visitor {
            stream,
            parameters: url.query_pairs().into_owned().collect(),
        }),
        None => {
            answer(&mut stream, "404 Not Found", "There is nothing here.").await;
            None
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut chunk).await.ok()?;
        if length == 0 || head.len() + length > MAX_HEAD {
            return None;
        }
        head.extend_from_slice(&chunk[..length]);
    }
    String::from_utf8(head).ok()
}

async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let page =
        format!("<!doctype html><meta charset=utf-8><title>rat login</title><p>{text}</p>\n");
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\n\
         content-security-policy: default-src 'none'\r\nconnection: close\r\n\r\n",
        page.len()
    );
    let written = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(page.as_bytes()).await?;
        stream.shutdown().await
    };
    // A browser that went away needs no answer.
    let _ = timeout(PATIENCE, written).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(url: &Url, request: &str) -> String {
        let address = (url.host_str().unwrap(), url.port().unwrap());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn only_a_request_for_the_path_is_a_visitor() {
        let listener = Listener::open().await.unwrap();
        let url = listener.url().clone();
        // Opened ahead by the browser, and never used.
        let idle = TcpStream::connect(("127.0.0.1", url.port().unwrap()))
            .await
            .unwrap();
        let browser = async {
            for other in [
                "GET /favicon.ico HTTP/1.1\r\n\r\n",
                "POST /callback HTTP/1.1\r\n\r\n",
            ] {
                let answer = ask(&url, other).await;
                assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
            }
            assert_eq!(ask(&url, &"x".repeat(MAX_HEAD + 1)).await, "");
            for foreign in [
                "",
                "state=",
                "state=t",
                "state=s&state=s",
                "code=a&error=b&state=S",
            ] {
                let request = format!("GET /callback?{foreign} HTTP/1.1\r\n\r\n");
                let answer = ask(&url, &request).await;
                assert!(answer.starts_with("HTTP/1.1 400 "), "{foreign}: {answer}");
                assert!(answer.contains("another login"), "{foreign}: {answer}");
            }
            let request =
                "GET /callback?code=a%20b&state=s&iss=i&iss=j HTTP/1.1\r\nhost: x\r\n\r\n";
            ask(&url, request).await
        };
        let us = async {
            let visitor = listener.visitor("s").await;
            assert_eq!(visitor.parameter("code"), Ok(Some("a b")));
            assert_eq!(visitor.parameter("error"), Ok(None));
            assert_eq!(visitor.parameter("iss"), Err(()));
            visitor.tell(true).await;
        };
        let (answer, ()) = tokio::join!(browser, us);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("You are logged in."), "{answer}");
        drop(idle);
    }
}
