//! Settings of the catalog.

use url::Url;

use crate::FileReference;

/// Which Iceberg catalog holds the tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Catalog {
    /// ratd's own, in the platform database.
    Builtin,
    /// An external one that speaks the Iceberg REST protocol.
    Rest(Box<RestCatalog>),
}

/// An external catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct RestCatalog {
    /// Its address.
    pub uri: Url,
    /// Warehouse in it.
    pub warehouse: Option<String>,
    /// How ratd shows who it is.
    pub access: CatalogAccess,
    /// Authorities, as a PEM file, that are believed besides those of the system.
    pub ca_file: Option<FileReference>,
}

/// How ratd shows an external catalog who it is.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogAccess {
    /// Not at all.
    Open,
    /// File that holds a bearer token.
    Token(FileReference),
    /// OAuth2 client credentials.
    Client {
        /// Where tokens are fetched, if that is not the catalog itself.
        token_uri: Option<Url>,
        /// The client.
        id: String,
        /// File that holds its secret.
        secret_file: FileReference,
        /// What the tokens are for.
        scope: Option<String>,
    },
}
