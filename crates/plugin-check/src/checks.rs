//! The checks, a module for each subject.

pub(crate) mod auth;
pub(crate) mod cloud;
pub(crate) mod enforcement;
pub(crate) mod executor;
pub(crate) mod health;
pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod optional;
pub(crate) mod restart;
pub(crate) mod sharing;
pub(crate) mod slot;
pub(crate) mod standard;

/// Where sentences stand.
const PLUGIN_PROTO: &str = "proto/plugin/v1/plugin.proto";
const AUTH_PROTO: &str = "proto/auth/v1/auth.proto";
const EXECUTOR_PROTO: &str = "proto/executor/v1/executor.proto";
const SHARING_PROTO: &str = "proto/sharing/v1/sharing.proto";
const ENFORCEMENT_PROTO: &str = "proto/enforcement/v1/enforcement.proto";
const CLOUD_PROTO: &str = "proto/cloud/v1/cloud.proto";
