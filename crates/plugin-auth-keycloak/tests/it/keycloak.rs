//! A real Keycloak with the realm of the example.
//!
//! It takes its time to start, so that one test goes through everything with it: the plugin alone,
//! then with ratd and `rat`, which have to be built (`cargo xtask test` does). `cargo xtask test`
//! downloads it; RAT_TEST_KEYCLOAK names the unpacked distribution.

mod logins;
mod server;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stack::Stack;
use crate::support::{Plugin, prerequisite};
use server::{Keycloak, Realm};

/// Two starts of Keycloak on a small machine that does something else besides, and a bit.
const LIMIT: Duration = Duration::from_secs(900);

fn config(keycloak: &Keycloak) -> Value {
    json!({
        "keycloak_url": keycloak.url(),
        "realm": "rat",
        "client_id": "rat-api",
        "authorized_parties": ["rat-ui", "rat-cli"],
        "prefetch_interval": "100ms",
        "retry_interval": "100ms",
        "refresh_interval": "1s",
    })
}

async fn plugin(keycloak: &Keycloak, more: Value) -> Plugin {
    let mut config = config(keycloak);
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    Plugin::start(config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keycloak_says_who_somebody_is() {
    let Some(distribution) = prerequisite("RAT_TEST_KEYCLOAK", "logins with Keycloak") else {
        return;
    };
    let everything = goes_through_everything(&distribution);
    let in_time = tokio::time::timeout(LIMIT, everything).await;
    assert!(
        in_time.is_ok(),
        "something that was waited for did not come"
    );
}

async fn goes_through_everything(distribution: &Path) {
    let mut keycloak = Keycloak::unpack(distribution);
    // Long before Keycloak.
    let plugin_in_time = plugin(&keycloak, json!({})).await;
    let message = plugin_in_time.becomes("down").await;
    assert!(!message.is_empty());
    let issuer = format!("{}/realms/rat", keycloak.url());
    let stack = Stack::start(&issuer, &config(&keycloak)).await;
    logins::nobody_yet(&stack).await;
    keycloak.start();
    keycloak.is_ready().await;
    plugin_in_time.becomes("healthy").await;
    let rat = Realm::new(&keycloak, "rat");

    names_users(&plugin_in_time, &rat).await;
    refuses_what_is_not_ours(&keycloak, &plugin_in_time, &rat).await;
    logins::ratd_knows_users(&stack, &rat).await;
    logins::people_log_in(&stack, &keycloak).await;
    follows_a_new_key(&keycloak, &plugin_in_time, &rat).await;
    survives_a_restart(&mut keycloak, &plugin_in_time, &stack, &rat).await;
}

async fn names_users(plugin: &Plugin, rat: &Realm) {
    let user = plugin
        .accepts(&rat.password("rat-cli", "analyst").await)
        .await;
    assert_eq!(user.email, "analyst@example.com");
    assert_eq!(user.display_name, "Anna Analyst");
    assert_eq!(user.roles, ["/demo:analyst"]);
    let admin = plugin
        .accepts(&rat.password("rat-cli", "admin").await)
        .await;
    assert_eq!(admin.roles, ["/admin"]);
    assert_ne!(admin.user_id, user.user_id);
    let program = plugin.accepts(&rat.client("rat-api").await).await;
    assert_eq!(program.display_name, "service-account-rat-api");
    assert!(program.roles.is_empty());
}

async fn refuses_what_is_not_ours(keycloak: &Keycloak, usual: &Plugin, rat: &Realm) {
    let token = rat.password("rat-cli", "analyst").await;
    let (head, tail) = token.split_at(token.len() / 2);
    let changed = format!(
        "{head}{}{}",
        if tail.starts_with('A') { 'B' } else { 'A' },
        &tail[1..]
    );
    usual.refuses(&changed).await;
    let reason = usual.refuses(&keycloak.administrator().await).await;
    assert_eq!(reason, "the provider has no such key");
    let strict = plugin(keycloak, json!({"authorized_parties": [], "leeway": "0s"})).await;
    strict.becomes("healthy").await;
    let reason = strict.refuses(&token).await;
    assert_eq!(reason, "the token was issued to another client");
    let program = rat.client("rat-api").await;
    strict.accepts(&program).await;
    keycloak
        .change_realm(&json!({"accessTokenLifespan": 1}))
        .await;
    let short = rat.client("rat-api").await;
    while strict.judge(&short).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(strict.refuses(&short).await, "the token has expired");
    keycloak
        .change_realm(&json!({"accessTokenLifespan": 300}))
        .await;
}

async fn follows_a_new_key(keycloak: &Keycloak, plugin: &Plugin, rat: &Realm) {
    let old = rat.client("rat-api").await;
    plugin.accepts(&old).await;
    keycloak.add_key().await;
    let new = rat.client("rat-api").await;
    // At once, or with the next refresh if a key was looked for already.
    while plugin.judge(&new).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    plugin.accepts(&old).await;
    keycloak.remove_first_key().await;
    while plugin.judge(&old).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(plugin.refuses(&old).await, "the provider has no such key");
    plugin.accepts(&new).await;
}

async fn survives_a_restart(keycloak: &mut Keycloak, plugin: &Plugin, stack: &Stack, rat: &Realm) {
    let token = rat.password("rat-cli", "guest").await;
    keycloak.stop();
    let message = plugin.becomes("degraded").await;
    assert!(message.starts_with("the keys are "), "{message}");
    plugin.accepts(&token).await;
    logins::works_without_keycloak(stack, &token).await;
    keycloak.start();
    keycloak.is_ready().await;
    plugin.becomes("healthy").await;
    stack.plugin_is("healthy").await;
    plugin.accepts(&token).await;
    plugin
        .accepts(&rat.password("rat-cli", "guest").await)
        .await;
}
