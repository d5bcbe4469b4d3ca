//! The `catalog` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FileText, UrlText};

/// Which Iceberg catalog holds the tables. Runs, queries and other engines always ask ratd, which
/// stands in front of an external one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Catalog {
    /// `builtin`: ratd's own, in the platform database. `rest`: an external Iceberg REST catalog
    /// such as Lakekeeper or Polaris, which reaches the folder of `storage.url` under the same
    /// path. Do not change it once there are tables.
    /// Default: `builtin`. Since v0.1.
    #[serde(rename = "type")]
    pub(crate) kind: CatalogType,
    /// Address of the external catalog, `https://…`, to which `/v1/config` is added; only with
    /// `type: rest`.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uri: Option<UrlText>,
    /// Warehouse in the external catalog; only with `type: rest`.
    /// Default: `null`. Since v0.1.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warehouse: Option<String>,
    /// File that holds the external catalog's bearer token: an absolute path, or a bare name that
    /// is looked up in `$CREDENTIALS_DIRECTORY`. Read once, at the start; only with `type: rest`.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<FileText>,
    /// Instead of `token_file`: client of OAuth2 client credentials, for which ratd fetches tokens
    /// and renews them; together with `client_secret_file`.
    /// Default: `null`. Since v0.1.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    /// File that holds the secret of `client_id`: an absolute path, or a bare name that is looked
    /// up in `$CREDENTIALS_DIRECTORY`. Read once, at the start.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret_file: Option<FileText>,
    /// Where tokens are fetched, `https://…`. `null`: `/v1/oauth/tokens` of the catalog itself.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_uri: Option<UrlText>,
    /// OAuth2 scope of the tokens. `null`: `catalog`.
    /// Default: `null`. Since v0.1.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    /// PEM file of authorities that may have signed the certificates of `uri` and `token_uri`,
    /// besides those of the system: an absolute path, or a bare name that is looked up in
    /// `$CREDENTIALS_DIRECTORY`.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<FileText>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum CatalogType {
    #[default]
    Builtin,
    Rest,
}
