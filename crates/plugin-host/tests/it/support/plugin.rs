//! A plugin for every slot that does as it is told, on a runtime of its own: dropping that is what
//! the death of a process looks like from the outside.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rat_proto::auth::v1::auth_service_server::{AuthService, AuthServiceServer};
use rat_proto::auth::v1::{
    AuthenticateRequest, AuthenticateResponse, AuthorizeRequest, AuthorizeResponse,
};
use rat_proto::cloud::v1::cloud_service_server::{CloudService, CloudServiceServer};
use rat_proto::enforcement::v1::enforcement_service_server::{
    EnforcementService, EnforcementServiceServer,
};
use rat_proto::enforcement::v1::{
    BatchCanAccessRequest, BatchCanAccessResponse, CanAccessRequest, CanAccessResponse,
    GetCredentialsRequest, GetCredentialsResponse,
};
use rat_proto::plugin::v1::plugin_service_server::{PluginService, PluginServiceServer};
use rat_proto::plugin::v1::{
    ConfigureRequest, ConfigureResponse, DescribeRequest, DescribeResponse, HealthCheckRequest,
    HealthCheckResponse,
};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// How long the death of a plugin may take.
const ENDING: Duration = Duration::from_secs(5);

pub(crate) const FAR: i64 = 32_503_680_000;

/// What a batch is answered with, from its right verdicts.
pub(crate) type Verdicts = fn(Vec<bool>) -> Result<Vec<bool>, Status>;

/// What the plugin does, and what it heard.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) health: Mutex<(String, String)>,
    /// Milliseconds before a health check is answered.
    pub(crate) health_delay: AtomicU64,
    pub(crate) checks: AtomicUsize,
    /// Milliseconds before anything of a slot is answered.
    pub(crate) delay: AtomicU64,
    /// Calls of a slot's service, when they arrive.
    pub(crate) calls: AtomicUsize,
    /// The error that Configure is answered with.
    pub(crate) configure: Mutex<Option<Status>>,
    pub(crate) configurations: Mutex<Vec<String>>,
    pub(crate) describe: Mutex<Option<DescribeResponse>>,
    /// Whether a slot was asked before the plugin had its configuration.
    pub(crate) asked_too_early: AtomicBool,
    /// The error that a slot's calls are answered with.
    pub(crate) error: Mutex<Option<Status>>,
    pub(crate) expires_at: Mutex<i64>,
    /// Bytes of the name in an answer.
    pub(crate) size: AtomicUsize,
    /// The user of an answer; by default it is made of the token.
    pub(crate) user: Mutex<Option<String>>,
    pub(crate) authorize: Mutex<Result<bool, Status>>,
    /// Ids of resources that are allowed.
    pub(crate) allowed: Mutex<Vec<String>>,
    /// What becomes of a batch: its verdicts.
    pub(crate) batch: Mutex<Verdicts>,
    pub(crate) batches: Mutex<Vec<usize>>,
    pub(crate) credentials: Mutex<Result<i64, Status>>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            health: Mutex::new(("healthy".to_owned(), "all well".to_owned())),
            health_delay: AtomicU64::new(0),
            checks: AtomicUsize::new(0),
            delay: AtomicU64::new(0),
            calls: AtomicUsize::new(0),
            configure: Mutex::new(None),
            configurations: Mutex::default(),
            describe: Mutex::new(None),
            asked_too_early: AtomicBool::new(false),
            error: Mutex::new(None),
            expires_at: Mutex::new(0),
            size: AtomicUsize::new(0),
            user: Mutex::new(None),
            authorize: Mutex::new(Err(Status::unimplemented("no Authorize"))),
            allowed: Mutex::default(),
            batch: Mutex::new(Ok),
            batches: Mutex::default(),
            credentials: Mutex::new(Ok(FAR)),
        }
    }
}

impl Script {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn be(&self, status: &str, message: &str) {
        *self.health.lock().unwrap() = (status.to_owned(), message.to_owned());
    }

