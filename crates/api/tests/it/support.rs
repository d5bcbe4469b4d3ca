//! A whole API on a temporary SQLite database and lake, with a query service that does what its
//! SQL says.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use rat_api::{
    AccessError, Action, AllowAll, ApiKey, AppState, Audit, AuditConfig, Authenticator,
    CloudCredentials, Config, Enforcement, Enforcer, NoCredentials, NoPlugins, NoSharing, Parts,
    Plugins, Resource, Sharing,
};
use rat_catalog::Catalog;
use rat_scheduler::{Executors, QueryTokens};
use rat_service::listen::Peer;
use rat_store::Store;
use rat_types::{Identity, Secret};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt as _;

use crate::executor::Idle;
use crate::ratq::FakeRatq;

/// What differs from the usual installation.
pub(crate) struct Setup {
    pub(crate) key: Option<&'static str>,
    /// In the place of the API key.
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) enforcer: Arc<dyn Enforcer>,
    pub(crate) sharing: Arc<dyn Sharing>,
    pub(crate) cloud: Arc<dyn CloudCredentials>,
    pub(crate) plugins: Arc<dyn Plugins>,
    /// Whether there is a runner.
    pub(crate) runner: bool,
    pub(crate) configure: fn(&mut Config),
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            key: None,
            authenticator: None,
            enforcer: Arc::new(AllowAll),
            sharing: Arc::new(NoSharing),
            cloud: Arc::new(NoCredentials),
            plugins: Arc::new(NoPlugins),
            runner: false,
            configure: |_| {},
        }
    }
}

pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) tokens: QueryTokens,
    pub(crate) ratq: FakeRatq,
    pub(crate) enforcement: Enforcement,
    pub(crate) shutdown: CancellationToken,
    pub(crate) folder: TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the status and answers the JSON.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        match self.body.is_empty() {
            true => Value::Null,
            false => self.json(),
        }
    }

    /// Asserts that this is RAT's error envelope with that status and code; answers its message.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> String {
        let json = self.expect(status);
        let error = &json["error"];
        assert_eq!(error["code"], code, "{json}");
        assert!(error["type"].is_string(), "{json}");
        error["message"].as_str().expect("a message").to_owned()
    }
}

pub(crate) async fn api() -> Api {
    Setup::default().start().await
}

impl Setup {
    pub(crate) async fn start(self) -> Api {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("rat.db").display());
        let store = Store::open(&url.parse().unwrap()).await.unwrap();
        let lake = folder.path().join("lake");
        std::fs::create_dir(&lake).unwrap();
        let root = url_of(&lake);
        let catalog = Catalog::new(store.clone(), &root).unwrap();
        let tokens = QueryTokens::new(16);
        let ratq = FakeRatq::start().await;
        let mut config = config();
        (self.configure)(&mut config);
        let scheduler_config =
            rat_scheduler::Config::new("unix:/nowhere".to_owned(), catalog.warehouse().clone());
        let executors = Executors::new(Arc::new(Idle));
        let (_, scheduler) = rat_scheduler::Service::new(
            scheduler_config,
            store.clone(),
            catalog.clone(),
            executors,
        );
        let shutdown = CancellationToken::new();
        let (audit, writer) = Audit::new(store.clone(), AuditConfig::default());
        tokio::spawn(writer.run(shutdown.clone()));
        let key = self.key.map(Secret::new);
        let built_in: Arc<dyn Authenticator> = Arc::new(ApiKey::new(key.as_ref()));
        let enforcement = Enforcement::new(store.clone(), self.enforcer.clone(), audit.clone());
        let state = AppState::new(Parts {
            config,
            store: store.clone(),
            catalog,
            scheduler,
            query_tokens: tokens.clone(),
            runner: if self.runner {
                ratq.channel()
            } else {
                unreachable_channel()
            },
            ratq: ratq.channel(),
            authenticator: self.authenticator.unwrap_or(built_in),
            enforcer: self.enforcer,
            sharing: self.sharing,
            cloud: self.cloud,
            plugins: self.plugins,
            audit,
            shutdown: shutdown.clone(),
        });
        let router = rat_api::router(state);
        Api {
            router,
            store,
            tokens,
            ratq,
            enforcement,
            shutdown,
            folder,
        }
    }
}

