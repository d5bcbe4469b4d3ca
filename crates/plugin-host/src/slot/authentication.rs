//! The auth slot: who is calling.
//!
//! Nothing here lets anybody in by itself: a caller is known because the plugin said so now, or
//! said so a short while ago, or because the built-in stands in the slot; and each is told apart.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use rat_api::{
    AccessError, AuthenticationError, Authenticator, Holder, Permission, Verification, Verified,
};
use rat_proto::auth::v1::{
    AuthenticateRequest, AuthenticateResponse, AuthorizeRequest, AuthorizeResponse,
};
use rat_types::{Identity, Secret};
use tonic::Code;

use super::Cell;
use crate::cache::TokenCache;
use crate::call::Cause;
use crate::method::{AUTHENTICATE, AUTHORIZE};
use crate::metrics::Metrics;
use crate::plugin::Plugin;
use crate::text::printable;

/// Characters of a user's id, e-mail and name, of a role, and how many of those.
const LONGEST: usize = 512;
const MOST_ROLES: usize = 1000;

#[derive(Debug)]
pub(crate) struct AuthSlot {
    cell: Arc<Cell>,
    builtin: Builtin,
    cache: Option<TokenCache>,
    admin_roles: Vec<String>,
    metrics: Metrics,
}

struct Builtin(Arc<dyn Authenticator>);

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builtin").finish_non_exhaustive()
    }
}

impl AuthSlot {
    pub(crate) fn new(
        cell: Arc<Cell>,
        builtin: Arc<dyn Authenticator>,
        cache: Option<TokenCache>,
        admin_roles: Vec<String>,
        metrics: Metrics,
    ) -> Self {
        Self {
            cell,
            builtin: Builtin(builtin),
            cache,
            admin_roles,
            metrics,
        }
    }

    async fn identify(&self, credential: Option<&Secret>) -> Result<Verified, AuthenticationError> {
        let standing = self.cell.settled().await;
        let Some(plugin) = &standing.plugin else {
            return self.builtin.0.authenticate(credential).await;
        };
        let holder = standing.holder;
        if let (Some(cache), Some(token)) = (&self.cache, credential) {
            if let Some((known, age)) = cache.get(plugin.number, token).await {
                self.metrics.cache_hit();
                return Ok(Verified {
                    identity: known.identity.clone(),
                    by: Verification::Cached(age),
                });
            }
            self.metrics.cache_miss();
        }
        match (holder, credential) {
            (Holder::Plugin, None) => Err(AuthenticationError::Missing),
            (Holder::Plugin, Some(token)) => self.ask(plugin, token).await,
            (Holder::Builtin | Holder::Fallback, _) => {
                self.builtin.0.authenticate(credential).await
            }
            (Holder::Denied | Holder::Held, _) => Err(unavailable(plugin)),
        }
    }