    pub(crate) fn fail(&self, status: Status) {
        *self.error.lock().unwrap() = Some(status);
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn checks(&self) -> usize {
        self.checks.load(Ordering::SeqCst)
    }

    pub(crate) fn configurations(&self) -> Vec<String> {
        self.configurations.lock().unwrap().clone()
    }

    pub(crate) async fn asked(&self) -> Result<(), Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.configurations.lock().unwrap().is_empty() {
            self.asked_too_early.store(true, Ordering::SeqCst);
        }
        pause(&self.delay).await;
        match &*self.error.lock().unwrap() {
            Some(status) => Err(status.clone()),
            None => Ok(()),
        }
    }
}

async fn pause(milliseconds: &AtomicU64) {
    let milliseconds = milliseconds.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// The plugin's services.
#[derive(Debug, Clone)]
pub(crate) struct Services(pub(crate) Arc<Script>);

#[tonic::async_trait]
impl PluginService for Services {
    async fn health_check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.0.checks.fetch_add(1, Ordering::SeqCst);
        pause(&self.0.health_delay).await;
        let (status, message) = self.0.health.lock().unwrap().clone();
        Ok(Response::new(HealthCheckResponse { status, message }))
    }

    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let description = self.0.describe.lock().unwrap().clone();
        let none = || Status::unimplemented("no Describe");
        description.map(Response::new).ok_or_else(none)
    }

    async fn configure(
        &self,
        request: Request<ConfigureRequest>,
    ) -> Result<Response<ConfigureResponse>, Status> {
        let config = request.into_inner().config;
        self.0.configurations.lock().unwrap().push(config);
        match &*self.0.configure.lock().unwrap() {
            Some(status) => Err(status.clone()),
            None => Ok(Response::new(ConfigureResponse {})),
        }
    }
}

#[tonic::async_trait]
impl AuthService for Services {
    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        self.0.asked().await?;
        let user = self.0.user.lock().unwrap().clone();
        Ok(Response::new(AuthenticateResponse {
            user_id: user.unwrap_or_else(|| format!("user-of-{}", request.get_ref().token)),
            roles: vec!["analyst".to_owned()],
            display_name: "x".repeat(self.0.size.load(Ordering::SeqCst)),
            expires_at: *self.0.expires_at.lock().unwrap(),
            ..AuthenticateResponse::default()
        }))
    }

    async fn authorize(
        &self,
        _: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        self.0.asked().await?;
        let allowed = self.0.authorize.lock().unwrap().clone()?;
        let reason = "because".to_owned();
        Ok(Response::new(AuthorizeResponse { allowed, reason }))
    }
}

#[tonic::async_trait]
impl EnforcementService for Services {
    async fn can_access(
        &self,
        request: Request<CanAccessRequest>,
    ) -> Result<Response<CanAccessResponse>, Status> {
        self.0.asked().await?;
        let allowed = self.0.allowed.lock().unwrap();
        Ok(Response::new(CanAccessResponse {
            allowed: allowed.contains(&request.get_ref().resource_id),
            reason: "no\ngrant".to_owned(),
        }))
    }

    async fn batch_can_access(
        &self,
        request: Request<BatchCanAccessRequest>,
    ) -> Result<Response<BatchCanAccessResponse>, Status> {
        self.0.asked().await?;
        let resources = request.into_inner().resources;
        self.0.batches.lock().unwrap().push(resources.len());
        let allowed = self.0.allowed.lock().unwrap().clone();
        let verdicts = resources.iter();
        let verdicts = verdicts.map(|resource| allowed.contains(&resource.resource_id));
        let batch = *self.0.batch.lock().unwrap();
        let allowed = batch(verdicts.collect())?;
        Ok(Response::new(BatchCanAccessResponse { allowed }))
    }

    async fn get_credentials(
        &self,
        request: Request<GetCredentialsRequest>,
    ) -> Result<Response<GetCredentialsResponse>, Status> {
        self.hand_out("enforcement", request).await
    }
}

