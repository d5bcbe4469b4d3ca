//! The address that a request comes from, for rate limits, logs and audit.
//!
//! It is the other end of the connection, unless that is a proxy we were told to trust: then it
//! is the nearest address in `X-Forwarded-For` that is not such a proxy. The header is read from
//! the right, because everything left of the last trusted proxy is the caller's own invention.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName};
use rat_config::Cidr;
use rat_service::listen::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request comes from, in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies whose `X-Forwarded-For` is believed.
pub(crate) type TrustedProxies = Arc<[Cidr]>;

/// The layer.
pub(crate) async fn find(
    State(trusted): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = address_of(peer_of(&request), request.headers(), &trusted);
    request.extensions_mut().insert(ClientAddress(address));
    next.run(request).await
}

/// The other end of the connection; a Unix socket counts as this machine.
fn peer_of(request: &Request) -> IpAddr {
    let extensions = request.extensions();
    let socket = match extensions.get::<Peer>() {
        Some(Peer::Tcp(address)) => Some(*address),
        Some(Peer::Unix(_)) => None,
        None => extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0),
    };
    socket.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| {
        address.ip().to_canonical()
    })
}

fn address_of(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|block| block.contains(ip));
    let mut address = peer;
    let values: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .map(|value| value.to_str().unwrap_or(""))
        .collect();
    let hops = values.iter().rev().flat_map(|value| value.rsplit(','));
    for hop in hops {
        if !is_trusted(address) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(ip) => address = ip,
            None => break,
        }
    }
    address
}

/// An address with or without a port.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let ip = bare
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(IpAddr::to_canonical(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let trusted: Vec<Cidr> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        address_of(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn the_header_of_a_stranger_is_not_believed() {
        assert_eq!(found("203.0.113.9", &["1.2.3.4"], &[]), "203.0.113.9");
        assert_eq!(
            found("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn the_header_of_a_proxy_is_read_from_the_right() {
        let proxies = ["10.0.0.0/8", "::1"];
        assert_eq!(
            found("10.0.0.1", &["6.6.6.6, 1.2.3.4"], &proxies),
            "1.2.3.4"
        );
        assert_eq!(
            found("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"], &proxies),
            "1.2.3.4"
        );
        assert_eq!(
            found("10.0.0.1", &["6.6.6.6", "1.2.3.4:5555"], &proxies),
            "1.2.3.4"
        );
        assert_eq!(
            found("::1", &["[2001:db8::1]:443"], &proxies),
            "2001:db8::1"
        );
        assert_eq!(found("10.0.0.1", &["nonsense"], &proxies), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &[], &proxies), "10.0.0.1");
    }
}
