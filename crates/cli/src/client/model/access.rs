//! Callers, plugins, grants and the audit log.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Page;
use crate::output::printable;

page!(
    /// `GET /plugins`.
    PluginList, plugins: Plugin
);
page!(
    /// `GET /sharing`.
    GrantList, grants: Grant
);
page!(
    /// `POST /sharing/transfer`.
    TransferList, transferred: Moved
);
page!(
    /// `GET /audit`.
    AuditList, entries: AuditEntry
);

/// `GET /api/v1/me`: who is calling.
#[derive(Debug, Clone, Deserialize)]
pub struct Me {
    /// The user's id, which owners and grants name.
    #[serde(deserialize_with = "printable::deserialize")]
    pub user_id: String,
    /// The e-mail address, or nothing.
    #[serde(default, deserialize_with = "printable::deserialize")]
    pub email: String,
    /// How people call the user.
    #[serde(default, deserialize_with = "printable::deserialize")]
    pub display_name: String,
    /// The roles.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// Of `GET /features`, what a login needs.
#[derive(Debug, Clone, Deserialize)]
pub struct Features {
    /// Where people log in, if ratd says it.
    pub login: Option<Place>,
}

/// Where people log in.
#[derive(Debug, Clone, Deserialize)]
pub struct Place {
    /// The provider.
    pub issuer: String,
    /// The client that `rat` is to it.
    pub client_id: String,
    /// What is to be asked for.
    pub scopes: Vec<String>,
}

/// A plugin.
#[derive(Debug, Clone, Deserialize)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// The slot that it is configured for.
    pub slot: String,
    /// Where it is.
    #[serde(default)]
    pub address: String,
    /// `healthy`, `degraded`, `down` or `unknown`.
    pub status: String,
    /// What it says about that.
    #[serde(default)]
    pub message: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// When it was last asked.
    #[serde(default)]
    pub last_health: Option<DateTime<Utc>>,
    /// What happens while it is down.
    #[serde(default)]
    pub on_down: Option<String>,
    /// What holds its slot now.
    #[serde(default)]
    pub holder: Option<String>,
}

/// What reading the configuration again has changed.
#[derive(Debug, Clone, Deserialize)]
pub struct Reloaded {
    /// New plugins.
    #[serde(default)]
    pub added: Vec<String>,
    /// Those that are configured differently.
    #[serde(default)]
    pub changed: Vec<String>,
    /// Those that are gone.
    #[serde(default)]
    pub removed: Vec<String>,
    /// The others.
    #[serde(default)]
    pub unchanged: Vec<String>,
}

/// A grant.
#[derive(Debug, Clone, Deserialize)]
pub struct Grant {
    /// Its id.
    pub grant_id: String,
    /// Who has it.
    pub grantee_id: String,
    /// `user` or `role`.
    pub grantee_type: String,
    /// Kind of the thing.
    pub resource_type: String,
    /// Name of the thing.
    pub resource_id: String,
    /// `read`, `write` or `admin`.
    pub permission: String,
    /// Who gave it.
    #[serde(default)]
    pub granted_by: String,
    /// When.
    #[serde(default)]
    pub granted_at: Option<DateTime<Utc>>,
}

/// Something that has a new owner.
#[derive(Debug, Clone, Deserialize)]
pub struct Moved {
    /// Kind of the thing.
    pub resource_type: String,
    /// Name of the thing.
    pub resource_id: String,
}

/// Something that was done, or tried.
#[derive(Debug, Clone, Deserialize)]
pub struct AuditEntry {
    /// Who.
    pub user_id: String,
    /// What.
    pub action: String,
    /// With what.
    pub resource: String,
    /// The request, and why it was refused.
    #[serde(default)]
    pub detail: String,
    /// From where.
    #[serde(default)]
    pub ip: String,
    /// Id of the request.
    #[serde(default)]
    pub request_id: String,
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// `done`, `refused`, `denied`, `failed` or `aborted`.
    #[serde(default)]
    pub outcome: String,
    /// When.
    pub created_at: DateTime<Utc>,
}
