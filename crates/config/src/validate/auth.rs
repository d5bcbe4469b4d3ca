//! The `auth` section.

use std::time::Duration;

use super::Checker;
use super::catalog::{is_exposed, rest_uri};
use crate::problem::Path;
use crate::settings::{Auth, Login};
use crate::units::parse_duration;
use crate::{FileReference, wire};

/// The longest time for which a verified token may be believed.
const MAX_TOKEN_CACHE: Duration = Duration::from_secs(60);

fn at(key: &str) -> Path {
    Path::dotted("auth").key(key)
}

pub(super) fn auth(wire: &wire::Auth, check: &mut Checker) -> Option<Auth> {
    let path = at("api_key_file");
    let api_key_file = check.parse_optional::<FileReference>(&path, wire.api_key_file.as_ref());
    let token_cache = token_cache(&wire.token_cache, check);
    let path = at("admin_roles");
    for (position, role) in wire.admin_roles.iter().enumerate() {
        if role.trim().is_empty() || role.contains(char::is_control) {
            check.problem(&path.index(position), "must be the name of a role");
        }
    }
    let login = login(wire, check);
    Some(Auth {
        api_key_file: api_key_file?,
        token_cache: token_cache?,
        admin_roles: wire.admin_roles.clone(),
        login: login?,
    })
}

fn token_cache(text: &wire::CacheText, check: &mut Checker) -> Option<Option<Duration>> {
    let path = at("token_cache");
    if text.0 == "off" {
        return Some(None);
    }
    let limit = check.take(&path, parse_duration(&text.0))?;
    if limit > MAX_TOKEN_CACHE {
        check.problem(&path, format!("must be 1m at most, or off, not {}", text.0));
        return None;
    }
    Some(Some(limit))
}

/// `Some(None)` where nothing is said.
fn login(wire: &wire::Auth, check: &mut Checker) -> Option<Option<Login>> {
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if !is_word(&wire.login_client_id) && check.intact(&[at("login_client_id")]) {
        check.problem(&at("login_client_id"), "must be one word");
    }
    for (position, scope) in wire.login_scopes.iter().enumerate() {
        if !is_word(scope) {
            check.problem(&at("login_scopes").index(position), "must be one word");
        }
    }
    let Some(text) = &wire.login_issuer else {
        return Some(None);
    };
    let path = at("login_issuer");
    let url = check.take(&path, rest_uri(&text.0))?;
    if is_exposed(&url) {
        let message = "plain HTTP beyond this machine: logins cross the network in the clear";
        check.warn(&path, message);
    }
    Some(Some(Login {
        // To the letter: a slash at the end is a difference.
        issuer: text.0.clone(),
        client_id: wire.login_client_id.clone(),
        scopes: wire.login_scopes.clone(),
    }))
}
