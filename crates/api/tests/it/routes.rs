//! The route table as a whole: every route checks what the table says, and the reference
//! documentation has every route.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use chrono::Utc;
use http::{Method, Request};
use rat_api::{Action, Guard, ROUTES, Resource, ResourceKind, Route};
use rat_store::{NewPipeline, NewPlugin, NewRun, NewZone};
use rat_types::{RunId, TableIdent, ZoneIdent};
use serde_json::{Value, json};

use crate::people;
use crate::sharing::{GRANT, Grants};
use crate::support::{Api, Recorder, Setup, api, request};

/// A path that the route serves.
fn concrete(route: &Route, run: RunId) -> String {
    let path = route
        .path
        .replace("{*path}", "default/pipelines/silver/a/pipeline.sql")
        .replace("{namespace}", "default")
        .replace("{layer}", "silver")
        .replace("{name}", "a")
        .replace("{run_id}", &run.to_string())
        .replace("{file_id}", "1")
        .replace("{grant_id}", GRANT);
    match (route.method, route.path) {
        ("GET", "/api/v1/files") => format!("{path}?prefix=default/"),
        ("GET", "/api/v1/sharing") => {
            format!("{path}?resource_type=pipeline&resource_id=default.silver.a")
        }
        ("GET", "/api/v1/cloud/credentials") => {
            format!("{path}?namespace=default&provider=aws&resource=arn")
        }
        _ => path,
    }
}

/// A body that the route accepts.
fn body(route: &Route) -> Value {
    let named = json!({"namespace": "default", "name": "b"});
    match (route.method, route.path) {
        ("POST", "/api/v1/namespaces") => json!({"name": "b"}),
        ("POST", "/api/v1/pipelines") => {
            json!({"namespace": "default", "layer": "gold", "name": "b"})
        }
        ("POST", "/api/v1/landing-zones") => named,
        ("POST", "/api/v1/runs") => {
            json!({"namespace": "default", "layer": "silver", "pipeline": "a"})
        }
        ("POST", "/api/v1/sharing") => json!({
            "grantee_id": "ben", "permission": "read",
            "resource_type": "pipeline", "resource_id": "default.silver.a",
        }),
        ("POST", "/api/v1/sharing/transfer") => json!({
            "to": "ben", "resource_type": "pipeline", "resource_id": "default.silver.a",
        }),
        ("POST", "/api/v1/query") => json!({"sql": "rows 1"}),
        ("PUT", path) if path.contains("/files/") => json!({"content": "x"}),
        ("PUT", "/api/v1/namespaces/{namespace}") => json!({"description": "x"}),
        _ => json!({}),
    }
}

/// A request that the route accepts.
pub(crate) fn ask(route: &Route, run: RunId) -> Request<Body> {
    let path = concrete(route, run);
    let method: Method = route.method.parse().unwrap();
    if method == Method::POST && path.ends_with("/files") {
        let mut upload = request(method, &path);
        let form = "multipart/form-data; boundary=x".parse().unwrap();
        upload.headers_mut().insert("content-type", form);
        return upload;
    }
    crate::support::json(method, &path, &body(route))
}

async fn with_run(enforcer: Arc<Recorder>) -> (Api, RunId) {
    let api = Setup {
        enforcer,
        sharing: Arc::new(Grants::one()),
        ..Setup::default()
    }
    .start()
    .await;
    let run = pipeline_with_run(&api).await;
    (api, run)
}

/// The things of [`concrete`] paths, each with another owner: a pipeline with a run that waits, a
/// landing zone, a table and a plugin.
pub(crate) async fn pipeline_with_run(api: &Api) -> RunId {
    let ident: TableIdent = "default.silver.a".parse().unwrap();
    let pipeline = NewPipeline {
        ident: ident.clone(),
        kind: "sql".to_owned(),
        description: String::new(),
        owner: "pia".to_owned(),
    };
    api.store.pipelines().create(&pipeline).await.unwrap();
    let source = "default/pipelines/silver/a/pipeline.sql";
    let files = api.store.files();
    files.put(source, b"SELECT 1", "pia").await.unwrap();
    let zone = NewZone {
        ident: ZoneIdent {
            namespace: ident.namespace.clone(),
            name: "a".parse().unwrap(),
        },
        description: String::new(),
        owner: "zoe".to_owned(),
    };
    api.store.zones().create(&zone).await.unwrap();
    let location = "file:///nowhere/metadata/00000-a.metadata.json";
    api.store.tables().insert(&ident, location).await.unwrap();
    api.store
        .owners()
        .give_table(&ident, "", "tom")
        .await
        .unwrap();
    let plugin = NewPlugin {
        name: "auth-static".to_owned(),
        slot: "auth".to_owned(),
        image: "registry/auth-static:1".to_owned(),
        address: "unix:/run/rat/auth.sock".to_owned(),
    };
    api.store.plugins().upsert(&plugin).await.unwrap();
    let run = NewRun {
        id: RunId::new_at(Utc::now()),
        pipeline: ident,
        trigger: "manual".to_owned(),
        created_by: "anonymous".to_owned(),
        created_by_roles: Vec::new(),
    };
    api.store.runs().create(&run).await.unwrap();
    run.id
}

