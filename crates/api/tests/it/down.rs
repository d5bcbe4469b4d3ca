//! A slot whose plugin is down, and whose built-in must not take over.

use std::sync::Arc;

use chrono::Utc;
use http::Method;
use rat_api::{AuthenticationDown, EnforcementDown, Guard, ROUTES};
use rat_types::RunId;
use serde_json::{Value, json};

use crate::routes::ask;
use crate::sharing::Grants;
use crate::support::{Answer, Api, Setup, json as json_request, request, with};

const WHY: &str = "the plugin auth-keycloak does not answer";
const ICEBERG: [(&str, &str); 5] = [
    ("GET", "/iceberg/v1/config"),
    ("GET", "/iceberg/v1/namespaces"),
    ("POST", "/iceberg/v1/namespaces"),
    ("GET", "/iceberg/v1/namespaces/default%1Fbronze/tables"),
    ("DELETE", "/iceberg/v1/namespaces/default%1Fbronze/tables/a"),
];

#[track_caller]
fn unavailable(answer: Answer, reason: &str) {
    let json = answer.expect(503);
    assert_eq!(json["error"]["code"], "UNAVAILABLE", "{json}");
    assert_eq!(json["error"]["reason"], reason, "{json}");
    assert!(json["error"]["message"].as_str().unwrap().contains(WHY));
}

/// The body that the catalog's specification prescribes.
#[track_caller]
fn unavailable_catalog(answer: Answer) {
    let json = answer.expect(503);
    assert_eq!(json["error"]["code"], 503, "{json}");
    assert_eq!(json["error"]["type"], "ServiceUnavailableException");
    assert!(json["error"]["message"].as_str().unwrap().contains(WHY));
}

async fn without_authentication() -> Api {
    Setup {
        key: Some("a key that would otherwise open"),
        authenticator: Some(Arc::new(AuthenticationDown::new(WHY))),
        ..Setup::default()
    }
    .start()
    .await
}

async fn without_access_control() -> Api {
    Setup {
        enforcer: Arc::new(EnforcementDown::new(WHY)),
        sharing: Arc::new(Grants::one()),
        ..Setup::default()
    }
    .start()
    .await
}

#[tokio::test]
async fn while_authentication_is_down_only_the_open_routes_answer() {
    let api = without_authentication().await;
    let run = RunId::new_at(Utc::now());
    for key in [None, Some("a key that would otherwise open"), Some("wrong")] {
        let keyed = |request| match key {
            Some(key) => with(request, "x-api-key", key),
            None => request,
        };
        for route in ROUTES {
            let answer = api.send(keyed(ask(route, run))).await;
            match route.guard {
                Guard::Open => assert_eq!(
                    answer.status == 503,
                    route.path == "/health/ready",
                    "{}",
                    route.path
                ),
                _ => {
                    unavailable(answer, "AUTHENTICATION_UNAVAILABLE");
                }
            }
        }
        let nowhere = keyed(request(Method::GET, "/api/v1/nothing"));
        unavailable(api.send(nowhere).await, "AUTHENTICATION_UNAVAILABLE");
        for (method, path) in ICEBERG {
            let call = json_request(method.parse().unwrap(), path, &json!({}));
            unavailable_catalog(api.send(keyed(call)).await);
        }
    }
    assert_eq!(api.get("/features").await.expect(200)["auth"], true);
}

#[tokio::test]
async fn while_access_control_is_down_nothing_is_touched() {
    let api = without_access_control().await;
    let run = crate::routes::pipeline_with_run(&api).await;
    for route in ROUTES {
        let answer = api.send(ask(route, run)).await;
        match route.guard {
            Guard::Open | Guard::Authenticated | Guard::Permission(_) => {
                let ready = route.path.ends_with("/health/ready");
                assert_eq!(answer.status == 503, ready, "{}", route.path);
            }
            Guard::Catalog | Guard::Access(..) | Guard::Named(_) => {
                unavailable(answer, "ACCESS_CONTROL_UNAVAILABLE");
            }
        }
    }
    // Lists of nothing as well: nobody says that there is nothing to hide.
    let empty = without_access_control().await;
    for path in [
        "tables",
        "schema",
        "landing-zones",
        "plugins",
        "pipelines",
        "runs",
    ] {
        let answer = empty.get(&format!("/api/v1/{path}")).await;
        unavailable(answer, "ACCESS_CONTROL_UNAVAILABLE");
    }
    for (method, path) in ICEBERG {
        let call = json_request(method.parse().unwrap(), path, &json!({}));
        unavailable_catalog(api.send(call).await);
    }
    let open = crate::support::api().await;
    for (name, request) in crate::routes::catalog_requests(&open).await {
        let answer = api.send(request).await;
        match name.starts_with("HEAD") {
            true => assert_eq!(answer.status, 503, "{name}"),
            false => unavailable_catalog(answer),
        }
    }
    // Health probes send an empty query.
    assert!(api.ratq.count() == 0 || api.ratq.last().sql.is_empty());
    assert_eq!(api.get("/features").await.expect(200)["enforcement"], false);
    assert_eq!(
        api.get("/api/v1/me").await.expect(200)["user_id"],
        Value::from("anonymous")
    );
}
