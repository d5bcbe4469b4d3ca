//! A handler that panics costs one request.

use std::sync::Arc;

use futures::future::BoxFuture;
use rat_api::{AccessError, Action, Enforcer, Resource};
use rat_types::Identity;

use crate::support::Setup;

struct Panics;

impl Enforcer for Panics {
    fn check<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a Resource,
        _: Action,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        Box::pin(async { panic!("the secret of {}", "the enforcer") })
    }

    fn filter<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a [Resource],
        _: Action,
    ) -> BoxFuture<'a, Result<Vec<bool>, AccessError>> {
        Box::pin(async { panic!("the secret of {}", "the enforcer") })
    }

    fn ready(&self) -> Result<(), AccessError> {
        Ok(())
    }

    fn is_active(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_panic_is_a_500_with_the_envelope_and_nothing_more() {
    let api = Setup {
        enforcer: Arc::new(Panics),
        ..Setup::default()
    }
    .start()
    .await;
    for _ in 0..2 {
        let answer = api.get("/api/v1/namespaces").await;
        assert_eq!(answer.header("x-request-id").len(), 36);
        let message = answer.refused(500, "INTERNAL");
        assert!(!message.contains("secret"), "{message}");
    }
    assert_eq!(api.get("/api/v1/me").await.status, 200);
}