#[tonic::async_trait]
impl CloudService for Services {
    async fn get_credentials(
        &self,
        request: Request<GetCredentialsRequest>,
    ) -> Result<Response<GetCredentialsResponse>, Status> {
        self.hand_out("cloud", request).await
    }
}

impl Services {
    async fn hand_out(
        &self,
        who: &str,
        request: Request<GetCredentialsRequest>,
    ) -> Result<Response<GetCredentialsResponse>, Status> {
        self.0.asked().await?;
        let expires_at = self.0.credentials.lock().unwrap().clone()?;
        let request = request.into_inner();
        let key = format!("{who}:{}:{}", request.user_id, request.resource);
        Ok(Response::new(GetCredentialsResponse {
            credentials: [("AWS_ACCESS_KEY_ID".to_owned(), key)].into(),
            expires_at,
        }))
    }

    /// Everything that it has.
    pub(crate) fn routes(&self) -> Routes {
        const LARGE: usize = 64 << 20;
        let auth = AuthServiceServer::new(self.clone()).max_encoding_message_size(LARGE);
        Routes::new(PluginServiceServer::new(self.clone()))
            .add_service(auth)
            .add_service(EnforcementServiceServer::new(self.clone()))
            .add_service(CloudServiceServer::new(self.clone()))
            .add_service(super::super::sharing::server(self))
            .add_service(super::super::executor::server(self))
    }
}

/// A server, alive until it is killed or dropped.
#[derive(Debug)]
pub(crate) struct Served {
    runtime: Option<Runtime>,
    stop: CancellationToken,
}

impl Served {
    /// On a new Unix socket.
    pub(crate) fn unix(path: &Path, script: &Arc<Script>) -> Self {
        let _ = std::fs::remove_file(path);
        Self::on(UnixListener::bind(path).unwrap(), script)
    }

    /// On a socket that somebody else holds open.
    pub(crate) fn on(listener: UnixListener, script: &Arc<Script>) -> Self {
        Self::serve(listener, Services(Arc::clone(script)).routes())
    }

    pub(crate) fn serve(listener: UnixListener, routes: Routes) -> Self {
        listener.set_nonblocking(true).unwrap();
        Self::spawn(async move |stop: CancellationToken| {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            let incoming = UnixListenerStream::new(listener);
            let server = Server::builder().add_routes(routes);
            let served = server.serve_with_incoming_shutdown(incoming, stop.cancelled());
            served.await.unwrap();
        })
    }

    pub(crate) fn tcp(listener: TcpListener, script: &Arc<Script>) -> Self {
        let routes = Services(Arc::clone(script)).routes();
        listener.set_nonblocking(true).unwrap();
        Self::spawn(async move |stop: CancellationToken| {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let incoming = TcpListenerStream::new(listener);
            let server = Server::builder().add_routes(routes);
            let served = server.serve_with_incoming_shutdown(incoming, stop.cancelled());
            served.await.unwrap();
        })
    }

    /// Anything else that serves.
    pub(crate) fn spawn<F>(serve: impl FnOnce(CancellationToken) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let stop = CancellationToken::new();
        let token = stop.clone();
        runtime.spawn(async move { serve(token).await });
        Self {
            runtime: Some(runtime),
            stop,
        }
    }

    /// Asks it to finish what it does and take nothing new.
    pub(crate) fn drain(&self) {
        self.stop.cancel();
    }

    /// Every connection breaks off.
    pub(crate) fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread that may wait: once this returns nothing of it is left.
            let ended = std::thread::spawn(move || runtime.shutdown_timeout(ENDING));
            ended.join().unwrap();
        }
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}

/// A listener on a free port of loopback.
pub(crate) fn port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Credentials without their wrapping.
pub(crate) fn plain(values: &BTreeMap<String, rat_types::Secret>) -> BTreeMap<&str, &str> {
    let values = values.iter();
    values
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect()
}
