//! Clients that hold on to what they have.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use hyper::body::{Bytes, Frame};
use rat_config::Address;
use rat_service::http::{HttpLimits, serve};
use rat_service::listen::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::{LIMIT, connect, read_to_end, talk, tcp, unix, unix_stream};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const GET_AND_STAY: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn limits() -> HttpLimits {
    HttpLimits {
        header_timeout: Duration::from_millis(200),
        write_timeout: Some(Duration::from_millis(300)),
        shutdown_timeout: Duration::from_millis(300),
        ..HttpLimits::default()
    }
}

fn start(listener: Listener, router: Router, limits: HttpLimits) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, router, limits, stop.clone()));
    stop
}

fn answering(content: &'static str) -> Router {
    Router::new().route("/", get(move || async move { content }))
}

/// Connected with as little room for answers as the system allows.
async fn narrow(address: &Address) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let address = address.to_string().parse().unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_gives_its_place_to_the_next() {
    let (listener, address) = tcp().await;
    let limits = HttpLimits {
        max_connections: 2,
        ..limits()
    };
    let _stop = start(listener, answering("hello"), limits);
    let mut deaf = Vec::new();
    for _ in 0..2 {
        let mut stream = narrow(&address).await;
        let pipelined = GET_AND_STAY.repeat(500);
        // Until nothing goes out any more: then the server writes nothing and reads nothing.
        while let Ok(sent) = tokio::time::timeout(
            Duration::from_millis(100),
            stream.write_all(pipelined.as_bytes()),
        )
        .await
        {
            sent.unwrap();
        }
        deaf.push(stream);
    }
    assert!(talk(&address, GET).await.ends_with("hello"));
}

#[tokio::test]
async fn one_large_answer_that_nobody_reads_is_given_up() {
    let content: &'static str = Box::leak("x".repeat(64 << 20).into_boxed_str());
    let (listener, address) = tcp().await;
    let limits = HttpLimits {
        max_connections: 1,
        ..limits()
    };
    let _stop = start(listener, answering(content), limits);
    let mut deaf = narrow(&address).await;
    deaf.write_all(GET_AND_STAY.as_bytes()).await.unwrap();
    let mut next = connect(&address).await;
    next.write_all(GET.as_bytes()).await.unwrap();
    let mut answer = [0; 15];
    let read = tokio::time::timeout(LIMIT, next.read_exact(&mut answer)).await;
    read.expect("the next client is served").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

/// The beginning of an HTTP/2 connection that opens no window, and `requests` requests on it.
fn windowless(requests: u32) -> Vec<u8> {
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    for request in 0..requests {
        sent.extend([0, 0, 6, 1, 5]);
        sent.extend((2 * request + 1).to_be_bytes());
        // GET http://x/
        sent.extend([0x82, 0x86, 0x84, 0x41, 1, b'x']);
    }
    sent
}

/// Reads frames and answers every PING until the server closes.
async fn hold(mut stream: TcpStream) {
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).await.is_err() {
            return;
        }
        let (kind, flags) = (head[3], head[4]);
        if kind == 6 && flags & 1 == 0 {
            let mut pong = vec![0, 0, 8, 6, 1, 0, 0, 0, 0];
            pong.extend(payload);
            if stream.write_all(&pong).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn an_http2_client_that_opens_no_window_is_cut_off() {
    let (listener, address) = tcp().await;
    let _stop = start(listener, answering("hello"), limits());
    let mut stream = connect(&address).await;
    stream.write_all(&windowless(200)).await.unwrap();
    let held = tokio::time::timeout(Duration::from_secs(10), hold(stream));
    held.await.expect("the server closes the connection");
}

/// Says something, nothing for a while, and something again.
struct Events {
    left: u32,
    pause: Pin<Box<Sleep>>,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.pause.as_mut().poll(cx));
        self.left -= 1;
        self.pause = Box::pin(sleep(Duration::from_millis(900)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"event ")))))
    }
}

#[tokio::test]
async fn a_stream_that_has_nothing_to_say_is_left_alone() {
    let router = Router::new().route(
        "/",
        get(|| async {
            Body::new(Events {
                left: 3,
                pause: Box::pin(sleep(Duration::ZERO)),
            })
        }),
    );
    let (listener, address) = tcp().await;
    let _stop = start(listener, router, limits());
    let answer = talk(&address, GET).await;
    assert_eq!(answer.matches("event ").count(), 3, "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn one_address_gets_its_share_of_the_connections() {
    let (listener, address) = tcp().await;
    let limits = HttpLimits {
        header_timeout: LIMIT,
        max_connections: 80,
        ..limits()
    };
    let _stop = start(listener, answering("hello"), limits);
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(&address).await;
        stream.write_all(GET_AND_STAY.as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        held.push(stream);
    }
    let mut refused = connect(&address).await;
    let _ = refused.write_all(GET_AND_STAY.as_bytes()).await;
    assert_eq!(read_to_end(&mut refused).await, "");
    // From elsewhere there is room, and when one goes, there is here too.
    let elsewhere = TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut elsewhere = elsewhere
        .connect(address.to_string().parse().unwrap())
        .await
        .unwrap();
    elsewhere.write_all(GET.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut elsewhere).await.ends_with("hello"));
    let mut gone = held.pop().unwrap();
    gone.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut gone).await, "");
    let again = tokio::time::timeout(LIMIT, async {
        while !talk(&address, GET).await.ends_with("hello") {}
    });
    again.await.expect("a place comes free");
}

#[tokio::test]
async fn a_unix_socket_has_no_shares() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = unix(folder.path()).await;
    let limits = HttpLimits {
        header_timeout: LIMIT,
        max_connections: 40,
        ..limits()
    };
    let _stop = start(listener, answering("hello"), limits);
    let mut held = Vec::new();
    for _ in 0..39 {
        let mut stream = unix_stream(&address).await;
        stream.write_all(GET_AND_STAY.as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        held.push(stream);
    }
}