fn url_of(path: &std::path::Path) -> url::Url {
    url::Url::from_file_path(path).unwrap()
}

fn config() -> Config {
    Config {
        login: None,
        cors_origins: vec!["http://localhost:3000".to_owned()],
        listen_host: Some("127.0.0.1".to_owned()),
        trusted_proxies: Vec::new(),
        rate_limit: None,
        body_limit: 1024 * 1024,
        iceberg_body_limit: 8 * 1024 * 1024,
        upload_limit: 1024 * 1024 * 1024,
        upload_idle_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(30),
        query_timeout: Duration::from_secs(30),
        query_max_rows: 100_000,
        control_plane: "unix:/nowhere".to_owned(),
        version: "1.2.3".to_owned(),
        git_commit: "abc".to_owned(),
        build_time: "2026-01-31T08:00:00Z".to_owned(),
    }
}

fn unreachable_channel() -> Channel {
    // Port 1 is privileged and nobody's; the channel connects at the first call.
    Endpoint::from_static("http://127.0.0.1:1")
        .connect_timeout(Duration::from_millis(500))
        .connect_lazy()
}

impl Api {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.open(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// The answer with its body still to be read.
    pub(crate) async fn open(&self, mut request: Request<Body>) -> axum::response::Response {
        if request.extensions().get::<Peer>().is_none() {
            request.extensions_mut().insert(peer([127, 0, 0, 1].into()));
        }
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(json(Method::POST, path, &body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(json(Method::PUT, path, &body)).await
    }

    /// A pipeline with this SQL.
    pub(crate) async fn pipeline(&self, ident: &str, sql: &str) {
        let parts: Vec<&str> = ident.split('.').collect();
        let body = serde_json::json!({
            "namespace": parts[0], "layer": parts[1], "name": parts[2], "source": sql,
        });
        self.post("/api/v1/pipelines", body).await.expect(201);
    }

    pub(crate) fn lake(&self) -> std::path::PathBuf {
        self.folder.path().join("lake")
    }
}

pub(crate) fn peer(address: IpAddr) -> Peer {
    Peer::Tcp(SocketAddr::new(address, 40_000))
}

pub(crate) fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap()
}

pub(crate) fn json(method: Method, path: &str, body: &Value) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub(crate) fn with(mut request: Request<Body>, name: &str, value: &str) -> Request<Body> {
    let name: HeaderName = name.parse().unwrap();
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

/// Waits until `condition` holds.
pub(crate) async fn wait_for<F, Fut>(what: &str, condition: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    let ends = tokio::time::Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(
            tokio::time::Instant::now() < ends,
            "waited too long until {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Remembers what was asked, and allows or denies all of it.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) asked: Mutex<Vec<(Resource, Action)>>,
    pub(crate) denies: bool,
}

impl Enforcer for Recorder {
    fn check<'a>(
        &'a self,
        identity: &'a Identity,
        resource: &'a Resource,
        action: Action,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        self.asked.lock().unwrap().push((resource.clone(), action));
        let answer = match self.denies {
            false => Ok(()),
            true => Err(AccessError::Denied {
                user: identity.user_id.clone(),
                action: action.as_str(),
                resource: resource.id.clone(),
                reason: "a recorder denies everything".to_owned(),
            }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn filter<'a>(
        &'a self,
        _: &'a Identity,
        resources: &'a [Resource],
        action: Action,
    ) -> BoxFuture<'a, Result<Vec<bool>, AccessError>> {
        let mut asked = self.asked.lock().unwrap();
        asked.extend(resources.iter().map(|resource| (resource.clone(), action)));
        Box::pin(std::future::ready(Ok(vec![!self.denies; resources.len()])))
    }

    fn ready(&self) -> Result<(), AccessError> {
        Ok(())
    }

    fn is_active(&self) -> bool {
        true
    }
}