#[tokio::test]
async fn every_route_checks_exactly_what_the_table_says_before_it_does_anything() {
    let recorder = Arc::new(Recorder {
        denies: true,
        ..Recorder::default()
    });
    let (api, run) = with_run(recorder.clone()).await;
    for route in ROUTES {
        recorder.asked.lock().unwrap().clear();
        let name = format!("{} {}", route.method, route.path);
        let answer = api.send(ask(route, run)).await;
        let asked: Vec<(ResourceKind, Action)> = recorder
            .asked
            .lock()
            .unwrap()
            .iter()
            .map(|(resource, action)| (resource.kind, *action))
            .collect();
        match route.guard {
            // What is asked about is what the list would show, and it shows nothing.
            Guard::Access(kind, Action::List) => {
                assert!(!asked.is_empty(), "{name}");
                for (_, action) in &asked {
                    assert_eq!(*action, Action::Read, "{name}");
                }
                assert!(asked.iter().any(|(asked, _)| *asked == kind), "{name}");
                let list = answer.expect(200);
                let lists = list.as_object().unwrap().values();
                for empty in lists {
                    let is_empty = *empty == json!(0) || *empty == json!([]);
                    assert!(is_empty, "{name}: {list}");
                }
            }
            // Whoever may read anything in a namespace may see that there is one.
            Guard::Access(ResourceKind::Namespace, Action::Read)
                if route.path == "/api/v1/namespaces/{namespace}" =>
            {
                let first = (ResourceKind::Namespace, Action::Read);
                assert_eq!(asked[0], first, "{name}");
                assert!(asked.iter().all(|(_, action)| *action == Action::Read));
                answer.refused(403, "FORBIDDEN");
            }
            Guard::Access(kind, action) => {
                assert_eq!(asked, [(kind, action)], "{name}");
                answer.refused(403, "FORBIDDEN");
            }
            Guard::Named(action) => {
                assert_eq!(asked, [(ResourceKind::Pipeline, action)], "{name}");
                answer.refused(403, "FORBIDDEN");
            }
            Guard::Open | Guard::Authenticated | Guard::Catalog | Guard::Permission(_) => {
                assert_eq!(asked, [], "{name}");
                assert_ne!(answer.status, 403, "{name}");
            }
        }
    }
    let left = api
        .store
        .pipelines()
        .get(&"default.silver.a".parse().unwrap())
        .await
        .unwrap();
    assert!(left.is_some());
    assert!(
        !api.store
            .runs()
            .get(run)
            .await
            .unwrap()
            .unwrap()
            .status
            .is_terminal()
    );
}

/// What the catalog says that it offers, each as a request that it accepts.
pub(crate) async fn catalog_requests(api: &Api) -> Vec<(String, Request<Body>)> {
    let config = api.get("/iceberg/v1/config").await.expect(200);
    let endpoints = config["endpoints"].as_array().expect("endpoints");
    assert!(endpoints.len() > 10, "{config}");
    let request = |endpoint: &Value| {
        let name = endpoint.as_str().expect("a text");
        let (method, path) = name.split_once(' ').expect("method and path");
        let concrete = path
            .replace("{prefix}/", "")
            .replace("{namespace}", "default%1Fsilver")
            .replace("{table}", "a");
        let body = match (method, path.rsplit('/').next()) {
            ("POST", Some("namespaces")) => json!({"namespace": ["new"]}),
            ("POST", Some("properties")) => json!({"updates": {"a": "b"}}),
            ("POST", Some("tables")) => people::table("new"),
            ("POST", _) => json!({"requirements": [], "updates": []}),
            _ => Value::Null,
        };
        let uri = format!("/iceberg{concrete}");
        let request = crate::support::json(method.parse().unwrap(), &uri, &body);
        (name.to_owned(), request)
    };
    endpoints.iter().map(request).collect()
}

#[tokio::test]
async fn every_route_of_the_catalog_asks_before_it_does_anything() {
    let recorder = Arc::new(Recorder {
        denies: true,
        ..Recorder::default()
    });
    let (api, _) = with_run(recorder.clone()).await;
    let before = api.store.namespaces().list().await.unwrap();
    for (name, request) in catalog_requests(&api).await {
        recorder.asked.lock().unwrap().clear();
        let answer = api.send(request).await;
        let asked = recorder.asked.lock().unwrap().clone();
        assert!(!asked.is_empty(), "{name}");
        let owned =
            |(resource, _): &(Resource, Action)| !resource.owner.is_empty() || resource.id == "*";
        assert!(asked.iter().all(owned), "{name}: {asked:?}");
        match name.as_str() {
            "GET /v1/{prefix}/namespaces" => {
                assert_eq!(answer.expect(200)["namespaces"], json!([]), "{name}");
            }
            "POST /v1/{prefix}/namespaces" => assert_eq!(answer.status, 403, "{name}"),
            _ => assert_eq!(answer.status, 404, "{name}"),
        }
    }
    assert_eq!(api.store.namespaces().list().await.unwrap(), before);
    let ident = "default.silver.a".parse().unwrap();
    assert!(api.store.tables().get(&ident).await.unwrap().is_some());
}

