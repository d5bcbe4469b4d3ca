//! What a token has to say, and whom it names.

use serde_json::{Value, json};

use crate::support::{now, usual};

#[tokio::test]
async fn the_claims_are_the_user() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let claims = provider.claims();
    let user = plugin.accepts(&pair.token(&claims)).await;
    assert_eq!(user.user_id, claims["sub"].as_str().unwrap());
    assert_eq!(user.email, "anna@example.com");
    assert_eq!(user.display_name, "Anna Analyst");
    assert_eq!(user.roles, ["/admin", "/demo:analyst"]);
    assert_eq!(Some(user.expires_at), claims["exp"].as_i64());
}

#[tokio::test]
async fn a_name_is_the_first_that_is_there() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let mut claims = provider.claims();
    for (gone, wanted) in [
        ("name", "anna"),
        ("preferred_username", "anna@example.com"),
        ("email", ""),
    ] {
        claims[gone] = json!("");
        let user = plugin.accepts(&pair.token(&claims)).await;
        assert_eq!(user.display_name, wanted);
        claims.as_object_mut().unwrap().remove(gone);
        assert_eq!(
            plugin.accepts(&pair.token(&claims)).await.display_name,
            wanted
        );
    }
    claims.as_object_mut().unwrap().remove("policy");
    assert!(plugin.accepts(&pair.token(&claims)).await.roles.is_empty());
    for sub in [Value::Null, json!("")] {
        claims["sub"] = sub;
        assert_eq!(
            plugin.refuses(&pair.token(&claims)).await,
            "the claim sub is missing"
        );
    }
}

#[tokio::test]
async fn roles_are_found_by_their_path() {
    let paths = json!({
        "realm_access.roles": ["a"],
        "resource_access.rat-api.roles": ["b"],
        "https://example.org/roles": ["c"],
        "groups": "d",
    });
    for (path, wanted) in paths.as_object().unwrap() {
        let (provider, pair, plugin) = usual(json!({"roles_claim": path})).await;
        let mut claims = provider.claims();
        claims["realm_access"] = json!({"roles": ["a"]});
        claims["resource_access"] = json!({"rat-api": {"roles": ["b"]}});
        claims["https://example.org/roles"] = json!(["c"]);
        claims["groups"] = json!("d");
        let roles = plugin.accepts(&pair.token(&claims)).await.roles;
        let wanted = wanted
            .as_array()
            .map_or(json!([wanted]), |list| json!(list));
        assert_eq!(json!(roles), wanted, "{path}");
    }
}

#[tokio::test]
async fn claims_of_another_kind_are_refused() {
    let (provider, pair, plugin) = usual(json!({})).await;
    for (name, value) in [
        ("policy", json!({"admin": true})),
        ("policy", json!(["a", 1])),
        ("email", json!(["a@example.com"])),
        ("sub", json!(17)),
        ("sub", json!("a\u{0}b")),
        ("aud", json!({"rat-api": true})),
        ("azp", json!(["rat-api"])),
    ] {
        let mut claims = provider.claims();
        claims[name] = value;
        let reason = plugin.refuses(&pair.token(&claims)).await;
        assert!(
            reason.starts_with(&format!("the claim {name} is not")),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let (provider, pair, plugin) = usual(json!({})).await;
    for (claim, offset, wanted) in [
        ("exp", -50, None),
        ("exp", -70, Some("the token has expired")),
        ("nbf", 50, None),
        ("nbf", 70, Some("the token is not valid yet")),
    ] {
        let mut claims = provider.claims();
        claims[claim] = json!(now() + offset);
        let token = pair.token(&claims);
        match wanted {
            None => drop(plugin.accepts(&token).await),
            Some(wanted) => assert_eq!(plugin.refuses(&token).await, wanted),
        }
    }
}

#[tokio::test]
async fn other_tokens_of_the_same_key_are_no_access_tokens() {
    let (provider, pair, plugin) = usual(json!({})).await;
    for (name, value, wanted) in [
        ("typ", json!("ID"), "the token is no access token"),
        ("typ", json!("Refresh"), "the token is no access token"),
        (
            "cnf",
            json!({"jkt": "x"}),
            "the token is bound to a key of its client, which nobody has proved to have",
        ),
    ] {
        let mut claims = provider.claims();
        claims[name] = value;
        assert_eq!(plugin.refuses(&pair.token(&claims)).await, wanted);
    }
}

#[tokio::test]
async fn only_the_clients_and_audiences_that_are_configured_are_accepted() {
    let another = "the token was issued to another client";
    let nobody = "the token is not for this audience";
    let api = json!({"client_id": "rat-api"});
    let several = json!({"client_id": "rat-api", "authorized_parties": ["rat-cli"]});
    let audience = json!({"audiences": ["rat", "lake"]});
    for (config, party, audiences, wanted) in [
        (&api, "rat-api", json!("account"), None),
        (&api, "rat-cli", json!(["account", "rat-api"]), None),
        (&api, "rat-cli", json!("account"), Some(another)),
        (&api, "", json!([]), Some(another)),
        (&several, "rat-cli", json!([]), None),
        (&several, "rat-ui", json!(["rat-cli"]), Some(another)),
        (&audience, "anybody", json!(["account", "lake"]), None),
        (&audience, "lake", json!("account"), Some(nobody)),
    ] {
        let (provider, pair, plugin) = usual(config.clone()).await;
        let mut claims = provider.claims();
        claims["azp"] = json!(party);
        claims["aud"] = audiences;
        let token = pair.token(&claims);
        match wanted {
            None => drop(plugin.accepts(&token).await),
            Some(wanted) => assert_eq!(plugin.refuses(&token).await, wanted),
        }
    }
}
