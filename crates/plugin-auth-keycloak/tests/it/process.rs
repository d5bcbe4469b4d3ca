//! The binary: its configuration, and how it says what is wrong with it.

use std::fs;
use std::process::{Command, Output};

fn plugin(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rat-plugin-auth-keycloak"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = plugin(arguments, environment);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_wrong_value_is_named_at_once() {
    let environment = [
        ("KEYCLOAK_URL", "keycloak:8180"),
        ("KEYCLOAK_REALM", "a/b"),
        ("GRPC_PORT", "seventy"),
        ("ISSUER_URL", "https://user:secret@example.org"),
        ("AUTH_KEYCLOAK_ALGORITHMS", "[RS256, HS256, none]"),
        ("AUTH_KEYCLOAK_LEEWAY", "long"),
        ("AUTH_KEYCLOAK_REFRESH_INTERVAL", "0s"),
        ("AUTH_KEYCLOAK_CA_FILE", "/nowhere.pem"),
    ];
    let text = refused(&[], &environment);
    for key in [
        "keycloak_url",
        "realm",
        "GRPC_PORT",
        "issuer_url",
        "algorithms[1]",
        "algorithms[2]",
        "leeway",
        "refresh_interval",
        "ca_file",
    ] {
        assert!(text.contains(key), "{key} is not in: {text}");
    }
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn what_is_missing_is_named_where_nobody_can_send_it() {
    let text = refused(&["--listen", "127.0.0.1:0"], &[]);
    assert!(text.contains("keycloak_url: is missing"), "{text}");
    assert!(text.contains("realm: is missing"), "{text}");
}

#[test]
fn a_configuration_can_be_checked_without_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    fs::write(
        &file,
        "keycloak_url: http://localhost:8180\nrealm: rat\nclient_id: rat-api\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let output = plugin(&["check-config", "--config", path], &[]);
    assert!(output.status.success(), "{output:?}");
    fs::write(&file, "keycloak_url: localhost\nrealm: rat\nleeway: 2h\n").unwrap();
    let text = refused(&["check-config", "--config", path], &[]);
    assert!(
        text.contains("keycloak_url") && text.contains("leeway"),
        "{text}"
    );
    let text = refused(
        &["check-config", "--config", path],
        &[("KEYCLOAK_REALM", "x")],
    );
    assert!(text.contains("keycloak_url"), "{text}");
}
