//! The `server` section.

use bytesize::ByteSize;
use url::Url;

use super::Checker;
use crate::problem::Path;
use crate::settings::{RateLimit, Server};
use crate::text::quoted;
use crate::{Address, Cidr, wire};

/// Bodies other than uploads are held in memory.
const MAX_BODY: ByteSize = ByteSize::gib(1);
const MAX_UPLOAD: ByteSize = ByteSize::tib(16);

pub(super) fn server(wire: &wire::Server, check: &mut Checker) -> Option<Server> {
    let at = |key| Path::dotted("server").key(key);
    let least = ByteSize::kib(1);
    let listen = check.parse(&at("listen"), &wire.listen);
    let internal_socket = internal_socket(&at("internal_socket"), wire, check);
    let cors_origins = each(
        &wire.cors_origins,
        &at("cors_origins"),
        check,
        |text, path, check| check.take(path, origin(&text.0)),
    );
    let rate_limit = rate_limit(&at("rate_limit"), &wire.rate_limit, check);
    let body_limit = check.size(&at("body_limit"), &wire.body_limit, least, MAX_BODY);
    let upload_limit = check.size(&at("upload_limit"), &wire.upload_limit, least, MAX_UPLOAD);
    let request_timeout = check.duration(&at("request_timeout"), &wire.request_timeout);
    let header_timeout = check.duration(&at("header_timeout"), &wire.header_timeout);
    let shutdown_timeout = check.duration(&at("shutdown_timeout"), &wire.shutdown_timeout);
    let trusted_proxies = each(
        &wire.trusted_proxies,
        &at("trusted_proxies"),
        check,
        |text, path, check| check.parse::<Cidr>(path, text),
    );
    Some(Server {
        listen: listen?,
        internal_socket: internal_socket?,
        cors_origins: cors_origins?,
        rate_limit: rate_limit?,
        body_limit: body_limit?,
        upload_limit: upload_limit?,
        request_timeout: request_timeout?,
        header_timeout: header_timeout?,
        shutdown_timeout: shutdown_timeout?,
        trusted_proxies: trusted_proxies?,
    })
}

/// Without authentication everybody who can connect is an administrator; the operator has to
/// hear it when that is more than this machine.
pub(super) fn warn_if_open(root: &wire::Root, check: &mut Checker) {
    let path = Path::dotted("server.listen");
    let exposed = root
        .server
        .listen
        .0
        .parse::<Address>()
        .is_ok_and(|address| !address.is_local());
    if !exposed || root.auth.api_key_file.is_some() {
        return;
    }
    match &root.plugins.auth {
        None => {
            let message = "listens beyond this machine without authentication: everybody who can \
                           connect is an administrator; set auth.api_key_file or plugins.auth";
            check.warn(&path, message);
        }
        Some(plugin) if plugin.on_down == Some(wire::OnDown::Builtin) => {
            let message = "listens beyond this machine, and while the auth plugin is down \
                           everybody who can connect is an administrator; set \
                           auth.api_key_file, or plugins.auth.on_down to deny";
            check.warn(&path, message);
        }
        // While it is down nobody is let in.
        Some(_) => {}
    }
}

fn each<T, W>(
    texts: &[W],
    path: &Path,
    check: &mut Checker,
    parse: impl Fn(&W, &Path, &mut Checker) -> Option<T>,
) -> Option<Vec<T>> {
    let parsed: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| parse(text, &path.index(index), check))
        .collect();
    parsed.into_iter().collect()
}

fn internal_socket(path: &Path, wire: &wire::Server, check: &mut Checker) -> Option<Address> {
    let address: Address = check.parse(path, &wire.internal_socket)?;
    if !address.is_local() {
        let message = "must be unix:/path or on loopback: runs and plugins are trusted there";
        check.problem(
            path,
            format!("{message}, not {}", quoted(&wire.internal_socket.0)),
        );
        return None;
    }
    Some(address)
}

fn rate_limit(
    path: &Path,
    wire: &wire::RateLimit,
    check: &mut Checker,
) -> Option<Option<RateLimit>> {
    let limit = match wire {
        wire::RateLimit::Off(_) => return Some(None),
        wire::RateLimit::Limit(limit) => limit,
    };
    let requests_per_second =
        check.count(&path.key("requests_per_second"), limit.requests_per_second);
    let burst = check.count(&path.key("burst"), limit.burst);
    Some(Some(RateLimit {
        requests_per_second: requests_per_second?,
        burst: burst?,
    }))
}

/// An origin in the form in which a browser sends it.
fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Err(
            "`*` is not accepted, because requests carry credentials; name each origin \
                    as scheme://host:port"
                .to_owned(),
        );
    }
    let bare = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    match Url::parse(text) {
        Ok(url) if bare(&url) => Ok(url.origin().ascii_serialization()),
        _ => {
            Err("must be an origin such as https://rat.example.org:8443, without a path".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_no_path_and_take_the_browsers_form() {
        assert_eq!(
            origin("http://localhost:3000/").as_deref(),
            Ok("http://localhost:3000")
        );
        assert_eq!(
            origin("https://RAT.example.org:443").as_deref(),
            Ok("https://rat.example.org")
        );
        for text in [
            "*",
            "",
            "null",
            "localhost:3000",
            "http://a/b",
            "http://u:p@a",
            "ftp://a",
            "http://a?x",
        ] {
            assert!(origin(text).is_err(), "{text:?}");
        }
    }
}
