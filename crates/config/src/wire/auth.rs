//! The `auth` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CacheText, FileText, UrlText};

/// Who may call, and who may do everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// File that holds the API key: an absolute path, or a bare name that is looked up in
    /// `$CREDENTIALS_DIRECTORY`. Without it, and without an auth plugin, every caller is an
    /// administrator.
    /// Default: `null`. Since v0.1.
    pub(crate) api_key_file: Option<FileText>,
    /// For how long a token that the auth plugin has verified is believed without asking it
    /// again: as long as the plugin allows, and this at most. A user who is locked out is let in
    /// for that long. `off` asks for every request.
    /// Default: `1m`. Since v0.1.
    pub(crate) token_cache: CacheText,
    /// Roles whose holders have every permission of the platform (`plugins.reload`, `audit.read`),
    /// where the auth plugin does not decide about those itself. They are compared with what the
    /// plugin calls them, to the letter: Keycloak's groups begin with `/`. Who presents the API key
    /// is an administrator whatever this says.
    /// Default: `["admin","/admin"]`. Since v0.1.
    #[schemars(length(max = 100))]
    pub(crate) admin_roles: Vec<String>,
    /// Where people log in with an auth plugin: the OpenID Connect provider as its tokens name it
    /// (`iss`), by the name under which people reach it, as in
    /// `https://keycloak.example.org/realms/rat`. ratd makes no use of it: `/features` says it to
    /// everybody who asks, for `rat login` and web pages.
    /// Default: `null`. Since v0.1.
    pub(crate) login_issuer: Option<UrlText>,
    /// The public client that `rat` is to that provider.
    /// Default: `rat-cli`. Since v0.1.
    #[schemars(length(min = 1, max = 1024))]
    pub(crate) login_client_id: String,
    /// What is asked for besides `openid`. Some providers want `offline_access` for a login that
    /// can be renewed.
    /// Default: `["profile","email"]`. Since v0.1.
    #[schemars(length(max = 100))]
    pub(crate) login_scopes: Vec<String>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            api_key_file: None,
            token_cache: "1m".into(),
            admin_roles: vec!["admin".to_owned(), "/admin".to_owned()],
            login_issuer: None,
            login_client_id: "rat-cli".to_owned(),
            login_scopes: vec!["profile".to_owned(), "email".to_owned()],
        }
    }
}
