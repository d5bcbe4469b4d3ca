//! Settings of RAT: the text of `rat.yaml` and the `RAT_*` variables in, validated settings out.
//!
//! ```text
//! text ── outline (positions, structure) ── serde_yaml (values) ── JSON Schema ─┐
//! RAT_* variables ────────────────────────────────────────────── JSON Schema ──┼─ wire structs
//!                                                                              └─ validate ── Settings
//! ```
//!
//! A wrong setting that surfaces hours later is the most expensive kind, so the whole text is
//! judged before anything starts: unknown keys, wrong types and impossible values are all
//! reported at once, each with its path and with line and column. What is broken is set aside so
//! that the rest can still be judged.
//!
//! Pure: whoever calls brings the text and the environment. Nothing here opens a file, resolves a
//! name or reads a secret; secrets are only ever names of files ([`FileReference`]).

mod address;
mod cidr;
mod dump;
mod environment;
mod load;
mod outline;
mod problem;
mod reference;
mod schema;
mod settings;
mod source;
mod text;
mod units;
mod validate;
mod wire;

pub use bytesize::ByteSize;

pub use address::{Address, InvalidAddress, PluginAddress};
pub use cidr::{Cidr, InvalidCidr};
pub use dump::dump;
pub use environment::{ENVIRONMENT, EnvVar, READ_ELSEWHERE};
pub use problem::{Origin, Position, Problem, Problems};
pub use reference::{FileReference, InvalidFileReference, resolve_secret_path};
pub use schema::{best_branch, json_schema};
pub use settings::{
    Auth, Catalog, CatalogAccess, Database, DatabaseSource, InvalidPluginName, Log, LogFormat,
    LogLevel, Login, OnDown, Plugin, PluginConfig, PluginHealth, PluginName, PluginTls, Protocol,
    RateLimit, Ratq, RestCatalog, Runner, Scheduler, Server, Settings, Slot, Storage,
};
