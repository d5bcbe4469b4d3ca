//! From a plugin's address to the replicas behind it.
//!
//! tonic looks a host name up once and its balancer keeps replicas that are gone, so this is done
//! here: looked up at the first use, every 30 seconds and after every failure. A lookup cannot be
//! cancelled, so there is never more than one of a plugin under way.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use rat_config::{Address, PluginAddress};
use tokio::net::TcpStream;

use crate::dial::Endpoint;

/// Looks host names up.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses behind `host`.
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// As the system does it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            Ok(found.collect())
        })
    }
}

/// Replicas that a name is taken to have, at most.
const MOST: usize = 64;

/// A name of this machine alone.
const LOCALHOST: &str = "localhost";
/// How long a port of it may take to be open.
const TRY: Duration = Duration::from_millis(200);

type Lookup = Shared<BoxFuture<'static, Result<Vec<SocketAddr>, String>>>;

/// Where a plugin is, and under which name.
pub(crate) struct Target {
    place: Place,
    resolver: Arc<dyn Resolve>,
    under_way: Mutex<Option<Lookup>>,
}

enum Place {
    Known(Endpoint),
    Named { host: String, port: u16 },
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Known(endpoint) => endpoint.fmt(f),
            Place::Named { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Target {
    pub(crate) fn new(address: &PluginAddress, resolver: Arc<dyn Resolve>) -> Self {
        let place = match address {
            PluginAddress::Plain(Address::Unix(path)) => Place::Known(Endpoint::Unix(path.clone())),
            PluginAddress::Plain(Address::Tcp { host, port })
            | PluginAddress::Https { host, port } => match host.parse::<IpAddr>() {
                Ok(ip) => Place::Known(Endpoint::Tcp(SocketAddr::new(ip, *port))),
                Err(_) => Place::Named {
                    host: host.clone(),
                    port: *port,
                },
            },
        };
        Self {
            place,
            resolver,
            under_way: Mutex::new(None),
        }
    }

    /// Whether where it is may change.
    pub(crate) fn is_named(&self) -> bool {
        matches!(self.place, Place::Named { .. })
    }

    /// The replicas, sorted, within `limit`.
    pub(crate) async fn endpoints(&self, limit: Duration) -> Result<Vec<Endpoint>, String> {
        let (host, port) = match &self.place {
            Place::Known(endpoint) => return Ok(vec![endpoint.clone()]),
            Place::Named { host, port } => (host, *port),
        };
        let lookup = self.lookup(host, port);
        let found = match tokio::time::timeout(limit, lookup).await {
            Ok(found) => found,
            Err(_) => return Err(format!("the name {host} was not resolved within {limit:?}")),
        };
        self.done();
        let found = found.map_err(|error| format!("the name {host} is not known: {error}"))?;
        let found: BTreeSet<Endpoint> = found.into_iter().map(Endpoint::Tcp).collect();
        match found.is_empty() {
            true => Err(format!("the name {host} has no address")),
            false if host == LOCALHOST => Ok(one_of_loopback(found.into_iter().collect()).await),
            false => Ok(found.into_iter().take(MOST).collect()),
        }
    }

    /// The lookup that is under way, or a new one.
    fn lookup(&self, host: &str, port: u16) -> Lookup {
        let mut under_way = self.lock();
        let begin = || {
            let found = self.resolver.resolve(host.to_owned(), port);
            let found = found.map(|found| found.map_err(|error| error.to_string()));
            found.boxed().shared()
        };
        under_way.get_or_insert_with(begin).clone()
    }

    fn done(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Lookup>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// `localhost` is 127.0.0.1 and ::1, and a plugin listens on one of them: they are two ways to one
/// replica, of which the first is taken that is open.
async fn one_of_loopback(endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    for endpoint in &endpoints {
        let Endpoint::Tcp(address) = endpoint else {
            continue;
        };
        let tried = tokio::time::timeout(TRY, TcpStream::connect(address));
        if let Ok(Ok(_)) = tried.await {
            return vec![endpoint.clone()];
        }
    }
    // Nobody is there yet; looked up again until somebody is.
    endpoints.into_iter().take(1).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Hanging(AtomicUsize);

    impl Resolve for Hanging {
        fn resolve(&self, _: String, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending().boxed()
        }
    }

    #[tokio::test]
    async fn a_lookup_that_hangs_is_never_begun_twice() {
        let resolver = Arc::new(Hanging(AtomicUsize::new(0)));
        let address = "plugin.example:50060".parse().unwrap();
        let target = Target::new(&address, resolver.clone());
        for _ in 0..3 {
            let message = target
                .endpoints(Duration::from_millis(1))
                .await
                .unwrap_err();
            assert!(message.contains("plugin.example"), "{message}");
        }
        assert_eq!(resolver.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup() {
        let resolver = Arc::new(Hanging(AtomicUsize::new(0)));
        for (text, endpoint) in [
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:2", "[::1]:2"),
            ("https://127.0.0.1:3", "127.0.0.1:3"),
        ] {
            let target = Target::new(&text.parse().unwrap(), resolver.clone());
            let found = target.endpoints(Duration::from_secs(1)).await.unwrap();
            assert_eq!(found[0].to_string(), endpoint);
        }
        assert_eq!(resolver.0.load(Ordering::SeqCst), 0);
    }

    struct Both;

    impl Resolve for Both {
        fn resolve(&self, _: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let both = [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| SocketAddr::from((ip, port)));
            std::future::ready(Ok(both.to_vec())).boxed()
        }
    }

    #[tokio::test]
    async fn localhost_is_one_replica_wherever_it_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for (host, expected) in [
            ("localhost", vec!["127.0.0.2"]),
            ("x", vec!["127.0.0.1", "127.0.0.2"]),
        ] {
            let address = format!("{host}:{port}").parse().unwrap();
            let target = Target::new(&address, Arc::new(Both));
            let found = target.endpoints(Duration::from_secs(5)).await.unwrap();
            let expected: Vec<_> = expected.iter().map(|ip| format!("{ip}:{port}")).collect();
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected);
        }
        drop(listener);
        let address = format!("localhost:{port}").parse().unwrap();
        let target = Target::new(&address, Arc::new(Both));
        assert_eq!(
            target
                .endpoints(Duration::from_secs(5))
                .await
                .unwrap()
                .len(),
            1
        );
    }
}
