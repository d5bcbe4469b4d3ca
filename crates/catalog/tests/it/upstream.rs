//! An external catalog: another one of ours, behind a server that can be told to misbehave.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode, Uri};
use rat_catalog::{Credentials, ExternalCatalog, rest};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use crate::support::{Lake, user};

/// What the external catalog wants in front of every path.
pub(crate) const PREFIX: &str = "some/prefix";

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is carried out, and the answer says this.
    Lost(u16),
    /// It is not carried out.
    Refused(u16),
    /// The connection is closed in the middle of the answer.
    BrokenOff,
    /// Nothing is wrong.
    None,
}

#[derive(Debug, Default)]
struct Behaviour {
    faults: Mutex<VecDeque<Fault>>,
    requests: Mutex<Vec<Heard>>,
    /// Tokens that are good; `None`: no token is wanted.
    token: Mutex<Option<String>>,
    granted: Mutex<u32>,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) path: String,
    pub(crate) body: Value,
}

pub(crate) struct Upstream {
    /// The tables and files.
    pub(crate) lake: Lake,
    behaviour: Arc<Behaviour>,
    origin: String,
    server: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(listener, origin).await
    }

    /// The same with TLS. Answers its certificate, too.
    pub(crate) async fn start_with_tls() -> (Self, String) {
        let (tls, certificate) = Tls::bind().await;
        let port = tls.tcp.local_addr().unwrap().port();
        let upstream = Self::serve(tls, format!("https://localhost:{port}")).await;
        (upstream, certificate)
    }

    async fn serve<L: Listener<Addr: std::fmt::Debug>>(listener: L, origin: String) -> Self {
        let lake = Lake::new().await;
        let behaviour = Arc::new(Behaviour::default());
        let served = Served {
            router: rest::router(lake.catalog.clone()),
            behaviour: behaviour.clone(),
        };
        let router = Router::new().fallback(answer).with_state(served);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            lake,
            behaviour,
            origin,
            server,
        }
    }

    pub(crate) fn with(&self, credentials: Credentials) -> ExternalCatalog {
        ExternalCatalog {
            uri: format!("{}/catalog/", self.origin).parse().unwrap(),
            warehouse: Some("a warehouse".to_owned()),
            credentials,
            authorities: None,
        }
    }

    /// A RAT in front of it, with a database of its own.
    pub(crate) async fn front(&self) -> Lake {
        self.lake.in_front_of(self.with(Credentials::None)).await
    }

    /// What is to become of the next requests, one after the other.
    pub(crate) fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.behaviour.faults.lock().unwrap() = faults.into_iter().collect();
    }

    pub(crate) fn wants_token(&self, token: &str) {
        *self.behaviour.token.lock().unwrap() = Some(token.to_owned());
    }

    /// Requests since this was asked last.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.behaviour.requests.lock().unwrap())
    }

    /// Commits among them.
    pub(crate) fn commits(&self) -> Vec<Value> {
        let is_commit = |heard: &Heard| heard.body.get("updates").is_some();
        let heard = self.heard().into_iter().filter(is_commit);
        heard.map(|heard| heard.body).collect()
    }

    /// Tokens that were given out.
    pub(crate) fn granted(&self) -> u32 {
        *self.behaviour.granted.lock().unwrap()
    }
}

/// A listener with a certificate of its own for `localhost`.
struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Tls {
    async fn bind() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let tls = Self {
            tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        (tls, made.cert.pem())
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

#[derive(Clone)]
struct Served {
    router: Router,
    behaviour: Arc<Behaviour>,
}

async fn answer(State(served): State<Served>, request: Request<Body>) -> Response {
    let Served { router, behaviour } = served;
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    if path == "/catalog/v1/oauth/tokens" {
        return behaviour.grant(std::str::from_utf8(&body).unwrap());
    }
    let wanted = behaviour.token.lock().unwrap().clone();
    let given = parts.headers.get(AUTHORIZATION).cloned();
    let wanted = wanted.map(|token| format!("Bearer {token}"));
    if wanted.is_some() && wanted.as_deref() != given.as_ref().and_then(|v| v.to_str().ok()) {
        return failure(401);
    }
    behaviour.requests.lock().unwrap().push(Heard {
        path: path.clone(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    if path.starts_with("/catalog/v1/config") {
        assert!(path.ends_with("?warehouse=a+warehouse"), "{path}");
        let config = json!({"overrides": {"prefix": PREFIX}, "defaults": {"prefix": "unused"}});
        return axum::Json(config).into_response();
    }
    let fault = behaviour.faults.lock().unwrap().pop_front();
    if let Some(Fault::Refused(status)) = fault {
        return failure(status);
    }
    let path = path.replace(&format!("/catalog/v1/{PREFIX}/"), "/v1/");
    parts.uri = path.parse::<Uri>().unwrap();
    parts.extensions.insert(user());
    let request = Request::from_parts(parts, Body::from(body));
    let response = router.oneshot(request).await.unwrap();
    match fault {
        Some(Fault::Lost(status)) => failure(status),
        Some(Fault::BrokenOff) => {
            let broken = std::io::Error::other("broken off");
            let chunks = [Ok("{\"metadata-loc"), Err(broken)];
            Body::from_stream(futures::stream::iter(chunks)).into_response()
        }
        _ => response,
    }
}

impl Behaviour {
    fn grant(&self, form: &str) -> Response {
        let expected = "grant_type=client_credentials&client_id=rat&client_secret=s3cret&scope=all";
        if form != expected {
            let error = json!({"error": "invalid_client", "error_description": form});
            return (StatusCode::BAD_REQUEST, axum::Json(error)).into_response();
        }
        let mut granted = self.granted.lock().unwrap();
        *granted += 1;
        let token = format!("token-{granted}");
        axum::Json(json!({"access_token": token, "token_type": "bearer", "expires_in": 3600}))
            .into_response()
    }
}

fn failure(status: u16) -> Response {
    let body = json!({"error": {"message": "as told", "type": "Told", "code": status}});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}
