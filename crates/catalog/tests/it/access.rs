//! What the catalog asks of access control, for users, for queries on behalf of one, and for runs.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use http::Method;
use rat_catalog::{AccessControl, Caller, Deed, Denial, Refusal, Subject, rest};
use rat_types::{Identity, NamespaceName, TableIdent};
use serde_json::json;

use crate::support::{Lake, ident, path, query, run, run_id, user};

const SEEN: &str = "default.gold.seen";
const HIDDEN: &str = "default.gold.hidden";

/// Lets people read the table [`SEEN`], and what is granted; remembers what it was asked.
#[derive(Default)]
struct Gatekeeper {
    granted: Mutex<Vec<(Subject, Deed)>>,
    asked: Mutex<Vec<(Subject, Deed)>>,
    is_down: bool,
}

impl Gatekeeper {
    fn grant(&self, subject: Subject, deed: Deed) {
        self.granted.lock().unwrap().push((subject, deed));
    }

    fn reads(&self, table: &TableIdent) -> bool {
        let wanted = (Subject::Table(table.clone()), Deed::Read);
        table.to_string() == SEEN || self.granted.lock().unwrap().contains(&wanted)
    }

    fn down<T>(&self, answer: T) -> Result<T, Refusal> {
        match self.is_down {
            true => Err(Refusal::Unavailable("nobody is there".to_owned())),
            false => Ok(answer),
        }
    }
}

impl AccessControl for Gatekeeper {
    fn check<'a>(
        &'a self,
        identity: &'a Identity,
        subject: &'a Subject,
        deed: Deed,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        self.asked.lock().unwrap().push((subject.clone(), deed));
        let granted = self
            .granted
            .lock()
            .unwrap()
            .contains(&(subject.clone(), deed));
        let allowed = granted
            || match (subject, deed) {
                (Subject::Table(table), Deed::Read) => self.reads(table),
                // There is something in it that they may read.
                (Subject::Namespace(_), Deed::Read) => true,
                _ => false,
            };
        let verdict = match allowed {
            true => Ok(()),
            false => Err(Refusal::Denied(Box::new(Denial {
                user: identity.user_id.clone(),
                action: format!("{deed:?}"),
                resource: format!("{subject:?}"),
                reason: "the gatekeeper's reason".to_owned(),
                message: "you may not".to_owned(),
            }))),
        };
        Box::pin(std::future::ready(self.down(()).and(verdict)))
    }

    fn readable_tables<'a>(
        &'a self,
        _: &'a Identity,
        mut tables: Vec<TableIdent>,
    ) -> BoxFuture<'a, Result<Vec<TableIdent>, Refusal>> {
        tables.retain(|table| self.reads(table));
        Box::pin(std::future::ready(self.down(tables)))
    }

    fn readable_namespaces<'a>(
        &'a self,
        _: &'a Identity,
        mut namespaces: Vec<NamespaceName>,
    ) -> BoxFuture<'a, Result<Vec<NamespaceName>, Refusal>> {
        namespaces.retain(|name| name.as_str() == "default");
        Box::pin(std::future::ready(self.down(namespaces)))
    }
}

/// A lake with two tables behind the gatekeeper.
async fn guarded(gatekeeper: &Arc<Gatekeeper>) -> Lake {
    let mut lake = Lake::new().await;
    for table in [SEEN, HIDDEN] {
        lake.create(&user(), table).await.ok();
    }
    let other = json!({"namespace": ["other"]});
    lake.post("/v1/namespaces", other).await.ok();
    lake.router = rest::guarded_router(lake.catalog.clone(), gatekeeper.clone());
    lake
}

#[tokio::test]
async fn what_may_not_be_read_is_not_there_for_users_and_queries() {
    let gatekeeper = Arc::new(Gatekeeper::default());
    let lake = guarded(&gatekeeper).await;
    for caller in [user(), query()] {
        lake.load(&caller, SEEN).await.ok();
        let hidden = lake.load(&caller, HIDDEN).await;
        let hidden = hidden.fails(404, "NoSuchTableException");
        let missing = lake.load(&caller, "default.gold.nothing").await;
        let missing = missing.fails(404, "NoSuchTableException");
        assert_eq!(
            hidden.replace("hidden", "x"),
            missing.replace("nothing", "x")
        );
        assert!(!hidden.contains("reason"), "{hidden}");
        let get = |path| lake.call(&caller, Method::GET, path, None);
        let tables = get("/v1/namespaces/default%1Fgold/tables").await.ok();
        assert_eq!(tables["identifiers"].as_array().unwrap().len(), 1);
        assert_eq!(tables["identifiers"][0]["name"], "seen");
        let namespaces = get("/v1/namespaces").await.ok();
        assert_eq!(namespaces["namespaces"], json!([["default"]]));
        let head = lake.call(&caller, Method::HEAD, &path(HIDDEN), None).await;
        assert_eq!(head.status, 404);
    }
}

