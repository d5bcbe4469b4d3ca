//! Where something listens or is reached: a Unix socket or a host and port.
//!
//! Parsed here once, so that every process understands the same texts. Nothing is resolved or
//! opened: a host name stays a name.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest path that the kernel accepts for a Unix socket (`sun_path` with its final NUL).
const MAX_UNIX_PATH: usize = 107;

/// The address of a listener: `unix:/path` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A Unix socket at an absolute path.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// Host name or IP address; an IPv6 address stands without brackets.
        host: String,
        /// Port. Listening on 0 means: any free port.
        port: u16,
    },
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}, not {value}")]
pub struct InvalidAddress {
    value: String,
    rule: &'static str,
}

impl InvalidAddress {
    fn new(value: &str, rule: &'static str) -> Self {
        Self {
            value: crate::text::quoted(value),
            rule,
        }
    }
}

impl Address {
    /// Whether only this machine can reach it: a Unix socket, a loopback address or `localhost`.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => is_loopback(host),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } => write_authority(f, host, *port),
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return parse_unix(text, path).map(Self::Unix);
        }
        if text.contains("://") {
            return Err(InvalidAddress::new(
                text,
                "must be host:port or unix:/path, without a scheme",
            ));
        }
        let (host, port) = parse_authority(text)?;
        Ok(Self::Tcp { host, port })
    }
}

/// How a plugin is reached: an [`Address`] in the clear, or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PluginAddress {
    /// Without TLS.
    Plain(Address),
    /// With TLS over TCP.
    Https {
        /// Host name or IP address, which the certificate has to carry.
        host: String,
        /// Port; 443 where the address names none.
        port: u16,
    },
}

impl fmt::Display for PluginAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(address) => address.fmt(f),
            Self::Https { host, port } => {
                f.write_str("https://")?;
                write_authority(f, host, *port)
            }
        }
    }
}

impl FromStr for PluginAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let Some(rest) = text.strip_prefix("https://") else {
            return match text.parse() {
                Ok(address) => Ok(Self::Plain(address)),
                Err(_) if text.contains("://") => Err(InvalidAddress::new(
                    text,
                    "must be host:port, unix:/path or https://host:port",
                )),
                Err(error) => Err(error),
            };
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(InvalidAddress::new(
                text,
                "must be https://host:port without user, path or query",
            ));
        }
        let has_port = authority.rfind(':') > authority.rfind(']');
        let (host, port) = if has_port {
            parse_authority(authority)
        } else {
            parse_authority(&format!("{authority}:443"))
        }
        .map_err(|error| InvalidAddress::new(text, error.rule))?;
        Ok(Self::Https { host, port })
    }
}

fn parse_unix(text: &str, path: &str) -> Result<PathBuf, InvalidAddress> {
    // `unix:///path` is what gRPC tools write.
    let path = match path.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    if !path.starts_with('/') || path.starts_with("//") || path.len() < 2 {
        return Err(InvalidAddress::new(
            text,
            "must be unix: followed by an absolute path",
        ));
    }
    if path.chars().any(char::is_control) {
        return Err(InvalidAddress::new(
            text,
            "must not contain control characters",
        ));
    }
    if path.len() > MAX_UNIX_PATH {
        return Err(InvalidAddress::new(
            text,
            "must have a path of at most 107 bytes (a limit of Unix sockets)",
        ));
    }
    Ok(Path::new(path).to_owned())
}

fn parse_authority(text: &str) -> Result<(String, u16), InvalidAddress> {
    const SHAPE: &str = "must be host:port or unix:/path";
    let fail = |rule| InvalidAddress::new(text, rule);
    let (host, port) = text.rsplit_once(':').ok_or_else(|| fail(SHAPE))?;
    let host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
        Some(_) => return Err(fail("must have an IPv6 address within the brackets")),
        None if host.contains(':') => {
            return Err(fail(
                "must have an IPv6 address in brackets, as in [::1]:8080",
            ));
        }
        None => host,
    };
    if host.is_empty() {
        return Err(fail(
            "must name a host (0.0.0.0:PORT listens on every interface)",
        ));
    }
    if !host.contains(':') && !is_host_name(host) {
        return Err(fail(
            "must have a host name or an IP address before the port",
        ));
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits);
    let port = port.ok_or_else(|| fail("must end with a port from 0 to 65535"))?;
    Ok((host.to_owned(), port))
}

fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let all_digits = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    name.len() <= 253
        && name.split('.').all(label)
        && (!all_digits || name.parse::<std::net::Ipv4Addr>().is_ok())
}

pub(crate) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

fn write_authority(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') {
        write!(f, "[{host}]:{port}")
    } else {
        write!(f, "{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_parsed_again() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "auth-keycloak:50060",
            "my_plugin.example.org:1",
            "localhost:0",
            "unix:/run/rat/internal.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
            assert_eq!(text.parse::<PluginAddress>().unwrap().to_string(), text);
        }
        let with_tls: PluginAddress = "https://auth.example.org".parse().unwrap();
        assert_eq!(with_tls.to_string(), "https://auth.example.org:443");
        let with_tls: PluginAddress = "https://[::1]/".parse().unwrap();
        assert_eq!(with_tls.to_string(), "https://[::1]:443");
        let grpc_style: Address = "unix:///run/a.sock".parse().unwrap();
        assert_eq!(grpc_style.to_string(), "unix:/run/a.sock");
    }

    #[test]
    fn texts_that_are_no_addresses_are_refused() {
        for text in [
            "",
            "8080",
            ":8080",
            "localhost",
            "localhost:",
            "localhost:+80",
            "localhost:65536",
            "::1:8080",
            "[::1:8080",
            "[nonsense]:1",
            "300.1.1.1:80",
            "-a:1",
            "a b:1",
            "http://localhost:80",
            "unix:",
            "unix:/",
            "unix:relative",
            "unix://host/path",
            "unix:////two",
            "unix:/a\nb",
            &format!("unix:/{}", "x".repeat(107)),
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
            assert!(text.parse::<PluginAddress>().is_err(), "{text:?}");
        }
        for text in [
            "https://",
            "https://a:1/x",
            "https://u@a:1",
            "https://a:99999",
        ] {
            assert!(text.parse::<PluginAddress>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_this_machine_counts_as_local() {
        for text in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "LOCALHOST:1",
            "unix:/x",
        ] {
            assert!(text.parse::<Address>().unwrap().is_local(), "{text}");
        }
        for text in [
            "0.0.0.0:1",
            "[::]:1",
            "10.0.0.1:1",
            "ratq:1",
            "localhost.example.org:1",
        ] {
            assert!(!text.parse::<Address>().unwrap().is_local(), "{text}");
        }
    }
}
