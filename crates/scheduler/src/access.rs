//! What the user who started a run may read.
//!
//! A run reads with a token of its own, on behalf of whoever started it. Which tables and landing
//! zones it names is known when its sources are frozen; there, and before anything is handed to
//! an executor, this is asked. What the run may read is frozen with the answer.

use std::fmt;

use futures::future::BoxFuture;
use rat_types::{Identity, TableIdent, ZoneIdent};

/// What a run touches.
#[derive(Debug, Clone, Copy)]
pub struct Reads<'a> {
    /// Its own table, which it replaces or extends, and which its tests read.
    pub own: &'a TableIdent,
    /// The tables that it names besides.
    pub tables: &'a [TableIdent],
    /// The landing zones.
    pub zones: &'a [ZoneIdent],
}

/// Why a run must not read what it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Whoever started it may not: the run fails.
    #[error("{0}")]
    Denied(String),
    /// Nobody is there to say: the run waits.
    #[error("{0}")]
    Unavailable(String),
}

/// Says what the user who started a run may read.
pub trait RunAccess: fmt::Debug + Send + Sync + 'static {
    /// `Ok` where `creator` may read all of it.
    fn check<'a>(
        &'a self,
        creator: &'a Identity,
        reads: Reads<'a>,
    ) -> BoxFuture<'a, Result<(), ReadError>>;
}

/// For an installation without access control: everybody may read everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadAll;

impl RunAccess for ReadAll {
    fn check<'a>(&'a self, _: &'a Identity, _: Reads<'a>) -> BoxFuture<'a, Result<(), ReadError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