#[tokio::test]
async fn what_may_be_read_and_not_changed_is_forbidden() {
    let gatekeeper = Arc::new(Gatekeeper::default());
    let lake = guarded(&gatekeeper).await;
    let commit = async |table| lake.commit(&user(), table, json!([]), json!([])).await;
    commit(SEEN).await.fails(403, "ForbiddenException");
    commit(HIDDEN).await.fails(404, "NoSuchTableException");
    let creation = json!([{"type": "assert-create"}]);
    let created = lake
        .commit(&user(), "default.gold.new", creation, json!([]))
        .await;
    created.fails(403, "ForbiddenException");
    let created = lake.create(&user(), "default.gold.new").await;
    created.fails(403, "ForbiddenException");
    lake.delete(&path(SEEN))
        .await
        .fails(403, "ForbiddenException");
    lake.delete(&path(HIDDEN))
        .await
        .fails(404, "NoSuchTableException");
    let namespace = json!({"namespace": ["new"]});
    let created = lake.post("/v1/namespaces", namespace).await;
    created.fails(403, "ForbiddenException");
    lake.delete("/v1/namespaces/other")
        .await
        .fails(403, "ForbiddenException");
    let properties = json!({"updates": {"a": "b"}});
    let changed = lake
        .post("/v1/namespaces/other/properties", properties)
        .await;
    changed.fails(403, "ForbiddenException");
    let tables = lake.catalog.list_tables(None, None).await.unwrap();
    assert_eq!(tables, [ident(HIDDEN), ident(SEEN)]);
    assert_eq!(lake.store.namespaces().list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_allowed_is_done() {
    let gatekeeper = Arc::new(Gatekeeper::default());
    let lake = guarded(&gatekeeper).await;
    gatekeeper.grant(Subject::NewNamespace, Deed::Create);
    gatekeeper.grant(Subject::Namespace("default".parse().unwrap()), Deed::Create);
    gatekeeper.grant(Subject::Table(ident(SEEN)), Deed::Write);
    gatekeeper.grant(Subject::Table(ident(SEEN)), Deed::Delete);
    let namespace = json!({"namespace": ["new"]});
    lake.post("/v1/namespaces", namespace).await.ok();
    lake.create(&user(), "default.gold.new").await.ok();
    let said = lake.store.table_metadata();
    let said = said.get(&ident("default.gold.new")).await.unwrap().unwrap();
    assert_eq!(said.owner, "anonymous");
    lake.commit(&user(), SEEN, json!([]), json!([])).await.ok();
    assert_eq!(lake.delete(&path(SEEN)).await.status, 204);
    // Somebody else's next time.
    let owner = lake.store.table_metadata().get(&ident(SEEN)).await.unwrap();
    assert_eq!(owner.unwrap().owner, "");
}

#[tokio::test]
async fn a_run_has_its_scope_and_nobody_is_asked() {
    let gatekeeper = Arc::new(Gatekeeper::default());
    let lake = guarded(&gatekeeper).await;
    let caller = run(run_id(1), "default.gold.own", &[HIDDEN]);
    gatekeeper.asked.lock().unwrap().clear();
    lake.load(&caller, HIDDEN).await.ok();
    lake.create(&caller, "default.gold.own").await.ok();
    let other = lake.load(&caller, SEEN).await;
    other.fails(403, "ForbiddenException");
    assert_eq!(*gatekeeper.asked.lock().unwrap(), []);
}

#[tokio::test]
async fn while_nobody_can_say_nothing_is_answered() {
    let gatekeeper = Arc::new(Gatekeeper {
        is_down: true,
        ..Gatekeeper::default()
    });
    let lake = guarded(&gatekeeper).await;
    for caller in [user(), query()] {
        for (method, path) in [
            (Method::GET, "/v1/namespaces".to_owned()),
            (Method::GET, "/v1/namespaces/default".to_owned()),
            (
                Method::GET,
                "/v1/namespaces/default%1Fgold/tables".to_owned(),
            ),
            (Method::GET, path(SEEN)),
        ] {
            let answer = lake.call(&caller, method, &path, None).await;
            let message = answer.fails(503, "ServiceUnavailableException");
            assert!(message.contains("nobody is there"), "{message}");
        }
    }
}

#[tokio::test]
async fn an_answer_carries_the_denial_for_the_audit_log() {
    use tower::ServiceExt as _;
    let gatekeeper = Arc::new(Gatekeeper::default());
    let lake = guarded(&gatekeeper).await;
    let mut request = http::Request::builder()
        .uri(path(HIDDEN))
        .body(axum::body::Body::empty())
        .unwrap();
    let caller: Caller = query();
    request.extensions_mut().insert(caller);
    let response = lake.router.clone().oneshot(request).await.unwrap();
    let denial = response.extensions().get::<Denial>().expect("a denial");
    assert_eq!(denial.reason, "the gatekeeper's reason");
    assert_eq!(denial.user, "anonymous");
}
