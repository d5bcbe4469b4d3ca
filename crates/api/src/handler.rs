//! The handlers, a module per subject. What a route answers is documented in
//! `docs/reference/http-api.md`; which handler it has stands in [`crate::route`].

pub(crate) mod audit;
pub(crate) mod cloud;
pub(crate) mod file;
pub(crate) mod health;
pub(crate) mod meta;
pub(crate) mod metrics;
pub(crate) mod namespace;
pub(crate) mod pipeline;
pub(crate) mod plugin;
pub(crate) mod query;
pub(crate) mod run;
pub(crate) mod run_log;
pub(crate) mod sharing;
pub(crate) mod table;
pub(crate) mod validation;
pub(crate) mod zone;
pub(crate) mod zone_file;
