//! The route table as a whole: every route checks what the table says, and the reference
//! documentation has every route.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use chrono::Utc;
use http::{Method, Request};
use rat_api::{Action, Guard, ROUTES, Resource, ResourceKind, Route};
use rat_store::{NewPipeline, NewRun};
use rat_types::{RunId, TableIdent};
use serde_json::{Value, json};

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
        .replace("{file_id}", "1");
    match (route.method, route.path) {
        ("GET", "/api/v1/files") => format!("{path}?prefix=default/"),
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
        ..Setup::default()
    }
    .start()
    .await;
    let run = pipeline_with_run(&api).await;
    (api, run)
}

/// The pipeline of [`concrete`] paths, with a run that waits.
pub(crate) async fn pipeline_with_run(api: &Api) -> RunId {
    let ident: TableIdent = "default.silver.a".parse().unwrap();
    let pipeline = NewPipeline {
        ident: ident.clone(),
        kind: "sql".to_owned(),
        description: String::new(),
        owner: "anonymous".to_owned(),
    };
    api.store.pipelines().create(&pipeline).await.unwrap();
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
            Guard::Access(kind, action) => {
                assert_eq!(asked, [(kind, action)], "{name}");
                answer.refused(403, "FORBIDDEN");
            }
            Guard::Open | Guard::Authenticated | Guard::Catalog => {
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
    assert_eq!(
        asked("/api/v1/pipelines/default/silver/a").await,
        Resource::pipeline(&ident)
    );
    assert_eq!(
        asked(&format!("/api/v1/runs/{run}")).await,
        Resource::pipeline(&ident)
    );
    assert_eq!(
        asked("/api/v1/files/default/pipelines/silver/a/x.sql").await,
        Resource::pipeline(&ident)
    );
    assert_eq!(
        asked("/api/v1/tables/default/silver/a").await,
        Resource::table(&ident)
    );
    assert_eq!(
        asked("/api/v1/namespaces/default").await,
        Resource::namespace(&namespace)
    );
    let all = |kind, namespace| Resource::all(kind, namespace);
    assert_eq!(
        asked("/api/v1/runs").await,
        all(ResourceKind::Pipeline, None)
    );
    assert_eq!(
        asked("/api/v1/pipelines?namespace=default").await,
        all(ResourceKind::Pipeline, Some(&namespace))
    );
    assert_eq!(
        asked("/api/v1/files?prefix=default/pipe").await,
        all(ResourceKind::Pipeline, Some(&namespace))
    );
    assert_eq!(
        asked("/api/v1/files?prefix=defau").await,
        all(ResourceKind::Pipeline, None)
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
            Guard::Access(kind, action) => format!("{} {}", kind.as_str(), action.as_str()),
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
