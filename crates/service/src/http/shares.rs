//! How many of a server's connections one address holds.
//!
//! Without a share of its own, one client takes every connection there is and everybody else
//! waits. An IPv6 client counts by its /64, which is what a single subscriber gets at least. Unix
//! sockets have no share: who may open them is what the socket file's mode says.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::listen::Peer;

/// A refused connection is worth a line in the log, but not each of thousands.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The shares of one server.
#[derive(Debug)]
pub(super) struct Shares {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<IpAddr, usize>,
    warned: Option<Instant>,
}

/// One connection's part of its address's share.
#[derive(Debug)]
pub(super) struct Share(Option<(Arc<Shares>, IpAddr)>);

impl Shares {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part for a new connection of `peer`, or `None` when its address holds its share.
    pub(super) fn take(self: &Arc<Self>, peer: Peer) -> Option<Share> {
        let Peer::Tcp(address) = peer else {
            return Some(Share(None));
        };
        let owner = owner(address.ip());
        let mut state = self.state();
        let held = state.held.entry(owner).or_default();
        if *held < self.most {
            *held += 1;
            return Some(Share(Some((Arc::clone(self), owner))));
        }
        let now = Instant::now();
        if state.warned.is_none_or(|last| now >= last + WARN_EVERY) {
            state.warned = Some(now);
            tracing::warn!(address = %owner, most = self.most, "refused a connection: the address holds its share");
        }
        None
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((shares, owner)) = &self.0 else {
            return;
        };
        let mut state = shares.state();
        if let Some(held) = state.held.get_mut(owner) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(owner);
            }
        }
    }
}

fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Tcp(address.parse().unwrap())
    }

    #[tokio::test]
    async fn an_address_gets_back_what_it_gives_up() {
        let shares = Shares::new(2);
        let first = shares.take(peer("192.0.2.1:1")).unwrap();
        let second = shares.take(peer("[::ffff:192.0.2.1]:2")).unwrap();
        assert!(shares.take(peer("192.0.2.1:3")).is_none());
        let other = shares.take(peer("192.0.2.2:1")).unwrap();
        drop(first);
        let third = shares.take(peer("192.0.2.1:4")).unwrap();
        drop((second, third, other));
        assert!(shares.state().held.is_empty());
    }

    #[tokio::test]
    async fn a_subscribers_network_is_one_address_and_a_unix_socket_is_none() {
        let shares = Shares::new(1);
        let _held = shares.take(peer("[2001:db8::1]:1")).unwrap();
        assert!(shares.take(peer("[2001:db8::2]:1")).is_none());
        let _other = shares.take(peer("[2001:db8:0:1::1]:1")).unwrap();
        let _unix: Vec<_> = (0..9)
            .map(|_| shares.take(Peer::Unix(None)).unwrap())
            .collect();
    }
}
