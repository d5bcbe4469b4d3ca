//! Which names an installation without authentication answers to.
//!
//! A web page may point its own name at this machine after it was loaded (DNS rebinding); to the
//! browser it then asks its own server, so that no rule about origins applies, and it could read
//! and change everything that its visitor's machine reaches. What such a page cannot choose is the
//! name in the `Host` header: it is the page's own. So only addresses, `localhost` and names that
//! stand in the settings are answered. Where a credential is needed nothing is checked, because the
//! page has none; nor on a Unix socket, to which no browser connects.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::HOST;
use http::uri::Authority;
use rat_service::listen::Peer;
use rat_types::Kind;

use crate::fault::Fault;
use crate::middleware::authentication::Authenticator;
use crate::state::Config;

/// Characters of a refused name that are shown.
const SHOWN: usize = 100;

/// The names that are answered besides addresses and `localhost`, and who says whether that
/// matters: a plugin may begin or cease to ask for credentials while ratd runs.
#[derive(Clone)]
pub(crate) struct Hosts {
    known: Arc<BTreeSet<String>>,
    authenticator: Arc<dyn Authenticator>,
}

impl Hosts {
    /// The names that stand in the settings.
    pub(crate) fn new(config: &Config, authenticator: Arc<dyn Authenticator>) -> Self {
        let origins = config.cors_origins.iter();
        let of_origins = origins
            .filter_map(|origin| origin.split_once("://"))
            .filter_map(|(_, authority)| name_in(authority));
        let listening = config.listen_host.as_deref().map(canonical);
        let known = Arc::new(of_origins.chain(listening).collect());
        Self {
            known,
            authenticator,
        }
    }

    /// A name that is not answered, if the request has one. One that names no host at all does not
    /// come from a browser.
    fn refused<'a>(&self, request: &'a Request) -> Option<&'a [u8]> {
        if self.authenticator.is_required() {
            return None;
        }
        if let Some(Peer::Unix(_)) = request.extensions().get::<Peer>() {
            return None;
        }
        let target = request.uri().authority().map(|it| it.as_str().as_bytes());
        let headers = request.headers().get_all(HOST).into_iter();
        let mut hosts = target.into_iter().chain(headers.map(|it| it.as_bytes()));
        hosts.find(|host| !is_answered(host, &self.known))
    }
}

/// The layer.
pub(crate) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let Some(host) = hosts.refused(&request) else {
        return next.run(request).await;
    };
    let host: String = String::from_utf8_lossy(host).chars().take(SHOWN).collect();
    let message = format!(
        "RAT does not answer to the host name {host:?} while it needs no credential: use an IP \
         address or localhost, add the origin (http://{host}) to server.cors_origins, or set \
         auth.api_key_file"
    );
    Fault::new(Kind::PermissionDenied, message)
        .because("HOST_REFUSED")
        .into_response()
}

fn is_answered(host: &[u8], known: &BTreeSet<String>) -> bool {
    let Some(name) = std::str::from_utf8(host).ok().and_then(name_in) else {
        return false;
    };
    let is_address = name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    is_address || is_local || known.contains(&name)
}

/// The name or address in `host[:port]`.
fn name_in(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    Some(canonical(authority.host()))
}

/// Names are the same in either case, with or without the final dot of the root.
fn canonical(host: &str) -> String {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_local_and_configured_names_are_answered() {
        let known = BTreeSet::from(["rat.example".to_owned()]);
        for host in [
            "127.0.0.1",
            "192.168.1.7:8080",
            "[::1]:8080",
            "[fd00::7]",
            "localhost",
            "LocalHost:8080",
            "localhost.:8080",
            "rat.localhost:8080",
            "rat.example",
            "RAT.example.:443",
        ] {
            assert!(is_answered(host.as_bytes(), &known), "{host}");
        }
        for host in [
            "",
            ":8080",
            "evil.example",
            "evil.example:8080",
            "notlocalhost",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "rat.example.evil.example",
            "sub.rat.example",
            "evil.example/localhost",
            "evil.example#localhost",
            "::1",
            "[evil.example]",
            "a b",
        ] {
            assert!(!is_answered(host.as_bytes(), &known), "{host}");
        }
        assert!(!is_answered(b"\xff", &known));
    }
}
