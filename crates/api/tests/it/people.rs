//! Several users, and access control as a plugin would do it: owners and administrators may do
//! everything, others what they were granted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Method, Request};
use rat_api::{
    AccessError, Action, AuthenticationError, Authenticator, Enforcer, Resource, Verification,
    Verified,
};
use rat_types::{Identity, Secret};
use serde_json::{Value, json};

use crate::support::{Answer, Api, Setup, json as json_request, with};

/// A credential is the name of its user; `root` is an administrator.
pub(crate) struct People;

pub(crate) fn user(name: &str) -> Identity {
    let role = if name == "root" { "admin" } else { "analyst" };
    Identity {
        user_id: name.to_owned(),
        email: String::new(),
        display_name: String::new(),
        roles: vec![role.to_owned()],
    }
}

impl Authenticator for People {
    fn authenticate<'a>(
        &'a self,
        credential: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Verified, AuthenticationError>> {
        let verified = match credential.map(Secret::expose) {
            None => Err(AuthenticationError::Missing),
            Some("nobody") => Err(AuthenticationError::Refused),
            Some(name) => Ok(Verified {
                identity: user(name),
                by: Verification::Plugin,
            }),
        };
        Box::pin(std::future::ready(verified))
    }

    fn is_required(&self) -> bool {
        true
    }
}

/// Owners, administrators and grants.
#[derive(Default)]
pub(crate) struct Rules {
    grants: Mutex<BTreeSet<(String, String, String)>>,
    /// Calls of [`Enforcer::filter`], by the number of resources in each.
    pub(crate) filtered: Mutex<Vec<usize>>,
}

impl Rules {
    /// Lets `user` do `action` to the resource, which is written `kind id`.
    pub(crate) fn grant(&self, user: &str, action: &str, resource: &str) {
        let grant = (user.to_owned(), action.to_owned(), resource.to_owned());
        self.grants.lock().unwrap().insert(grant);
    }

    fn allows(&self, identity: &Identity, resource: &Resource, action: Action) -> bool {
        let user = &identity.user_id;
        let name = format!("{} {}", resource.kind.as_str(), resource.id);
        let grant = (user.clone(), action.as_str().to_owned(), name);
        identity.roles.iter().any(|role| role == "admin")
            || resource.owner == *user
            || self.grants.lock().unwrap().contains(&grant)
    }
}

impl Enforcer for Rules {
    fn check<'a>(
        &'a self,
        identity: &'a Identity,
        resource: &'a Resource,
        action: Action,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        let verdict = match self.allows(identity, resource, action) {
            true => Ok(()),
            false => Err(AccessError::Denied {
                user: identity.user_id.clone(),
                action: action.as_str(),
                resource: resource.id.clone(),
                reason: format!("owned by {:?}", resource.owner),
            }),
        };
        Box::pin(std::future::ready(verdict))
    }

    fn filter<'a>(
        &'a self,
        identity: &'a Identity,
        resources: &'a [Resource],
        action: Action,
    ) -> BoxFuture<'a, Result<Vec<bool>, AccessError>> {
        self.filtered.lock().unwrap().push(resources.len());
        let allowed = |resource| self.allows(identity, resource, action);
        let verdicts = resources.iter().map(allowed).collect();
        Box::pin(std::future::ready(Ok(verdicts)))
    }

    fn ready(&self) -> Result<(), AccessError> {
        Ok(())
    }

    fn is_active(&self) -> bool {
        true
    }
}

/// An API with [`People`] and [`Rules`].
pub(crate) struct Shop {
    pub(crate) api: Api,
    pub(crate) rules: Arc<Rules>,
}

impl Shop {
    pub(crate) async fn start(setup: Setup) -> Self {
        let rules = Arc::new(Rules::default());
        let api = Setup {
            authenticator: Some(Arc::new(People)),
            enforcer: rules.clone(),
            ..setup
        }
        .start()
        .await;
        Self { api, rules }
    }

    /// With a namespace of ana's, in which she has two pipelines, a landing zone and a table.
    pub(crate) async fn of_ana() -> Self {
        let shop = Self::start(Setup::default()).await;
        shop.rules.grant("ana", "create", "namespace *");
        let post = async |path: &str, body: Value| {
            shop.send("ana", Method::POST, path, body).await;
        };
        post("/api/v1/namespaces", json!({"name": "shop"})).await;
        for name in ["orders", "daily"] {
            let body = json!({
                "namespace": "shop", "layer": "gold", "name": name, "source": "SELECT 1 AS a",
            });
            post("/api/v1/pipelines", body).await;
        }
        let zone = json!({"namespace": "shop", "name": "raw"});
        post("/api/v1/landing-zones", zone).await;
        post("/iceberg/v1/namespaces/shop%1Fgold/tables", table("orders")).await;
        shop
    }

    fn as_user(user: &str, request: Request<Body>) -> Request<Body> {
        with(request, "authorization", &format!("Bearer {user}"))
    }

    pub(crate) async fn send(&self, user: &str, method: Method, path: &str, body: Value) -> Answer {
        let request = json_request(method, path, &body);
        self.api.send(Self::as_user(user, request)).await
    }

    pub(crate) async fn get(&self, user: &str, path: &str) -> Answer {
        self.send(user, Method::GET, path, Value::Null).await
    }

    pub(crate) async fn post(&self, user: &str, path: &str, body: Value) -> Answer {
        self.send(user, Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, user: &str, path: &str, body: Value) -> Answer {
        self.send(user, Method::PUT, path, body).await
    }

    pub(crate) async fn delete(&self, user: &str, path: &str) -> Answer {
        self.send(user, Method::DELETE, path, Value::Null).await
    }
}

/// The body that creates a table under `/iceberg`.
pub(crate) fn table(name: &str) -> Value {
    json!({
        "name": name,
        "schema": {"type": "struct", "fields": [
            {"id": 1, "name": "id", "required": false, "type": "long"}]},
    })
}
