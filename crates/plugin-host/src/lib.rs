//! The plugin host: what stands in ratd's five slots.
//!
//! [`Host`] reads the plugins of the settings, keeps a connection to each, asks each how it is and
//! puts it, or what `on_down` says, into its slot. The consumers of the slots (`rat-api`,
//! `rat-scheduler`) see their own traits and nothing of plugins.
//!
//! From the outside in: a `slot` adapter turns a consumer's question into a message; a `plugin`
//! refuses while it is down; a `connection` chooses a replica and knows what may be sent again; a
//! `replica` is connected when it has to be, and greeted; a `session` speaks gRPC or Connect.
//!
//! What is guaranteed: with `on_down: deny` nothing passes that the plugin did not allow; a plugin
//! never keeps ratd from starting, stopping or answering; whatever a plugin sends, it is bounded in
//! time, in memory and in what it does to a log.
//!
//! Deliberately not here: starting or supervising plugins, which systemd does, and any knowledge
//! of what a token, a grant or a run is.

mod cache;
mod call;
mod connection;
mod dial;
mod event;
mod frame;
mod greeting;
mod health;
mod host;
mod method;
mod metrics;
mod options;
mod plugin;
mod record;
mod replica;
mod resolve;
mod session;
mod slot;
mod text;
mod tls;

pub use dial::Endpoint;
pub use event::Event;
pub use host::{Host, Needs, Source};
pub use metrics::Metrics;
pub use options::Options;
pub use resolve::{Resolve, SystemResolver};
