//! The public API over a real database, catalog and lake; the query service is a fake, and no
//! scheduler runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod auth;
mod connections;
mod down;
mod enforcement;
mod executor;
mod files;
mod form;
mod health;
mod iceberg;
mod logs;
mod middleware;
mod namespaces;
mod observed;
mod obstacles;
mod panics;
mod people;
mod pipelines;
mod query;
mod ratq;
mod routes;
mod runs;
mod sharing;
mod slots;
mod support;
mod tables;
mod uploads;
mod zones;