    async fn ask(
        &self,
        plugin: &Arc<Plugin>,
        token: &Secret,
    ) -> Result<Verified, AuthenticationError> {
        let request = AuthenticateRequest {
            token: token.expose().to_owned(),
        };
        let asked = Instant::now();
        let answer = plugin.call::<AuthenticateResponse>(AUTHENTICATE, &request);
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(error) if error.cause.is_an_answer() => {
                if error.cause.is_unimplemented() {
                    // It is one for another slot, and refuses everybody.
                    plugin.complain(&error);
                }
                plugin.tell_refusal(&error);
                return Err(AuthenticationError::Refused);
            }
            Err(error) => {
                plugin.complain(&error);
                return self.without_an_answer(plugin, token, &error.cause).await;
            }
        };
        let expires_at = answer.expires_at;
        let identity = match identity(answer) {
            Ok(identity) => identity,
            Err(rule) => {
                let plugin = &plugin.who;
                tracing::error!(target: "rat::auth", %plugin, rule, "the answer breaks the contract");
                let message = format!("the auth plugin {} answers nonsense", plugin.name);
                return Err(AuthenticationError::Unavailable(message));
            }
        };
        if let Some(cache) = &self.cache {
            let key = (plugin.number, token);
            cache.put(key, &identity, asked, expires_at).await;
        }
        Ok(Verified {
            identity,
            by: Verification::Plugin,
        })
    }

    /// A plugin that this very call found gone is down, so that whoever stands in for it answers.
    async fn without_an_answer(
        &self,
        plugin: &Plugin,
        token: &Secret,
        cause: &Cause,
    ) -> Result<Verified, AuthenticationError> {
        let gone = cause.is_about_the_connection() || matches!(cause, Cause::Down(_));
        let holder = self.cell.load().holder;
        match holder {
            Holder::Fallback if gone => self.builtin.0.authenticate(Some(token)).await,
            _ => Err(unavailable(plugin)),
        }
    }

    async fn permit(&self, identity: &Identity, permission: Permission) -> Result<(), AccessError> {
        let standing = self.cell.settled().await;
        let plugin = match (standing.holder, &standing.plugin) {
            (Holder::Plugin, Some(plugin)) => plugin,
            (Holder::Denied | Holder::Held, Some(plugin)) => {
                return Err(AccessError::Unavailable(down(plugin)));
            }
            _ => return self.builtin.0.authorize(identity, permission).await,
        };
        let request = AuthorizeRequest {
            user_id: identity.user_id.clone(),
            permission: permission.as_str().to_owned(),
            roles: identity.roles.clone(),
            ..AuthorizeRequest::default()
        };
        let denied = |reason: &str| AccessError::Denied {
            user: identity.user_id.clone(),
            action: permission.as_str(),
            resource: "the platform".to_owned(),
            reason: printable(reason),
        };
        match plugin.call::<AuthorizeResponse>(AUTHORIZE, &request).await {
            Ok(answer) if answer.allowed => Ok(()),
            Ok(answer) => Err(denied(&answer.reason)),
            Err(error) if error.cause.is_unimplemented() => {
                permission.of_administrators(identity, &self.admin_roles)
            }
            Err(error) => match &error.cause {
                Cause::Answered {
                    code: Code::PermissionDenied | Code::Unauthenticated,
                    message,
                } => Err(denied(message)),
                _ => {
                    plugin.complain(&error);
                    Err(AccessError::Unavailable(error.to_string()))
                }
            },
        }
    }
}

/// Callers that nobody knows learn which plugin is down; why is in the log and, for those who may
/// see it, in the list of plugins.
fn unavailable(plugin: &Plugin) -> AuthenticationError {
    AuthenticationError::Unavailable(down(plugin))
}

fn down(plugin: &Plugin) -> String {
    format!("the auth plugin {} does not answer", plugin.who.name)
}

/// The caller as the plugin names it.
fn identity(answer: AuthenticateResponse) -> Result<Identity, &'static str> {
    let fits = |text: &str| text.len() <= LONGEST && !text.contains(char::is_control);
    if answer.user_id.trim().is_empty() {
        return Err("user_id is empty");
    }
    if !fits(&answer.user_id) {
        return Err("user_id is too long, or has control characters");
    }
    if !fits(&answer.email) || !fits(&answer.display_name) {
        return Err("email or display_name is too long, or has control characters");
    }
    if answer.roles.len() > MOST_ROLES || !answer.roles.iter().all(|role| fits(role)) {
        return Err("there are too many roles, or one is too long or has control characters");
    }
    Ok(Identity {
        user_id: answer.user_id,
        email: answer.email,
        display_name: answer.display_name,
        roles: answer.roles,
    })
}

impl Authenticator for AuthSlot {
    fn authenticate<'a>(
        &'a self,
        credential: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Verified, AuthenticationError>> {
        Box::pin(self.identify(credential))
    }

    fn authorize<'a>(
        &'a self,
        identity: &'a Identity,
        permission: Permission,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        Box::pin(self.permit(identity, permission))
    }

    fn is_required(&self) -> bool {
        match self.cell.load().holder {
            Holder::Builtin | Holder::Fallback => self.builtin.0.is_required(),
            Holder::Plugin | Holder::Denied | Holder::Held => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_without_a_name_is_nobody() {
        let answer = |user: &str| AuthenticateResponse {
            user_id: user.to_owned(),
            roles: vec!["admin".to_owned()],
            ..AuthenticateResponse::default()
        };
        assert_eq!(identity(answer("ada")).unwrap().user_id, "ada");
        for nobody in ["", " ", "a\nb", "a\u{1b}[2J", &"x".repeat(LONGEST + 1)] {
            assert!(identity(answer(nobody)).is_err(), "{nobody:?}");
        }
        let many = AuthenticateResponse {
            roles: vec!["role".to_owned(); MOST_ROLES + 1],
            ..answer("ada")
        };
        assert!(identity(many).is_err());
    }
}
