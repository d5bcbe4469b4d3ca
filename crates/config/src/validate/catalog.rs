//! The `catalog` section.

use url::Url;

use super::Checker;
use crate::problem::Path;
use crate::settings::Catalog;
use crate::{FileReference, wire};

pub(super) fn catalog(wire: &wire::Catalog, check: &mut Checker) -> Option<Catalog> {
    match wire.kind {
        wire::CatalogType::Builtin => builtin(wire, check),
        wire::CatalogType::Rest => {
            let catalog = rest(wire, check);
            refuse_what_is_not_built(check);
            catalog
        }
    }
}

/// The one place that keeps an external catalog out until ratd can stand in front of one.
fn refuse_what_is_not_built(check: &mut Checker) {
    check.problem(
        &Path::dotted("catalog.type"),
        "rest is not supported by this version",
    );
}

fn builtin(wire: &wire::Catalog, check: &mut Checker) -> Option<Catalog> {
    let given = [
        ("uri", wire.uri.is_some()),
        ("warehouse", wire.warehouse.is_some()),
        ("token_file", wire.token_file.is_some()),
    ];
    let kind = Path::dotted("catalog.type");
    for (key, given) in given {
        if given && check.intact(std::slice::from_ref(&kind)) {
            check.problem(
                &Path::dotted("catalog").key(key),
                "is only used with `type: rest`",
            );
        }
    }
    Some(Catalog::Builtin)
}

fn rest(wire: &wire::Catalog, check: &mut Checker) -> Option<Catalog> {
    let at = |key| Path::dotted("catalog").key(key);
    let uri = match &wire.uri {
        Some(text) => check.take(&at("uri"), rest_uri(&text.0)),
        None => {
            if check.intact(&[at("uri")]) {
                check.problem(&at("type"), "rest needs a `uri`");
            }
            None
        }
    };
    let token_file =
        check.parse_optional::<FileReference>(&at("token_file"), wire.token_file.as_ref());
    Some(Catalog::Rest {
        uri: uri?,
        warehouse: wire.warehouse.clone(),
        token_file: token_file?,
    })
}

fn rest_uri(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "must be a URL such as https://catalog.example.org")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("must be an http:// or https:// URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password; use token_file");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment");
    }
    Ok(url)
}
