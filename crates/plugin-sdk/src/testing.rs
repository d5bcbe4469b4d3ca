//! A plugin on a temporary socket, in the test's own process, with clients for everything.
//!
//! ```no_run
//! # use rat_plugin_sdk::{Auth, Plugin, Server, testing::Harness};
//! # async fn example<P: Auth>() {
//! let plugin = Harness::start(Server::<P>::new().auth(), serde_json::json!({})).await.unwrap();
//! let health = plugin.control().health_check(rat_plugin_sdk::messages::HealthCheckRequest {}).await.unwrap();
//! let answer = plugin
//!     .post("/rat.auth.v1.AuthService/Authenticate", &serde_json::json!({"token": "t"}))
//!     .await;
//! assert_eq!(answer.status, 200);
//! plugin.stop().await;
//! # }
//! ```

mod connect;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rat_config::Address;
use rat_proto::auth::v1::auth_service_client::AuthServiceClient;
use rat_proto::cloud::v1::cloud_service_client::CloudServiceClient;
use rat_proto::enforcement::v1::enforcement_service_client::EnforcementServiceClient;
use rat_proto::executor::v1::executor_service_client::ExecutorServiceClient;
use rat_proto::plugin::v1::plugin_service_client::PluginServiceClient;
use rat_proto::sharing::v1::sharing_service_client::SharingServiceClient;
use rat_service::{grpc, listen};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::config::{Schema, Sources};
use crate::live::Live;
use crate::process::serve_all;
use crate::{Invalid, Plugin, Server};

pub use connect::{Answer, Version};

/// How long draining may take in a test.
const DRAIN: Duration = Duration::from_secs(10);

/// A running plugin. Dropping it ends it at once; [`Self::stop`] ends it in order.
#[derive(Debug)]
pub struct Harness {
    folder: tempfile::TempDir,
    channel: Channel,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

impl Harness {
    /// Starts a plugin with `config` as if it came from a file; keys that are missing may come by
    /// `Configure`.
    ///
    /// # Errors
    /// The configuration is not valid.
    ///
    /// # Panics
    /// There can be no socket in the folder for temporary files.
    pub async fn start<P: Plugin>(server: Server<P>, config: Value) -> Result<Self, Invalid> {
        let live = Live::<P>::new(Schema::of::<P::Config>(), Sources::given(P::NAME, config));
        live.start().await?;
        let shutdown = CancellationToken::new();
        let (front, _) = server.assemble(&live, Vec::new(), "test", &shutdown);
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let address = Address::Unix(socket(folder.path()));
        let listener = listen::bind(&address, None)
            .await
            .expect("a new folder takes a socket");
        let stop = shutdown.clone();
        let server = tokio::spawn(async move {
            serve_all(vec![listener], front, DRAIN, stop).await;
            if let Some(plugin) = live.current() {
                plugin.stop().await;
            }
        });
        Ok(Self {
            channel: grpc::channel(&address).expect("a path is a valid address"),
            folder,
            shutdown,
            server,
        })
    }

    /// The plugin's socket.
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// A gRPC channel to the plugin, for services of its own.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// What every plugin answers.
    pub fn control(&self) -> PluginServiceClient<Channel> {
        PluginServiceClient::new(self.channel())
    }

    /// The auth slot.
    pub fn auth(&self) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(self.channel())
    }

    /// The executor slot.
    pub fn executor(&self) -> ExecutorServiceClient<Channel> {
        ExecutorServiceClient::new(self.channel())
    }

    /// The sharing slot.
    pub fn sharing(&self) -> SharingServiceClient<Channel> {
        SharingServiceClient::new(self.channel())
    }

    /// The enforcement slot.
    pub fn enforcement(&self) -> EnforcementServiceClient<Channel> {
        EnforcementServiceClient::new(self.channel())
    }

    /// The cloud slot.
    pub fn cloud(&self) -> CloudServiceClient<Channel> {
        CloudServiceClient::new(self.channel())
    }

    /// Calls a method over Connect with JSON and HTTP/1.1, as `curl` does.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn post(&self, path: &str, message: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        let body = message.to_string();
        self.request(Version::Http1, path, &headers, body).await
    }

    /// Sends any POST over HTTP.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn request(
        &self,
        version: Version,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Answer {
        connect::send(&self.socket(), version, path, headers, body.into()).await
    }

    /// Asks the plugin to end, as SIGTERM does.
    pub fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Ends the plugin and waits until its calls have ended.
    ///
    /// # Panics
    /// The server panicked.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.server.await.expect("the server does not panic");
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("plugin.sock")
}
