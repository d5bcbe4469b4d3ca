//! The effective settings as text.

use expect_test::expect;
use rat_config::{Settings, dump};

use crate::support::load;

const RICH: &str = r#"
server:
  listen: "[::1]:8080"
  rate_limit: off
  trusted_proxies: [10.0.0.0/8, "::1"]
  body_limit: 1.5 MiB
  request_timeout: 90s
auth: {api_key_file: api-key}
database: {url_file: /etc/rat/database-url}
runner: {temp_dir: /var/tmp/rat}
log: {level: debug, format: json}
plugins:
  auth:
    image: registry/auth-keycloak@sha256:abc
    address: https://auth.example.org
    config:
      realm: rat
      client_secret: hunter2
      client_secret_file: /run/secret
      database: postgres://rat:hunter2@db/rat
      nested: [{api_key: hunter2, retries: 3}]
    idle_stop: 600s
    tls: {ca: ca.pem, cert: cert.pem, key: key.pem}
"#;

#[test]
fn every_value_is_shown_and_no_secret() {
    let dumped = dump(&load(RICH));
    assert!(!dumped.contains("hunter2"), "{dumped}");
    expect![[r#"
        server:
          listen: '[::1]:8080'
          internal_socket: unix:/run/rat/internal.sock
          cors_origins:
          - http://localhost:3000
          rate_limit: off
          body_limit: 1536KiB
          upload_limit: 1GiB
          request_timeout: 1m 30s
          header_timeout: 10s
          shutdown_timeout: 15s
          trusted_proxies:
          - 10.0.0.0/8
          - ::1/128
        auth:
          api_key_file: api-key
          token_cache: 1m
          admin_roles:
          - admin
          - /admin
          login_issuer: null
          login_client_id: rat-cli
          login_scopes:
          - profile
          - email
        database:
          url_file: /etc/rat/database-url
          max_connections: 10
        storage:
          url: file:///var/lib/rat/lake
        catalog:
          type: builtin
        runner:
          address: unix:/run/rat/runner.sock
          slots: 4
          queue: 1000
          memory_limit: 2GiB
          run_timeout: 1h
          quality_test_timeout: 1m
          drain_timeout: 5m
          keep_results: 1h
          log_lines: 10000
          temp_dir: /var/tmp/rat
        ratq:
          address: unix:/run/rat/ratq.sock
          timeout: 1m
          max_rows: 100000
          memory_limit: 1GiB
          concurrent_queries: 8
        scheduler:
          poll_interval: 5s
          lost_after: 3
          max_running: 64
        plugin_health:
          interval: 30s
          timeout: 5s
          probe_interval: 1s
        log:
          level: debug
          format: json
        plugins:
          auth:
            image: registry/auth-keycloak@sha256:abc
            address: https://auth.example.org:443
            config:
              client_secret: '[redacted]'
              client_secret_file: /run/secret
              database: postgres://rat:redacted@db/rat
              nested:
              - api_key: '[redacted]'
                retries: '[redacted]'
              realm: rat
            name: auth-keycloak
            protocol: grpc
            on_down: deny
            idle_stop: 10m
            tls:
              ca: ca.pem
              cert: cert.pem
              key: key.pem
    "#]]
    .assert_eq(&dumped);
}

#[test]
fn what_is_dumped_loads_as_the_same_settings() {
    let harmless: String = RICH
        .lines()
        .filter(|line| !line.contains("hunter2"))
        .map(|line| format!("{line}\n"))
        .collect();
    for settings in [
        load(&harmless),
        Settings::load(None, &Default::default()).unwrap(),
    ] {
        assert_eq!(load(&dump(&settings)), settings);
    }
}

#[test]
fn debug_output_shows_no_secret_of_a_plugin() {
    assert!(!format!("{:?}", load(RICH)).contains("hunter2"));
}

#[test]
fn an_external_catalog_is_shown_with_references_to_its_secrets() {
    for text in [
        "catalog: {type: rest, uri: 'https://a/iceberg', warehouse: w, token_file: t, ca_file: ca.pem}",
        "catalog: {type: rest, uri: 'http://localhost:8181/', client_id: rat, client_secret_file: s,
          token_uri: 'https://b/token', scope: x}",
    ] {
        let settings = load(text);
        let again = load(&dump(&settings));
        assert_eq!(again, settings, "{text}");
    }
}
