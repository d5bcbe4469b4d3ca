use axum::body::Body;
use futures::future::BoxFuture;
use rat_api::{AccessError, Action, AuditConfig, Enforcer, Resource};
use rat_scheduler::{Executors, QueryToken, Service, WarmPoolExecutor};
use rat_store::{AuditFilter, Store};
use rat_types::Identity;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;

/// Everybody may do what they like with what is theirs.
struct Owners;

impl Enforcer for Owners {
    fn check<'a>(
        &'a self,
        identity: &'a Identity,
        resource: &'a Resource,
        action: Action,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        let verdict = match resource.owner == identity.user_id {
            true => Ok(()),
            false => Err(AccessError::Denied {
                user: identity.user_id.clone(),
                action: action.as_str(),
                resource: resource.id.clone(),
                reason: "it is not theirs".to_owned(),
            }),
        };
        Box::pin(std::future::ready(verdict))
    }

    fn filter<'a>(
        &'a self,
        identity: &'a Identity,
        resources: &'a [Resource],
        _: Action,
    ) -> BoxFuture<'a, Result<Vec<bool>, AccessError>> {
        let theirs = |resource: &Resource| resource.owner == identity.user_id;
        let verdicts = resources.iter().map(theirs).collect();
        Box::pin(std::future::ready(Ok(verdicts)))
    }

    fn ready(&self) -> Result<(), AccessError> {
        Ok(())
    }

    fn is_active(&self) -> bool {
        true
    }
}

fn user(name: &str) -> Identity {
    Identity {
        user_id: name.to_owned(),
        roles: vec!["analyst".to_owned()],
        ..Identity::anonymous()
    }
}

/// The internal listener over a lake with the table `default.gold.orders` of ana's.
struct World {
    router: Router,
    store: Store,
    tokens: QueryTokens,
    written: (CancellationToken, tokio::task::JoinHandle<()>),
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&"sqlite::memory:".parse().unwrap())
            .await
            .unwrap();
        let lake = format!("file://{}/lake", folder.path().display());
        let catalog = Catalog::new(store.clone(), &lake.parse().unwrap()).unwrap();
        let nowhere = rat_service::grpc::channel(&"unix:/nowhere".parse().unwrap()).unwrap();
        let (_, scheduler) = Service::new(
            rat_scheduler::Config::new(String::new(), catalog.warehouse().clone()),
            store.clone(),
            catalog.clone(),
            Executors::new(Arc::new(WarmPoolExecutor::new(nowhere))),
        );
        let (audit, writer) = Audit::new(store.clone(), AuditConfig::default());
        let stop = CancellationToken::new();
        let writing = tokio::spawn(writer.run(stop.clone()));
        let tokens = QueryTokens::new(8);
        create_orders(&catalog).await;
        let router = router(Internal {
            catalog,
            scheduler,
            run_tokens: RunTokens::new(store.clone()),
            query_tokens: tokens.clone(),
            access: Enforcement::new(store.clone(), Arc::new(Owners), audit.clone()),
            audit,
            request_timeout: Duration::from_secs(10),
        });
        Self {
            router,
            store,
            tokens,
            written: (stop, writing),
            _folder: folder,
        }
    }

    fn token(&self, name: &str) -> QueryToken {
        let request_id = format!("request of {name}");
        self.tokens.mint(user(name), &request_id).unwrap()
    }

    /// Status and JSON of what is at `path`.
    async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let request = Request::builder()
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        let json = serde_json::from_slice(&body.unwrap()).unwrap_or(Value::Null);
        (status, json)
    }
}

async fn create_orders(catalog: &Catalog) {
    let body = json!({
        "name": "orders",
        "schema": {"type": "struct", "fields": [
            {"id": 1, "name": "id", "required": false, "type": "long"}]},
    });
    let mut request = Request::builder()
        .method("POST")
        .uri("/v1/namespaces/default%1Fgold/tables")
        .body(Body::from(body.to_string()))
        .unwrap();
    request.extensions_mut().insert(Caller::User(user("ana")));
    let open = rat_catalog::rest::router(catalog.clone());
    let response = open.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

const ORDERS: &str = "/iceberg/v1/namespaces/default%1Fgold/tables/orders";

#[tokio::test]
async fn a_query_sees_the_catalog_with_its_callers_eyes() {
    let world = World::new().await;
    let (ana, ben) = (world.token("ana"), world.token("ben"));
    let (ana_token, ben_token) = (ana.secret().expose(), ben.secret().expose());
    let tables = "/iceberg/v1/namespaces/default%1Fgold/tables";
    assert_eq!(world.get(ana_token, ORDERS).await.0, 200);
    let (_, seen) = world.get(ana_token, tables).await;
    assert_eq!(seen["identifiers"][0]["name"], "orders");

    let (status, hidden) = world.get(ben_token, ORDERS).await;
    assert_eq!(status, 404);
    assert_eq!(hidden["error"]["type"], "NoSuchTableException");
    let (_, namespaces) = world.get(ben_token, "/iceberg/v1/namespaces").await;
    assert_eq!(namespaces["namespaces"], json!([]));
    assert_eq!(world.get(ben_token, tables).await.0, 404);

    // The token dies with its query.
    let text = ana_token.to_owned();
    drop(ana);
    assert_eq!(world.get(&text, ORDERS).await.0, 401);

    // Who asked for what in which request is on record, but not where ratq looked around.
    world.written.0.cancel();
    world.written.1.await.unwrap();
    let log = world.store.audit_log();
    let entries = log.list(&AuditFilter::default()).await.unwrap().items;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    assert_eq!(
        (entry.user_id.as_str(), entry.action.as_str()),
        ("ben", "table.read")
    );
    assert_eq!(entry.resource, "default.gold.orders");
    assert_eq!(entry.request_id, "request of ben");
    assert!(entry.detail.ends_with(": it is not theirs"), "{entry:?}");
}
