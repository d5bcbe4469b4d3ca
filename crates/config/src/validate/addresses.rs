//! No two sockets on one address: the second one's start would fail with a riddle, or ratd would
//! speak to the wrong one. Plugins may share one, where one process fills several slots.
//!
//! Compared is what the texts mean: `localhost:1` is where `127.0.0.1:1` is, and `0.0.0.0:1` is
//! everywhere on this machine. Nothing is resolved, so that another machine is known by its name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, PathBuf};

use super::Checker;
use crate::address::is_loopback;
use crate::problem::Path;
use crate::settings::Slot;
use crate::{Address, PluginAddress, wire};

/// What `localhost` may be.
const LOCALHOST: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// A setting that holds an address, and what it holds.
struct Socket<'a> {
    path: Path,
    address: PluginAddress,
    place: Place,
    plugin: Option<&'a wire::Plugin>,
}

/// Where something listens.
#[derive(PartialEq)]
enum Place {
    Path(PathBuf),
    Port(Host, u16),
}

#[derive(PartialEq)]
enum Host {
    /// `localhost`, which is 127.0.0.1 and ::1.
    Localhost,
    Ip(IpAddr),
    Name(String),
}

/// Reports each address that is taken already.
pub(super) fn addresses_differ(root: &wire::Root, check: &mut Checker) {
    let defaults = wire::Root::default();
    let defaults = sockets(&defaults);
    let sockets = sockets(root);
    for (position, socket) in sockets.iter().enumerate() {
        let Some(other) = sockets[..position]
            .iter()
            .find(|other| socket.place.meets(&other.place))
        else {
            continue;
        };
        if !check.intact(&[socket.path.clone(), other.path.clone()]) {
            continue;
        }
        if let (Some(plugin), Some(beside)) = (socket.plugin, other.plugin) {
            one_configuration(plugin, beside, socket, other, check);
            continue;
        }
        // The one to change is the one that somebody set.
        let untouched = defaults
            .iter()
            .any(|default| default.path == socket.path && default.address == socket.address);
        let (blamed, other) = if untouched {
            (other, socket)
        } else {
            (socket, other)
        };
        check.problem(&blamed.path, taken(blamed, other));
    }
}

fn taken(blamed: &Socket<'_>, other: &Socket<'_>) -> String {
    let (path, address) = (&other.path, &other.address);
    let what = match blamed.place {
        Place::Path(_) => "path",
        Place::Port(..) => "port",
    };
    format!("must not be on the address of {path}, {address}; give one of them another {what}")
}

/// One process may fill several slots; but it has one configuration, and `Configure` does not say of
/// which slot it is.
fn one_configuration(
    plugin: &wire::Plugin,
    beside: &wire::Plugin,
    socket: &Socket<'_>,
    other: &Socket<'_>,
    check: &mut Checker,
) {
    let at = |socket: &Socket<'_>| socket.path.parent().key("config");
    let (path, other) = (at(socket), at(other));
    if plugin.config == beside.config || !check.intact(&[path.clone(), other.clone()]) {
        return;
    }
    // Where it is not given, what is known is the line of the plugin.
    let blamed = match plugin.config.is_empty() {
        true => path.parent(),
        false => path,
    };
    check.problem(
        &blamed,
        format!(
            "its `config` must be the same as {other}: the plugin is at the same address, and one plugin has one \
             configuration"
        ),
    );
}

/// Every address at which something listens, as far as it can be read.
fn sockets(root: &wire::Root) -> Vec<Socket<'_>> {
    let daemons = [
        ("server.listen", &root.server.listen),
        ("server.internal_socket", &root.server.internal_socket),
        ("runner.address", &root.runner.address),
        ("ratq.address", &root.ratq.address),
    ];
    let daemons = daemons.into_iter().filter_map(|(path, text)| {
        let address: Address = text.0.parse().ok()?;
        Socket::at(Path::dotted(path), PluginAddress::Plain(address), None)
    });
    let plugins = Slot::ALL.into_iter().filter_map(|slot| {
        let plugin = root.plugins.slot(slot)?;
        let path = Path::dotted("plugins").key(slot.as_str()).key("address");
        Socket::at(path, plugin.address.0.parse().ok()?, Some(plugin))
    });
    daemons.chain(plugins).collect()
}

