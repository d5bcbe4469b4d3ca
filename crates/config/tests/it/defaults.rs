//! What an installation without settings gets.

use expect_test::expect;
use rat_config::{Catalog, Settings, dump};

use crate::support::load;

fn defaults() -> Settings {
    Settings::load(None, &Default::default()).unwrap()
}

#[test]
fn the_community_defaults_are_these() {
    expect![[r#"
        server:
          listen: 127.0.0.1:8080
          internal_socket: unix:/run/rat/internal.sock
          cors_origins:
          - http://localhost:3000
          rate_limit:
            requests_per_second: 50
            burst: 100
          body_limit: 1MiB
          upload_limit: 1GiB
          request_timeout: 2m
          header_timeout: 10s
          shutdown_timeout: 15s
          trusted_proxies: []
        auth:
          api_key_file: null
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
          url: sqlite:/var/lib/rat/rat.db
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
          temp_dir: null
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
          level: info
          format: auto
        plugins: {}
    "#]]
    .assert_eq(&dump(&defaults()));
    assert_eq!(defaults().catalog, Catalog::Builtin);
}

#[test]
fn files_that_say_nothing_are_the_defaults() {
    let sections = "server:\nauth:\ndatabase:\nplugins:\n";
    for text in [
        "",
        "\n",
        "# nothing\n",
        "---\n",
        "---\n...\n",
        "{}\n",
        "null\n",
        "\u{feff}",
        sections,
    ] {
        assert_eq!(load(text), defaults(), "{text:?}");
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_do_not_matter() {
    let text = "\u{feff}server:\r\n  listen: 127.0.0.1:1234\r\n";
    assert_eq!(load(text).server.listen.to_string(), "127.0.0.1:1234");
}
