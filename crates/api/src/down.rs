//! What stands in a slot whose plugin is down and whose built-in must not take over: everything
//! that would have to ask it is refused, as passing (503) and never as allowed.

use futures::future::BoxFuture;
use rat_types::{Identity, Secret};

use crate::access::{AccessError, Action, Enforcer, Resource};
use crate::middleware::authentication::{AuthenticationError, Authenticator, Verified};

/// In the place of an auth plugin that is down: nobody is let in, whatever they present.
#[derive(Debug, Clone)]
pub struct AuthenticationDown {
    message: String,
}

/// In the place of an enforcement plugin that is down: nobody may do anything.
#[derive(Debug, Clone)]
pub struct EnforcementDown {
    message: String,
}

impl AuthenticationDown {
    /// `message` says what is down, and why; callers read it.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl EnforcementDown {
    /// `message` says what is down, and why; callers read it.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl Authenticator for AuthenticationDown {
    fn authenticate<'a>(
        &'a self,
        _: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Verified, AuthenticationError>> {
        let refused = AuthenticationError::Unavailable(self.message.clone());
        Box::pin(std::future::ready(Err(refused)))
    }

    fn is_required(&self) -> bool {
        true
    }
}

impl Enforcer for EnforcementDown {
    fn check<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a Resource,
        _: Action,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        Box::pin(std::future::ready(self.ready()))
    }

    fn filter<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a [Resource],
        _: Action,
    ) -> BoxFuture<'a, Result<Vec<bool>, AccessError>> {
        Box::pin(std::future::ready(self.ready().map(|()| Vec::new())))
    }

    fn ready(&self) -> Result<(), AccessError> {
        Err(AccessError::Unavailable(self.message.clone()))
    }

    fn is_active(&self) -> bool {
        true
    }
}
