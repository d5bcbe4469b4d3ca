//! The public HTTP API of ratd: `/api/v1`, the health probes, and the Iceberg catalog as its
//! users see it.
//!
//! [`router`] is everything that the public listener serves. A request passes the chain of
//! [`middleware`] in a fixed order, is authenticated by an [`Authenticator`], and a handler that
//! touches something asks an [`Enforcer`]; both have a built-in and can be replaced. [`ROUTES`] is
//! the table from which the router is built.
//!
//! Deliberately not here: SQL of users (ratq's), the rules of the catalog (`rat-catalog`'s), when
//! a run starts and how it ends (`rat-scheduler`'s), and the internal listener, which has other
//! callers and other credentials.

mod access;
mod audit;
mod blocking;
mod down;
mod enforcement;
mod error;
mod extract;
mod fault;
mod graph;
mod grpc;
mod handler;
mod health;
mod landing_path;
mod limit;
mod log_stream;
mod middleware;
mod ownership;
mod parameter;
mod query;
mod references;
mod route;
mod router;
mod slot;
mod source_path;
mod state;
mod time;
mod upload;

pub use access::{AccessError, Action, AllowAll, Enforcer, Permission, Resource, ResourceKind};
pub use audit::{Audit, AuditConfig, AuditEvent, AuditWriter};
pub use down::{AuthenticationDown, EnforcementDown};
pub use enforcement::Enforcement;
pub use middleware::authentication::{
    ApiKey, AuthenticationError, Authenticator, Verification, Verified,
};
pub use middleware::request_id::current_request_id;
pub use route::{Guard, ROUTES, Route};
pub use router::router;
pub use slot::{
    CloudCredentials, Credentials, CredentialsRequest, Grant, GrantFilter, GrantPermission,
    Grantee, Holder, NewGrant, NoCredentials, NoPlugins, NoSharing, Plugins, ReloadError, Reloaded,
    Sharing, SlotError, SlotState,
};
pub use state::{AppState, Config, Parts};
