//! Where ratd is: an HTTP URL or a Unix socket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::{Host, Url};

/// The address of a ratd, as `--server` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// `http://host:port` or `https://host:port`, with an optional path prefix.
    Http(Url),
    /// `unix:/path/to/socket`.
    Unix(PathBuf),
}

impl Server {
    /// The base of every request URL, without a trailing slash. Over a Unix socket the host is
    /// only a name in the `Host` header.
    pub fn base(&self) -> String {
        match self {
            Self::Http(url) => url.as_str().trim_end_matches('/').to_owned(),
            Self::Unix(_) => "http://ratd".to_owned(),
        }
    }

    /// Whether nobody can listen on the way.
    pub fn is_encrypted(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Http(url) => url.scheme() == "https" || is_loopback(url),
        }
    }

    /// Whether the server is on this machine, so that no proxy of the environment may be asked.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Http(url) => is_loopback(url),
        }
    }
}

/// Whether a URL is of this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(_) => f.write_str(&self.base()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            return match path.is_absolute() {
                true => Ok(Self::Unix(path)),
                false => Err("the path after unix: must be absolute".to_owned()),
            };
        }
        let url = Url::parse(text).map_err(|error| {
            format!("{error}; write it as http://host:port, https://host:port or unix:/path")
        })?;
        match url.scheme() {
            "http" | "https" if url.has_host() && url.query().is_none() => Ok(Self::Http(url)),
            _ => Err("write it as http://host:port, https://host:port or unix:/path".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_sockets_are_understood() {
        let http: Server = "http://127.0.0.1:8080/".parse().unwrap();
        assert_eq!(http.base(), "http://127.0.0.1:8080");
        assert!(http.is_local());
        let remote: Server = "https://rat.example.org/prefix/".parse().unwrap();
        assert_eq!(remote.base(), "https://rat.example.org/prefix");
        assert!(!remote.is_local());
        let unix: Server = "unix:/run/rat/ratd.sock".parse().unwrap();
        assert_eq!(unix, Server::Unix("/run/rat/ratd.sock".into()));
        assert_eq!(unix.to_string(), "unix:/run/rat/ratd.sock");
        assert_eq!("unix:///run/x".parse(), Ok(Server::Unix("/run/x".into())));
    }

    #[test]
    fn anything_else_is_refused_with_the_accepted_forms() {
        for bad in [
            "",
            "localhost:8080",
            "ftp://x",
            "unix:relative",
            "http://x/?a=b",
            "8080",
        ] {
            assert!(bad.parse::<Server>().is_err(), "{bad:?}");
        }
    }
}
