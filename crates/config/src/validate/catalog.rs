//! The `catalog` section.

use url::{Host, Url};

use super::Checker;
use crate::address::is_loopback;
use crate::problem::Path;
use crate::settings::{Catalog, CatalogAccess, RestCatalog};
use crate::{FileReference, wire};

pub(super) fn catalog(wire: &wire::Catalog, check: &mut Checker) -> Option<Catalog> {
    match wire.kind {
        wire::CatalogType::Builtin => builtin(wire, check),
        wire::CatalogType::Rest => rest(wire, check).map(|rest| Catalog::Rest(Box::new(rest))),
    }
}

fn at(key: &str) -> Path {
    Path::dotted("catalog").key(key)
}

fn builtin(wire: &wire::Catalog, check: &mut Checker) -> Option<Catalog> {
    let given = [
        ("uri", wire.uri.is_some()),
        ("warehouse", wire.warehouse.is_some()),
        ("token_file", wire.token_file.is_some()),
        ("client_id", wire.client_id.is_some()),
        ("client_secret_file", wire.client_secret_file.is_some()),
        ("token_uri", wire.token_uri.is_some()),
        ("scope", wire.scope.is_some()),
        ("ca_file", wire.ca_file.is_some()),
    ];
    for (key, given) in given {
        if given && check.intact(&[at("type")]) {
            check.problem(&at(key), "is only used with `type: rest`");
        }
    }
    Some(Catalog::Builtin)
}

fn rest(wire: &wire::Catalog, check: &mut Checker) -> Option<RestCatalog> {
    let uri = match &wire.uri {
        Some(text) => check.take(&at("uri"), rest_uri(&text.0)),
        None => {
            if check.intact(&[at("uri")]) {
                check.problem(&at("type"), "rest needs a `uri`");
            }
            None
        }
    };
    let access = access(wire, check);
    let ca_file = check.parse_optional::<FileReference>(&at("ca_file"), wire.ca_file.as_ref());
    let (uri, access) = (uri?, access?);
    warn_if_open(&uri, &access, check);
    Some(RestCatalog {
        uri,
        warehouse: wire.warehouse.clone(),
        access,
        ca_file: ca_file?,
    })
}

fn access(wire: &wire::Catalog, check: &mut Checker) -> Option<CatalogAccess> {
    let token_file =
        check.parse_optional::<FileReference>(&at("token_file"), wire.token_file.as_ref());
    let secret_file = check.parse_optional::<FileReference>(
        &at("client_secret_file"),
        wire.client_secret_file.as_ref(),
    );
    let token_uri = match &wire.token_uri {
        Some(text) => check.take(&at("token_uri"), rest_uri(&text.0)).map(Some),
        None => Some(None),
    };
    let Some(id) = &wire.client_id else {
        let given = [
            ("client_secret_file", wire.client_secret_file.is_some()),
            ("token_uri", wire.token_uri.is_some()),
            ("scope", wire.scope.is_some()),
        ];
        for (key, given) in given {
            if given && check.intact(&[at("client_id")]) {
                check.problem(&at(key), "is only used with client_id");
            }
        }
        return Some(token_file?.map_or(CatalogAccess::Open, CatalogAccess::Token));
    };
    if wire.token_file.is_some() {
        let message = "must not be given together with client_id";
        check.problem(&at("token_file"), message);
    }
    let secret_file = secret_file?;
    if secret_file.is_none() && check.intact(&[at("client_secret_file")]) {
        check.problem(&at("client_id"), "needs a `client_secret_file`");
    }
    Some(CatalogAccess::Client {
        token_uri: token_uri?,
        id: id.clone(),
        secret_file: secret_file?,
        scope: wire.scope.clone(),
    })
}

/// Whoever listens on the way could take ratd's place in the catalog.
fn warn_if_open(uri: &Url, access: &CatalogAccess, check: &mut Checker) {
    const MESSAGE: &str =
        "plain HTTP beyond this machine: credentials cross the network in the clear";
    let token_uri = match access {
        CatalogAccess::Open => return,
        CatalogAccess::Token(_) => None,
        CatalogAccess::Client { token_uri, .. } => token_uri.as_ref(),
    };
    for (key, uri) in [("uri", Some(uri)), ("token_uri", token_uri)] {
        if uri.is_some_and(is_exposed) {
            check.warn(&at(key), MESSAGE);
        }
    }
}

pub(super) fn is_exposed(uri: &Url) -> bool {
    let is_local = match uri.host() {
        Some(Host::Domain(name)) => is_loopback(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    uri.scheme() == "http" && !is_local
}

pub(super) fn rest_uri(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "must be a URL such as https://host.example.org")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("must be an http:// or https:// URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment");
    }
    Ok(url)
}
