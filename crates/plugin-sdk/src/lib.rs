//! All that a plugin of RAT in Rust needs besides its own work.
//!
//! A plugin is a struct. It implements [`Plugin`] (its name, its configuration, its health) and the
//! trait of the slot that it fills: [`Auth`], [`Executor`], [`Sharing`], [`Enforcement`] or
//! [`Cloud`]. Its `main` is one line:
//!
//! ```no_run
//! use rat_plugin_sdk::auth::{AuthenticateRequest, AuthenticateResponse};
//! use rat_plugin_sdk::{Auth, Invalid, NoConfig, Plugin, Server, Status};
//!
//! struct Everybody;
//!
//! impl Plugin for Everybody {
//!     const NAME: &str = "auth-everybody";
//!     const VERSION: &str = env!("CARGO_PKG_VERSION");
//!     type Config = NoConfig;
//!
//!     async fn configure(_: NoConfig) -> Result<Self, Invalid> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Auth for Everybody {
//!     async fn authenticate(
//!         &self,
//!         request: AuthenticateRequest,
//!     ) -> Result<AuthenticateResponse, Status> {
//!         Ok(AuthenticateResponse {
//!             user_id: request.token,
//!             ..AuthenticateResponse::default()
//!         })
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     rat_plugin_sdk::serve(Server::<Everybody>::new().auth())
//! }
//! ```
//!
//! [`serve`] brings the rest, the same for every plugin:
//!
//! | What | How |
//! |---|---|
//! | gRPC and [Connect](connect) on one socket | every method answers `curl` with JSON too, over HTTP/1.1 and HTTP/2 |
//! | `grpc.health.v1`, server reflection | [`Plugin::health`] is behind both health services |
//! | configuration | from ratd, a file and the environment, checked against its JSON Schema: [`config`] |
//! | sockets | `--listen unix:/path`, `--listen host:port`, or systemd's (`LISTEN_FDS`) |
//! | systemd | READY once bound, STATUS from the health, STOPPING, WATCHDOG after a call to its own listener |
//! | SIGTERM | calls under way finish; connections to a socket of systemd wait for the successor |
//! | faults | a panic is INTERNAL for its caller and a line of log; deadlines end calls; calls are bounded |
//! | logs | JSON under systemd, readable on a terminal |
//!
//! It exits with 0 when it was asked to end, 1 after a fault, 2 for a wrong command line and 78
//! for a bad configuration, after naming every mistake in it.
//!
//! # Features
//!
//! | Feature | Default | |
//! |---|---|---|
//! | `testing` | no | [`testing`]: the plugin on a temporary socket, with clients |

pub mod config;
pub mod connect;
#[cfg(feature = "testing")]
pub mod testing;

mod arguments;
mod call;
mod control;
mod front;
mod health;
mod invalid;
mod live;
mod plugin;
mod process;
mod server;
mod slot;

pub use rat_proto::auth::v1 as auth;
pub use rat_proto::cloud::v1 as cloud;
pub use rat_proto::enforcement::v1 as enforcement;
pub use rat_proto::executor::v1 as executor;
pub use rat_proto::plugin::v1 as messages;
pub use rat_proto::runner::v1 as runner;
pub use rat_proto::sharing::v1 as sharing;
pub use tonic::{Code, Status};

pub use config::NoConfig;
pub use invalid::{Invalid, Problem};
pub use plugin::{Health, HealthStatus, Plugin};
pub use process::serve;
pub use server::Server;
pub use slot::{Auth, Cloud, Enforcement, Executor, ResponseStream, Sharing};