impl<'a> Socket<'a> {
    /// `None` of port 0: that is another one each time.
    fn at(path: Path, address: PluginAddress, plugin: Option<&'a wire::Plugin>) -> Option<Self> {
        let place = match &address {
            PluginAddress::Plain(Address::Unix(path)) => Place::Path(plain(path)),
            PluginAddress::Plain(Address::Tcp { host, port })
            | PluginAddress::Https { host, port } => Place::Port(Host::of(host), *port),
        };
        let socket = Self {
            path,
            address,
            place,
            plugin,
        };
        (!matches!(socket.place, Place::Port(_, 0))).then_some(socket)
    }
}

impl Place {
    /// Whether two that listen here are in each other's way.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(path), Self::Path(other)) => path == other,
            (Self::Port(host, port), Self::Port(other, other_port)) => {
                port == other_port && (host.meets(other) || other.meets(host))
            }
            (Self::Path(_), Self::Port(..)) | (Self::Port(..), Self::Path(_)) => false,
        }
    }
}

impl Host {
    fn of(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            Ok(ip) => Self::Ip(ip.to_canonical()),
            Err(_) if is_loopback(text) => Self::Localhost,
            Err(_) => Self::Name(text.trim_end_matches('.').to_ascii_lowercase()),
        }
    }

    /// Whether `self` takes what `other` listens on, or a part of it.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(IpAddr::V4(any)), Self::Ip(IpAddr::V4(other))) if any.is_unspecified() => {
                other.is_loopback()
            }
            // With IPv6 Linux listens on IPv4 as well.
            (Self::Ip(IpAddr::V6(any)), Self::Ip(other)) if any.is_unspecified() => {
                other.is_loopback() || other.is_unspecified()
            }
            (Self::Ip(ip), Self::Localhost) => ip.is_unspecified() || LOCALHOST.contains(ip),
            _ => self == other,
        }
    }
}

/// A path without `.`, `..` and doubled slashes, and below `/run` what is in `/var/run`.
fn plain(path: &std::path::Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::Normal(name) => plain.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    match plain.strip_prefix("/var/run") {
        Ok(rest) => std::path::Path::new("/run").join(rest),
        Err(_) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(one: &str, other: &str) -> bool {
        let place = |text: &str| {
            Socket::at(Path::default(), text.parse().unwrap(), None).map(|socket| socket.place)
        };
        match (place(one), place(other)) {
            (Some(one), Some(other)) => {
                assert!(one.meets(&other) == other.meets(&one));
                one.meets(&other)
            }
            _ => false,
        }
    }

    #[test]
    fn addresses_are_compared_by_what_they_mean() {
        for (one, other) in [
            ("unix:/run/rat/a.sock", "unix:/run/../run//rat/./a.sock"),
            ("unix:/run/rat/a.sock", "unix:/var/run/rat/a.sock"),
            ("unix:/run/rat/a.sock", "unix:/../run/rat/a.sock"),
            ("localhost:1", "127.0.0.1:1"),
            ("LOCALHOST.:1", "[::1]:1"),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1"),
            ("[0:0::1]:1", "[::1]:1"),
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("0.0.0.0:1", "127.9.9.9:1"),
            ("0.0.0.0:1", "localhost:1"),
            ("0.0.0.0:1", "[::]:1"),
            ("[::]:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("https://localhost:1", "127.0.0.1:1"),
            ("https://a.example.org", "A.example.org.:443"),
            ("192.0.2.1:1", "192.0.2.1:1"),
        ] {
            assert!(meet(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("unix:/run/rat/a.sock", "unix:/run/rat/b.sock"),
            ("unix:/run/rat/a.sock", "unix:/var/runs/rat/a.sock"),
            ("unix:/a", "127.0.0.1:1"),
            ("127.0.0.1:1", "127.0.0.1:2"),
            ("127.0.0.1:1", "127.0.0.2:1"),
            ("127.0.0.2:1", "localhost:1"),
            ("127.0.0.1:1", "[::1]:1"),
            ("0.0.0.0:1", "[::1]:1"),
            // It may be another machine's.
            ("0.0.0.0:1", "192.0.2.1:1"),
            ("0.0.0.0:1", "a.example.org:1"),
            ("a.example.org:1", "b.example.org:1"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert!(!meet(one, other), "{one} {other}");
        }
    }
}
