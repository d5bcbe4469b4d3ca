//! People who log in: the real `rat` against the real Keycloak, for the real ratd.

use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Keycloak, Realm};
use crate::browser::Browser;
use crate::stack::Stack;

/// Before there is a Keycloak, nobody comes in, and everybody can see why.
pub(crate) async fn nobody_yet(stack: &Stack) {
    stack.plugin_is("down").await;
    let (status, error) = stack.get("/api/v1/me", Some("x.y.z")).await;
    assert_eq!(status, 503, "{error}");
    assert_eq!(stack.get("/features", None).await.1["auth"], false);
    let (code, _, err) = stack.rat(&["login"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("cannot reach the login provider"), "{err}");
}

/// With a token 200 and the right user, without 401.
pub(crate) async fn ratd_knows_users(stack: &Stack, rat: &Realm) {
    stack.plugin_is("healthy").await;
    let features = stack.get("/features", None).await.1;
    assert_eq!(
        (&features["auth"], &features["edition"]),
        (&json!(true), &json!("pro"))
    );
    let token = rat.password("rat-cli", "analyst").await;
    let (status, me) = stack.get("/api/v1/me", Some(&token)).await;
    assert_eq!(status, 200, "{me}");
    assert_eq!(me["email"], "analyst@example.com");
    assert_eq!(me["display_name"], "Anna Analyst");
    assert_eq!(me["roles"], json!(["/demo:analyst"]));
    assert_eq!(me["user_id"].as_str().unwrap().len(), 36);
    for wrong in [None, Some("nonsense"), Some(&token[..token.len() - 4])] {
        let (status, error) = stack.get("/api/v1/me", wrong).await;
        assert_eq!(status, 401, "{error}");
    }
    stack.passes_the_kit(&token).await;
    // Who administers the platform is said by a group.
    let (status, _) = stack.get("/api/v1/audit", Some(&token)).await;
    assert_eq!(status, 403);
    let token = rat.password("rat-cli", "admin").await;
    let (status, error) = stack.get("/api/v1/audit", Some(&token)).await;
    assert_eq!(status, 200, "{error}");
}

pub(crate) async fn people_log_in(stack: &Stack, keycloak: &Keycloak) {
    let (code, _, err) = stack.rat(&["whoami"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("rat login"), "{err}");

    let in_the_browser = async |address: String| {
        let page = Browser::of("analyst").open(&address).await;
        assert!(page.contains("You are logged in."), "{page}");
    };
    let (code, err) = stack.log_in(&["--no-browser"], in_the_browser).await;
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("as Anna Analyst."), "{err}");
    is_analyst(stack).await;

    renews(stack, keycloak).await;

    let before = keycloak.sessions("analyst").await;
    let (code, out, err) = stack.rat(&["logout", "-o", "json"]).await;
    assert_eq!(code, 0, "{err}");
    let done: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&done["was_logged_in"], &done["revoked"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(keycloak.sessions("analyst").await, before - 1);
    assert_eq!(stack.rat(&["whoami"]).await.0, 1);

    with_a_device(stack).await;
}

async fn is_analyst(stack: &Stack) {
    let (code, out, err) = stack.rat(&["whoami", "-o", "json"]).await;
    assert_eq!(code, 0, "{err}");
    let me: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(me["email"], "analyst@example.com");
}

/// The next token is short-lived; it is replaced again and again.
async fn renews(stack: &Stack, keycloak: &Keycloak) {
    keycloak
        .change_realm(&json!({"accessTokenLifespan": 4}))
        .await;
    let in_the_browser = async |address: String| {
        Browser::of("analyst").open(&address).await;
    };
    let (code, err) = stack.log_in(&["--no-browser"], in_the_browser).await;
    assert_eq!(code, 0, "{err}");
    for _ in 0..3 {
        // Longer than the token, with the leeway of the plugin left aside: rat looks at its end.
        tokio::time::sleep(Duration::from_secs(5)).await;
        is_analyst(stack).await;
    }
    keycloak
        .change_realm(&json!({"accessTokenLifespan": 300}))
        .await;
}

async fn with_a_device(stack: &Stack) {
    let elsewhere = async |address: String| {
        Browser::of("analyst").open(&address).await;
    };
    let (code, err) = stack.log_in(&["--device"], elsewhere).await;
    assert_eq!(code, 0, "{err}");
    is_analyst(stack).await;
    assert_eq!(stack.rat(&["logout"]).await.0, 0);
    let refuses = async |address: String| {
        let mut browser = Browser::of("analyst");
        browser.agrees = false;
        browser.open(&address).await;
    };
    let (code, err) = stack.log_in(&["--device"], refuses).await;
    assert_eq!(code, 1);
    assert!(err.contains("the login was denied"), "{err}");
}

/// While Keycloak is away, who has a token goes on working.
pub(crate) async fn works_without_keycloak(stack: &Stack, token: &str) {
    stack.plugin_is("degraded").await;
    let (status, me) = stack.get("/api/v1/me", Some(token)).await;
    assert_eq!(status, 200, "{me}");
    assert_eq!(stack.get("/features", None).await.1["auth"], true);
}
