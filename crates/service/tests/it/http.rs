use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::routing::get;
use axum::{Extension, Router};
use rat_service::http::{HttpLimits, serve};
use rat_service::listen::{Listener, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{LIMIT, connect, read_to_end, talk, tcp, unix, unix_stream};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const GET_AND_STAY: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

fn limits() -> HttpLimits {
    HttpLimits {
        header_timeout: Duration::from_millis(200),
        shutdown_timeout: Duration::from_millis(300),
        ..HttpLimits::default()
    }
}

fn start(
    listener: Listener,
    router: Router,
    limits: HttpLimits,
) -> (JoinHandle<()>, CancellationToken) {
    let stop = CancellationToken::new();
    (
        tokio::spawn(serve(listener, router, limits, stop.clone())),
        stop,
    )
}

async fn ended(server: JoinHandle<()>) {
    tokio::time::timeout(LIMIT, server)
        .await
        .expect("the server ends")
        .unwrap();
}

#[tokio::test]
async fn requests_are_answered_until_the_server_is_asked_to_end() {
    let (listener, address) = tcp().await;
    let (server, stop) = start(listener, hello(), limits());
    assert!(talk(&address, GET).await.ends_with("hello"));
    stop.cancel();
    ended(server).await;
    assert!(
        tokio::net::TcpStream::connect(address.to_string())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_peer_of_a_unix_socket_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = unix(folder.path()).await;
    let router = Router::new().route(
        "/",
        get(|Extension(peer): Extension<Peer>| async move {
            match peer {
                Peer::Unix(Some(found)) => format!("{:?}", found.process),
                other => format!("{other:?}"),
            }
        }),
    );
    let (_server, _stop) = start(listener, router, limits());
    let answer = talk(&address, GET).await;
    assert!(
        answer.ends_with(&format!("Some({})", std::process::id())),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_sends_no_header_is_cut_off() {
    let (listener, address) = tcp().await;
    let (_server, _stop) = start(listener, hello(), limits());
    for beginning in ["", "P", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let begun = Instant::now();
        assert_eq!(talk(&address, beginning).await, "", "{beginning:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{beginning:?}");
    }
    // After an answered request the next header has the limit too.
    let mut stream = connect(&address).await;
    stream.write_all(GET_AND_STAY.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_may_wait_longer_than_a_header() {
    let (listener, address) = tcp().await;
    let limits = HttpLimits {
        header_timeout: Duration::from_millis(50),
        idle_timeout: Some(Duration::from_secs(60)),
        ..limits()
    };
    let (_server, _stop) = start(listener, hello(), limits);
    let mut stream = connect(&address).await;
    for _ in 0..2 {
        stream.write_all(GET_AND_STAY.as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].ends_with(b"hello"));
        // Nothing to wait for but time: the connection must outlive several header time-outs.
        let quiet = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut answer));
        assert!(quiet.await.is_err(), "the server closed an idle connection");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_own_limit() {
    let (listener, address) = tcp().await;
    let limits = HttpLimits {
        idle_timeout: Some(Duration::from_millis(100)),
        ..limits()
    };
    let (_server, _stop) = start(listener, hello(), limits);
    let mut stream = connect(&address).await;
    stream.write_all(GET_AND_STAY.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("hello"));
}

/// A handler that ends when told to, and says when it has begun.
fn slow() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go));
    let router = Router::new().route(
        "/",
        get(move |_: Request| async move {
            tell.notify_one();
            wait.notified().await;
            "done"
        }),
    );
    (router, begun, go)
}

#[tokio::test]
async fn a_request_under_way_may_finish_while_draining() {
    let (listener, address) = tcp().await;
    let (router, begun, go) = slow();
    let limits = HttpLimits {
        shutdown_timeout: LIMIT,
        ..limits()
    };
    let (server, stop) = start(listener, router, limits);
    let client = tokio::spawn(async move { talk(&address, GET_AND_STAY).await });
    begun.notified().await;
    stop.cancel();
    go.notify_one();
    assert!(client.await.unwrap().ends_with("done"));
    ended(server).await;
}

#[tokio::test]
async fn draining_has_a_deadline() {
    let (listener, address) = tcp().await;
    let (router, begun, _go) = slow();
    let (server, stop) = start(listener, router, limits());
    let client = tokio::spawn(async move { talk(&address, GET_AND_STAY).await });
    begun.notified().await;
    stop.cancel();
    ended(server).await;
    assert_eq!(client.await.unwrap(), "");
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let (listener, address) = tcp().await;
    let limits = HttpLimits {
        shutdown_timeout: LIMIT * 2,
        ..limits()
    };
    let (server, stop) = start(listener, hello(), limits);
    let mut stream = connect(&address).await;
    stream.write_all(GET_AND_STAY.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    stop.cancel();
    ended(server).await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_connection_from_before_the_shutdown_gets_its_first_answer() {
    let (listener, address) = tcp().await;
    let limits = HttpLimits {
        shutdown_timeout: LIMIT,
        ..limits()
    };
    let (server, stop) = start(listener, hello(), limits);
    // The second one is only answered after the first was taken, so that one is taken as well.
    let mut stream = connect(&address).await;
    assert!(talk(&address, GET).await.ends_with("hello"));
    stop.cancel();
    stream.write_all(GET_AND_STAY.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("hello"));
    ended(server).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let (listener, address) = tcp().await;
    let (router, begun, go) = slow();
    let limits = HttpLimits {
        max_connections: 1,
        ..limits()
    };
    let (_server, _stop) = start(listener, router, limits);
    let first = tokio::spawn({
        let address = address.clone();
        async move { talk(&address, GET).await }
    });
    begun.notified().await;
    let second = tokio::spawn(async move { talk(&address, GET).await });
    go.notify_one();
    assert!(first.await.unwrap().ends_with("done"));
    begun.notified().await;
    go.notify_one();
    assert!(second.await.unwrap().ends_with("done"));
}

#[tokio::test]
async fn a_body_that_is_refused_half_way_ends_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = unix(folder.path()).await;
    let router = Router::new().route(
        "/",
        axum::routing::post(|request: Request| async {
            let body = axum::body::to_bytes(request.into_body(), 4 << 20).await;
            if body.is_ok() { "fits" } else { "too large" }
        }),
    );
    let limits = HttpLimits {
        header_timeout: LIMIT,
        ..limits()
    };
    let (_server, _stop) = start(listener, router, limits);
    let begun = Instant::now();
    let body = "x".repeat(5 << 20);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = unix_stream(&address).await;
    // The server hangs up before everything is written.
    let _ = stream.write_all((head + &body).as_bytes()).await;
    assert!(read_to_end(&mut stream).await.ends_with("too large"));
    assert!(begun.elapsed() < Duration::from_secs(5));
}
