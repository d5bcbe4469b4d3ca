//! The API over real connections, served as ratd serves it.

use std::net::SocketAddr;
use std::time::Duration;

use rat_service::http::{HttpLimits, serve};
use rat_service::listen::bind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::support::{Api, Setup, api, wait_for};

struct Served {
    api: Api,
    address: SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

async fn serve_api(api: Api) -> Served {
    let listener = bind(&"127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let address = listener.local_address().to_string().parse().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(
        listener,
        api.router.clone(),
        HttpLimits::default(),
        stop.clone(),
    ));
    Served {
        api,
        address,
        stop,
        server,
    }
}

impl Served {
    /// Sends the text and reads what comes back until the connection is closed.
    async fn exchange(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may refuse before it has read everything.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ =
            tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn end(self) {
        self.stop.cancel();
        self.server.await.unwrap();
    }
}

#[tokio::test]
async fn requests_over_a_connection_carry_their_address() {
    let served = serve_api(
        Setup {
            configure: |config| {
                let one = std::num::NonZeroU32::MIN;
                config.rate_limit = Some(rat_config::RateLimit {
                    requests_per_second: one,
                    burst: one,
                });
            },
            ..Setup::default()
        }
        .start()
        .await,
    )
    .await;
    let get = "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(served.exchange(get, b"").await.starts_with("HTTP/1.1 200"));
    assert!(served.exchange(get, b"").await.starts_with("HTTP/1.1 429"));
    served.end().await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_answered_and_not_cut_off() {
    let served = serve_api(api().await).await;
    let head = "POST /api/v1/namespaces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: 2000000\r\n\r\n";
    let answer = served.exchange(head, b"").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("\"INVALID_ARGUMENT\""), "{answer}");
    served.end().await;
}

#[tokio::test]
async fn a_head_request_has_no_body_on_the_wire() {
    let served = serve_api(api().await).await;
    for path in [
        "/api/v1/nothing",
        "/iceberg/v1/namespaces/default%1Fgold/tables/none",
    ] {
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = served.exchange(&head, b"").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
    served.end().await;
}

#[tokio::test]
async fn hanging_up_cancels_the_query() {
    let served = serve_api(api().await).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let post = "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 14\r\n\r\n{\"sql\":\"hang\"}";

    stream.write_all(post.as_bytes()).await.unwrap();
    wait_for("the query has arrived", || async {
        served.api.ratq.count() == 1
    })
    .await;
    drop(stream);
    wait_for("the query is cancelled", || async {
        served.api.ratq.cancelled() == 1
    })
    .await;
    served.end().await;
}
