//! The host with real servers on real sockets: in this process where the test has to know what a
//! plugin heard, as processes of their own where it is about dying.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod caching;
mod connect;
mod dying;
mod enforcement;
mod executor;
mod failing;
mod greeting;
mod idle;
mod observing;
mod on_down;
mod reloading;
mod replicas;
mod sharing;
mod tls;
