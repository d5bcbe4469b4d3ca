//! What is allowed and yet worth telling.

use expect_test::{Expect, expect};

use crate::support::load;

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&(load(text).warnings.join("\n") + "\n"));
}

#[test]
fn listening_beyond_this_machine_without_authentication_is_a_warning() {
    check(
        "server:\n  listen: 0.0.0.0:8080\n",
        expect![[r#"
        rat.yaml:2:11: server.listen: listens beyond this machine without authentication: everybody who can connect is an administrator; set auth.api_key_file or plugins.auth
    "#]],
    );
    let with_key = "server: {listen: 0.0.0.0:8080}\nauth: {api_key_file: key}\n";
    assert!(load(with_key).warnings.is_empty());
    let auth = |on_down: &str| {
        let plugin = format!("{{image: a, address: 'unix:/a', on_down: {on_down}}}");
        let text = format!("server: {{listen: 0.0.0.0:8080}}\nplugins: {{auth: {plugin}}}\n");
        load(&text)
            .warnings
            .iter()
            .any(|warning| warning.contains("server.listen"))
    };
    assert!(!auth("deny") && !auth("null"));
    assert!(auth("builtin"));
}

#[test]
fn plain_tcp_beyond_this_machine_is_a_warning() {
    check(
        "plugins:\n  cloud:\n    image: a\n    address: cloud-aws:50064\nrunner: {address: runner:50052}\n",
        expect![[r#"
            rat.yaml:4:14: plugins.cloud.address: plain TCP to cloud-aws:50064: tokens cross the network in the clear; use https:// or unix:
            rat.yaml:5:19: runner.address: plain TCP beyond this machine: tokens cross the network in the clear
        "#]],
    );
    for address in [
        "unix:/run/a.sock",
        "127.0.0.1:50064",
        "localhost:50064",
        "https://cloud:50064",
    ] {
        let text = format!("plugins: {{cloud: {{image: a, address: '{address}'}}}}");
        assert!(load(&text).warnings.is_empty(), "{address}");
    }
}

#[test]
fn opening_the_door_while_a_plugin_is_down_is_a_warning() {
    check(
        "plugins:\n  auth:\n    image: a\n    address: unix:/a\n    on_down: builtin\n",
        expect![[r#"
            rat.yaml:5:14: plugins.auth.on_down: while the auth plugin is down, the API key suffices, and without one everybody is let in
        "#]],
    );
}

#[test]
fn credentials_over_plain_http_beyond_this_machine_are_a_warning() {
    check(
        "catalog: {type: rest, uri: 'http://catalog:8181', token_file: t}\n",
        expect![[r#"
            rat.yaml:1:28: catalog.uri: plain HTTP beyond this machine: credentials cross the network in the clear
        "#]],
    );
    for text in [
        "catalog: {type: rest, uri: 'http://catalog:8181'}",
        "catalog: {type: rest, uri: 'http://[::1]:8181/catalog', token_file: t}",
        "catalog: {type: rest, uri: 'https://catalog', token_file: t}",
    ] {
        assert!(load(text).warnings.is_empty(), "{text}");
    }
}
