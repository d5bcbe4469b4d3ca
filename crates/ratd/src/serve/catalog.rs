//! The catalog, as the settings want it: ratd's own tables, or in front of an external catalog.

use std::fs;

use anyhow::Context as _;
use rat_catalog::{Catalog, Credentials, ExternalCatalog};
use rat_config::{CatalogAccess, FileReference, RestCatalog, Settings, resolve_secret_path};
use rat_service::config;
use rat_service::runtime::Failure;
use rat_store::Store;

/// Asks nothing of an external catalog: one that is down must not keep ratd from starting.
pub(super) fn open(settings: &Settings, store: &Store) -> Result<Catalog, Failure> {
    let (store, root) = (store.clone(), &settings.storage.url);
    let catalog = match &settings.catalog {
        rat_config::Catalog::Builtin => Catalog::new(store, root),
        rat_config::Catalog::Rest(rest) => Catalog::in_front_of(store, root, external(rest)?),
    };
    catalog.map_err(Failure::configuration)
}

fn external(rest: &RestCatalog) -> Result<ExternalCatalog, Failure> {
    let secret = |file| config::read_secret(file).map_err(Failure::configuration);
    let credentials = match &rest.access {
        CatalogAccess::Open => Credentials::None,
        CatalogAccess::Token(file) => Credentials::Token(secret(file)?),
        CatalogAccess::Client {
            token_uri,
            id,
            secret_file,
            scope,
        } => Credentials::Client {
            token_uri: token_uri.clone(),
            id: id.clone(),
            secret: secret(secret_file)?,
            scope: scope.clone(),
        },
    };
    Ok(ExternalCatalog {
        uri: rest.uri.clone(),
        warehouse: rest.warehouse.clone(),
        credentials,
        authorities: rest.ca_file.as_ref().map(read).transpose()?,
    })
}

/// Certificates are no secret, and longer than one.
fn read(reference: &FileReference) -> Result<Vec<u8>, Failure> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY");
    let path = resolve_secret_path(reference, folder.as_deref().map(AsRef::as_ref));
    fs::read(&path)
        .with_context(|| format!("failed to read the certificates {}", path.display()))
        .map_err(|error| Failure::configuration(format!("{error:#}")))
}
