//! The methods of the contracts, and which of them may be executed twice.

use crate::call::Method;

pub(crate) const HEALTH_CHECK: Method =
    Method::idempotent("/rat.plugin.v1.PluginService/HealthCheck");
pub(crate) const DESCRIBE: Method = Method::idempotent("/rat.plugin.v1.PluginService/Describe");
pub(crate) const CONFIGURE: Method = Method::idempotent("/rat.plugin.v1.PluginService/Configure");

pub(crate) const AUTHENTICATE: Method = Method::idempotent("/rat.auth.v1.AuthService/Authenticate");
pub(crate) const AUTHORIZE: Method = Method::idempotent("/rat.auth.v1.AuthService/Authorize");

pub(crate) const CAN_ACCESS: Method =
    Method::idempotent("/rat.enforcement.v1.EnforcementService/CanAccess");
pub(crate) const BATCH_CAN_ACCESS: Method =
    Method::idempotent("/rat.enforcement.v1.EnforcementService/BatchCanAccess");
/// Not idempotent: every execution hands out something that is valid.
pub(crate) const ENFORCEMENT_CREDENTIALS: Method =
    Method::once("/rat.enforcement.v1.EnforcementService/GetCredentials");
pub(crate) const CLOUD_CREDENTIALS: Method =
    Method::once("/rat.cloud.v1.CloudService/GetCredentials");

pub(crate) const SHARE: Method = Method::once("/rat.sharing.v1.SharingService/ShareResource");
pub(crate) const REVOKE: Method = Method::once("/rat.sharing.v1.SharingService/RevokeAccess");
pub(crate) const LIST_ACCESS: Method =
    Method::idempotent("/rat.sharing.v1.SharingService/ListAccess");
pub(crate) const TRANSFER: Method =
    Method::once("/rat.sharing.v1.SharingService/TransferOwnership");

/// Not repeated here: the scheduler knows what an attempt that may have been heard means.
pub(crate) const SUBMIT: Method = Method::once("/rat.executor.v1.ExecutorService/Submit");
pub(crate) const CANCEL: Method = Method::idempotent("/rat.executor.v1.ExecutorService/Cancel");
pub(crate) const RUN_STATUS: Method =
    Method::idempotent("/rat.executor.v1.ExecutorService/GetRunStatus");
pub(crate) const STREAM_LOGS: Method =
    Method::idempotent("/rat.executor.v1.ExecutorService/StreamLogs");
