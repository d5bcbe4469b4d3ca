//! Requests per second and address.
//!
//! Addresses are hashed, with a secret of this process, into a fixed number of buckets, so that
//! no number of addresses makes the table grow; IPv6 counts by /64, because that is what one
//! subscriber has. Two addresses in one bucket share it, which with 65,536 buckets few notice.
//! Health probes are not counted: a monitor must not be told 429.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderName, HeaderValue};
use rat_config::RateLimit;
use rat_types::Kind;

use super::client_address::ClientAddress;
use crate::fault::Fault;
use crate::route;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

type Buckets =
    RateLimiter<u16, DefaultKeyedStateStore<u16>, DefaultClock, StateInformationMiddleware>;

/// The limiter of one listener.
#[derive(Clone)]
pub(crate) struct Limiter(Option<Arc<Inner>>);

struct Inner {
    buckets: Buckets,
    clock: DefaultClock,
    hasher: RandomState,
    burst: NonZeroU32,
}

/// What the limiter says about one request.
enum Verdict {
    Allowed { remaining: u32 },
    Refused { wait: Duration },
}

impl Limiter {
    /// A limiter, or none.
    pub(crate) fn new(limit: Option<RateLimit>) -> Self {
        Self(limit.map(
            |RateLimit {
                 requests_per_second,
                 burst,
             }| {
                let clock = DefaultClock::default();
                let quota = Quota::per_second(requests_per_second).allow_burst(burst);
                let buckets = Buckets::new(quota, DefaultKeyedStateStore::default(), clock.clone());
                Arc::new(Inner {
                    buckets,
                    clock,
                    hasher: RandomState::new(),
                    burst,
                })
            },
        ))
    }
}

impl Inner {
    fn check(&self, address: IpAddr) -> Verdict {
        let network = match address {
            IpAddr::V4(ip) => u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
        };
        let [low, high, ..] = self.hasher.hash_one(network).to_le_bytes();
        match self.buckets.check_key(&u16::from_le_bytes([low, high])) {
            Ok(state) => Verdict::Allowed {
                remaining: state.remaining_burst_capacity(),
            },
            Err(denied) => Verdict::Refused {
                wait: denied.wait_time_from(self.clock.now()),
            },
        }
    }
}

/// The layer.
pub(crate) async fn apply(
    State(limiter): State<Limiter>,
    request: Request,
    next: Next,
) -> Response {
    let address = request
        .extensions()
        .get::<ClientAddress>()
        .map(|found| found.0);
    let (Some(inner), Some(address)) = (limiter.0, address) else {
        return next.run(request).await;
    };
    if route::is_health(request.uri().path()) {
        return next.run(request).await;
    }
    let (mut response, remaining) = match inner.check(address) {
        Verdict::Allowed { remaining } => (next.run(request).await, remaining),
        Verdict::Refused { wait } => {
            let message = "too many requests from this address; come back later";
            let mut response = Fault::new(Kind::ResourceExhausted, message)
                .because("RATE_LIMITED")
                .retry_after(wait)
                .into_response();
            let seconds = wait.as_secs().saturating_add(1);
            response
                .headers_mut()
                .insert(RESET, HeaderValue::from(seconds));
            (response, 0)
        }
    };
    let headers = response.headers_mut();
    headers.insert(LIMIT, HeaderValue::from(inner.burst.get()));
    headers.insert(REMAINING, HeaderValue::from(remaining));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> Arc<Inner> {
        let one = NonZeroU32::MIN;
        Limiter::new(Some(RateLimit {
            requests_per_second: one,
            burst: one,
        }))
        .0
        .unwrap()
    }

    #[test]
    fn no_number_of_addresses_makes_the_table_grow_past_its_bound() {
        let limiter = limiter();
        for number in 0..200_000_u32 {
            limiter.check(IpAddr::V4(number.into()));
        }
        assert!(limiter.buckets.len() <= 65_536);
    }

    #[test]
    fn one_subscriber_with_many_ipv6_addresses_is_one_caller() {
        let limiter = limiter();
        let first = limiter.check("2001:db8::1".parse().unwrap());
        let second = limiter.check("2001:db8::ffff".parse().unwrap());
        assert!(matches!(first, Verdict::Allowed { remaining: 0 }));
        assert!(matches!(second, Verdict::Refused { .. }));
    }
}