#[tokio::test]
async fn a_check_names_the_resource() {
    let recorder = Arc::new(Recorder::default());
    let (api, run) = with_run(recorder.clone()).await;
    let asked = async |path: &str| {
        recorder.asked.lock().unwrap().clear();
        api.get(path).await;
        recorder
            .asked
            .lock()
            .unwrap()
            .first()
            .cloned()
            .expect("a check")
            .0
    };
    let ident: TableIdent = "default.silver.a".parse().unwrap();
    let namespace = ident.namespace.clone();
    // With the owner that the store knows: a plugin reads nothing there.
    let pipeline = Resource::pipeline(&ident).owned_by("pia");
    let table = Resource::table(&ident).owned_by("tom");
    assert_eq!(asked("/api/v1/pipelines/default/silver/a").await, pipeline);
    assert_eq!(asked(&format!("/api/v1/runs/{run}")).await, pipeline);
    assert_eq!(
        asked("/api/v1/files/default/pipelines/silver/a/x.sql").await,
        pipeline
    );
    assert_eq!(asked("/api/v1/tables/default/silver/a").await, table);
    assert_eq!(
        asked("/api/v1/namespaces/default").await,
        Resource::namespace(&namespace).owned_by("anonymous")
    );
    for list in [
        "/api/v1/runs",
        "/api/v1/pipelines?namespace=default",
        "/api/v1/files?prefix=default/pipe",
    ] {
        assert_eq!(asked(list).await, pipeline, "{list}");
    }
    let zone = "default.a".to_owned();
    let found = asked("/api/v1/landing-zones").await;
    assert_eq!((found.id, found.owner), (zone, "zoe".to_owned()));
    assert_eq!(asked("/api/v1/tables").await, table);
    assert_eq!(asked("/api/v1/schema").await, table);
    assert_eq!(
        asked("/api/v1/plugins").await,
        Resource::plugin("auth-static")
    );
    assert_eq!(
        asked("/api/v1/plugins/auth-static").await,
        Resource::plugin("auth-static")
    );
}

#[tokio::test]
async fn every_route_of_the_table_is_served() {
    let (api, run) = with_run(Arc::new(Recorder::default())).await;
    for route in ROUTES.iter().filter(|route| route.method != "DELETE") {
        let answer = api.send(ask(route, run)).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_ne!(answer.status, 405, "{} {}", route.method, route.path);
        assert!(
            !text.contains("there is nothing at"),
            "{} {}",
            route.method,
            route.path
        );
    }
}

#[tokio::test]
async fn whatever_goes_wrong_has_the_envelope() {
    let api = api().await;
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::TRACE,
    ];
    for route in ROUTES {
        let path = route
            .path
            .replace("{*path}", "%ff")
            .replace(['{', '}'], "%");
        for method in &methods {
            let uri = path.replace('%', "%25");
            let answer = api.send(request(method.clone(), &uri)).await;
            if answer.status.is_client_error() || answer.status.is_server_error() {
                if path.ends_with("/health/ready") && answer.status == 503 {
                    continue;
                }
                let json = answer.json();
                for field in ["code", "type", "message"] {
                    assert!(json["error"][field].is_string(), "{method} {uri}: {json}");
                }
            }
        }
    }
}

const BEGIN: &str = "<!-- routes: begin -->\n";
const END: &str = "<!-- routes: end -->";

fn table() -> String {
    let mut text = String::from("| Method | Path | Needs | Does |\n|---|---|---|---|\n");
    for Route {
        method,
        path,
        guard,
        summary,
    } in ROUTES
    {
        let needs = match guard {
            Guard::Open => "–".to_owned(),
            Guard::Authenticated => "caller".to_owned(),
            Guard::Catalog => "the tables it names".to_owned(),
            Guard::Access(kind, Action::List) => format!("{} read, of each", kind.as_str()),
            Guard::Access(kind, action) => format!("{} {}", kind.as_str(), action.as_str()),
            Guard::Named(action) => format!("the resource {}", action.as_str()),
            Guard::Permission(permission) => format!("`{}`", permission.as_str()),
        };
        text += &format!("| {method} | `{path}` | {needs} | {summary} |\n");
    }
    text
}

#[test]
fn the_reference_documentation_has_the_route_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/http-api.md");
    let text = std::fs::read_to_string(&file).expect("docs/reference/http-api.md exists");
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the document marks the table's begin");
    let (now, after) = rest
        .split_once(END)
        .expect("the document marks the table's end");
    if now == table() {
        return;
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    panic!("docs/reference/http-api.md is not up to date: run the test with UPDATE_EXPECT=1");
}
