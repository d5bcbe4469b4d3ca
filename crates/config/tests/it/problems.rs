//! Every class of mistake, with the exact words in which it is reported.

use expect_test::{Expect, expect};

use crate::support::{load, problems};

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&problems(text));
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    check(
        "\
server:
  lisen: 127.0.0.1:1
  body-limit: 1MiB
  rate_limit: {requests: 1}
listen: 127.0.0.1:1
url: sqlite:/a
edition: pro
plugin: {}
runner:
  bananas: 3
plugins:
  authn: {image: a, address: unix:/a}
  auth: {image: a, address: unix:/a, adress: unix:/a, tls: {certificate: x}}
\"we\\nird\": 1
",
        expect![[r#"
            rat.yaml:2:3: server.lisen: unknown key; did you mean `listen`?
            rat.yaml:3:3: server.body-limit: unknown key; did you mean `body_limit`?
            rat.yaml:4:16: server.rate_limit.requests: unknown key; possible here: burst, requests_per_second
            rat.yaml:5:1: listen: unknown key; did you mean `server.listen`?
            rat.yaml:6:1: url: unknown key; did you mean `database.url` or `storage.url`?
            rat.yaml:7:1: edition: unknown key; possible here: auth, catalog, database, log, plugin_health, plugins, ratq, runner, scheduler, server, storage
            rat.yaml:8:1: plugin: unknown key; did you mean `plugins`?
            rat.yaml:10:3: runner.bananas: unknown key; possible here: address, drain_timeout, keep_results, log_lines, memory_limit, quality_test_timeout, queue, run_timeout, slots, temp_dir
            rat.yaml:12:3: plugins.authn: unknown key; did you mean `auth`?
            rat.yaml:13:38: plugins.auth.adress: unknown key; did you mean `address`?
            rat.yaml:13:55: plugins.auth.tls: is only used with an https:// address
            rat.yaml:13:61: plugins.auth.tls.certificate: unknown key; possible here: ca, cert, key
            rat.yaml:14:1: "we\nird": unknown key; possible here: auth, catalog, database, log, plugin_health, plugins, ratq, runner, scheduler, server, storage
        "#]],
    );
}

#[test]
fn wrong_types_say_what_was_expected() {
    check(
        "\
server:
  listen: 8080
  cors_origins: http://localhost
  rate_limit: 50
  body_limit: [1, 2]
  trusted_proxies: [1, {a: b}]
  request_timeout:
auth: api-key
database: {max_connections: '10'}
runner: {slots: 2.5, queue: true, temp_dir: {}}
catalog: {type: 7}
log: [level]
plugins:
  auth:
  executor: [a]
  cloud: {image: 1, address: {}, config: [], on_down: 1, tls: true}
",
        expect![[r#"
            rat.yaml:2:11: server.listen: must be an address such as 127.0.0.1:8080 or unix:/run/rat/x.sock, not 8080
            rat.yaml:3:17: server.cors_origins: must be a list, each item a URL, not a text
            rat.yaml:4:15: server.rate_limit: must be off or a mapping, not 50
            rat.yaml:5:3: server.body_limit: must be a size such as 64MiB, not a list
            rat.yaml:6:21: server.trusted_proxies[0]: must be an IP address or a block such as 10.0.0.0/8, not 1
            rat.yaml:6:24: server.trusted_proxies[1]: must be an IP address or a block such as 10.0.0.0/8, not a mapping
            rat.yaml:7:3: server.request_timeout: must be a duration such as 30s, 5m or 1h, not an empty value
            rat.yaml:8:7: auth: must be a mapping, not a text
            rat.yaml:9:29: database.max_connections: must be a whole number from 1 to 1000, not "10"
            rat.yaml:10:17: runner.slots: must be a whole number from 1 to 1024, not 2.5
            rat.yaml:10:29: runner.queue: must be a whole number from 1 to 1000000, not true
            rat.yaml:10:35: runner.temp_dir: must be an absolute path, not a mapping
            rat.yaml:11:17: catalog.type: must be one of builtin, rest, not 7
            rat.yaml:12:1: log: must be a mapping, not a list
            rat.yaml:14:3: plugins.auth: must be a mapping, not an empty value
            rat.yaml:15:3: plugins.executor: must be a mapping, not a list
            rat.yaml:16:18: plugins.cloud.image: must be a string, not 1
            rat.yaml:16:21: plugins.cloud.address: must be an address such as host:50060, unix:/path or https://host:50060, not a mapping
            rat.yaml:16:34: plugins.cloud.config: must be a mapping, not a list
            rat.yaml:16:55: plugins.cloud.on_down: must be one of deny, builtin, hold, not 1
            rat.yaml:16:63: plugins.cloud.tls: must be a mapping, not true
        "#]],
    );
}

#[test]
fn impossible_values_say_what_would_be_possible() {
    check(
        "\
server:
  listen: localhost
  internal_socket: 0.0.0.0:9090
  cors_origins: ['*', 'http://ok', 'http://a/b']
  rate_limit: {requests_per_second: 0, burst: 1000001}
  body_limit: 64
  upload_limit: 20000TiB
  request_timeout: 120
  header_timeout: 0s
  shutdown_timeout: 400days
  trusted_proxies: [10.0.0.1/8]
auth: {api_key_file: ../key, token_cache: 1h, admin_roles: [a, ''], login_issuer: 'http://u:p@x', login_client_id: a b, login_scopes: ['']}
database: {url: mysql://root:hunter2@db/x, max_connections: 0}
storage: {url: s3://bucket}
runner:
  address: http://runner:1
  slots: 99999999999
  memory_limit: 1MiB
  run_timeout: -1h
  log_lines: 1
  temp_dir: tmp
ratq: {address: 'unix:ratq.sock', max_rows: 0}
scheduler: {lost_after: 0}
log: {level: warning, format: xml}
",
        expect![[r#"
            rat.yaml:2:11: server.listen: must be host:port or unix:/path, not "localhost"
            rat.yaml:3:20: server.internal_socket: must be unix:/path or on loopback: runs and plugins are trusted there, not "0.0.0.0:9090"
            rat.yaml:4:18: server.cors_origins[0]: `*` is not accepted, because requests carry credentials; name each origin as scheme://host:port
            rat.yaml:4:36: server.cors_origins[2]: must be an origin such as https://rat.example.org:8443, without a path
            rat.yaml:5:37: server.rate_limit.requests_per_second: must be a whole number from 1 to 1000000, not 0
            rat.yaml:5:47: server.rate_limit.burst: must be a whole number from 1 to 1000000, not 1000001
            rat.yaml:6:15: server.body_limit: must be a size such as 64MiB, not 64
            rat.yaml:7:17: server.upload_limit: must be from 1KiB to 16TiB, not 20000TiB
            rat.yaml:8:20: server.request_timeout: must be a duration such as 30s, 5m or 1h, not 120
            rat.yaml:9:19: server.header_timeout: must be from 1ms to 365 days, not "0s"
            rat.yaml:10:21: server.shutdown_timeout: must be from 1ms to 365 days, not "400days"
            rat.yaml:11:21: server.trusted_proxies[0]: must be 10.0.0.0/8 (no bits beyond the prefix), not "10.0.0.1/8"
            rat.yaml:12:22: auth.api_key_file: must be an absolute path, or a bare name that is looked up in $CREDENTIALS_DIRECTORY
            rat.yaml:12:43: auth.token_cache: must be 1m at most, or off, not 1h
            rat.yaml:12:64: auth.admin_roles[1]: must be the name of a role
            rat.yaml:12:83: auth.login_issuer: must not hold a user or a password
            rat.yaml:12:116: auth.login_client_id: must be one word
            rat.yaml:12:136: auth.login_scopes[0]: must be one word
            rat.yaml:13:17: database.url: must be sqlite:/path or postgres://user@host:port/name
            rat.yaml:13:61: database.max_connections: must be a whole number from 1 to 1000, not 0
            rat.yaml:14:16: storage.url: s3:// is not supported by this version; use file:///path
            rat.yaml:16:12: runner.address: must be host:port or unix:/path, without a scheme, not "http://runner:1"
            rat.yaml:17:10: runner.slots: must be a whole number from 1 to 1024, not 99999999999
            rat.yaml:18:17: runner.memory_limit: must be from 16MiB to 1024TiB, not 1MiB
            rat.yaml:19:16: runner.run_timeout: must be a duration with its unit, such as 30s, 5m or 1h, not "-1h"
            rat.yaml:20:14: runner.log_lines: must be a whole number from 100 to 1000000, not 1
            rat.yaml:21:13: runner.temp_dir: must be an absolute path, not "tmp"
            rat.yaml:22:17: ratq.address: must be unix: followed by an absolute path, not "unix:ratq.sock"
            rat.yaml:22:45: ratq.max_rows: must be a whole number from 1 to 100000000, not 0
            rat.yaml:23:25: scheduler.lost_after: must be a whole number from 1 to 1000, not 0
            rat.yaml:24:14: log.level: must be one of error, warn, info, debug, trace, not "warning"
            rat.yaml:24:31: log.format: must be one of auto, json, text, not "xml"
        "#]],
    );
}

#[test]
fn plugins_are_checked_in_every_part() {
    check(
        "\
plugins:
  auth:
    address: auth:50060
  executor:
    image: ''
    address: executor
  sharing:
    image: a b
    address: ftp://sharing
    name: Sharing
    protocol: http
    on_down: hold
  enforcement:
    image: registry/same:1
    address: enforcement:0
    on_down: hold
    tls: {cert: a}
  cloud:
    image: registry/same:2
    address: unix:/run/cloud.sock
    tls: {ca: ../ca}
    idle_stop: 999ms
",
        expect![[r#"
            rat.yaml:2:3: plugins.auth: the key `image` is missing
            rat.yaml:5:12: plugins.executor.image: must not be empty
            rat.yaml:8:12: plugins.sharing.image: must be a container image such as registry/name:tag, without spaces
            rat.yaml:9:14: plugins.sharing.address: must be host:port, unix:/path or https://host:port, not "ftp://sharing"
            rat.yaml:10:11: plugins.sharing.name: must start with a letter and contain only a-z, 0-9, '_' and '-', at most 63 characters, not "Sharing"
            rat.yaml:11:15: plugins.sharing.protocol: must be one of grpc, connect, not "http"
            rat.yaml:12:14: plugins.sharing.on_down: hold is only for executor; use deny or builtin for sharing
            rat.yaml:15:14: plugins.enforcement.address: must have a port other than 0
            rat.yaml:16:14: plugins.enforcement.on_down: hold is only for executor; use deny or builtin for enforcement
            rat.yaml:17:5: plugins.enforcement.tls: cert and key must be given together
            rat.yaml:21:5: plugins.cloud.tls: is only used with an https:// address
            rat.yaml:21:15: plugins.cloud.tls.ca: must be an absolute path, or a bare name that is looked up in $CREDENTIALS_DIRECTORY
            rat.yaml:22:16: plugins.cloud.idle_stop: must be at least 1s: the next call starts the plugin again
        "#]],
    );
    check(
        "\
plugins:
  auth: {image: registry/same:1, address: 'unix:/a'}
  cloud: {image: registry/same:2, address: 'unix:/b'}
  sharing: {image: registry/other, name: same, address: 'unix:/b', on_down: open}
",
        expect![[r#"
            rat.yaml:3:18: plugins.cloud.image: the plugin of auth has the same name, same; give one of them another `name`
            rat.yaml:4:42: plugins.sharing.name: the plugin of auth has the same name, same; give one of them another `name`
            rat.yaml:4:77: plugins.sharing.on_down: must be one of deny, builtin, hold, not "open"
        "#]],
    );
}

#[test]
fn settings_that_exclude_each_other_are_named() {
    check(
        "\
database: {url: 'sqlite:/a', url_file: b}
catalog: {uri: 'https://a'}
server: {listen: 127.0.0.1:1, internal_socket: 127.0.0.1:1}
runner: {address: 'unix:/run/rat/ratq.sock'}
",
        expect![[r#"
            rat.yaml:1:40: database.url_file: must not be given together with url
            rat.yaml:2:16: catalog.uri: is only used with `type: rest`
            rat.yaml:3:48: server.internal_socket: must not be on the address of server.listen, 127.0.0.1:1; give one of them another port
            rat.yaml:4:19: runner.address: must not be on the address of ratq.address, unix:/run/rat/ratq.sock; give one of them another path
        "#]],
    );
}

#[test]
fn two_sockets_on_one_address_are_named() {
    check(
        "\
server: {listen: '0.0.0.0:8080', internal_socket: 'localhost:8080'}
runner: {address: 'unix:/run/../run/rat/plugins/auth.sock'}
ratq: {address: '[::1]:50051', max_rows: 0}
plugins:
  auth: {image: a, address: 'unix:/run/rat/plugins/auth.sock'}
  executor: {image: b, address: '127.0.0.1:8080'}
  sharing: {image: c, address: 'https://localhost:50051'}
",
        expect![[r#"
            rat.yaml:1:51: server.internal_socket: must not be on the address of server.listen, 0.0.0.0:8080; give one of them another port
            rat.yaml:3:42: ratq.max_rows: must be a whole number from 1 to 100000000, not 0
            rat.yaml:5:29: plugins.auth.address: must not be on the address of runner.address, unix:/run/../run/rat/plugins/auth.sock; give one of them another path
            rat.yaml:6:33: plugins.executor.address: must not be on the address of server.listen, 0.0.0.0:8080; give one of them another port
            rat.yaml:7:32: plugins.sharing.address: must not be on the address of ratq.address, [::1]:50051; give one of them another port
        "#]],
    );
    // One that is not set is not to blame.
    check(
        "plugins: {auth: {image: a, address: 'unix:/var/run/rat/internal.sock'}}\n",
        expect![[r#"
            rat.yaml:1:37: plugins.auth.address: must not be on the address of server.internal_socket, unix:/run/rat/internal.sock; give one of them another path
        "#]],
    );
}

#[test]
fn one_process_fills_several_slots_with_one_configuration() {
    load(
        "plugins: {auth: {image: a, address: 'unix:/a'}, cloud: {image: b, address: 'unix:/./a'}}",
    );
    let plugins = |auth: &str, cloud: &str| {
        format!(
            "\
plugins:
  auth: {{image: a, address: 'https://a.example.org'{auth}}}
  cloud: {{image: a, name: b, address: 'https://A.example.org:443'{cloud}}}
"
        )
    };
    load(&plugins("", ""));
    load(&plugins(", config: {a: [1]}", ", config: {a: [1]}"));
    check(
        &plugins(", config: {a: 1}", ", config: {a: 2}"),
        expect![[r#"
            rat.yaml:3:68: plugins.cloud.config: its `config` must be the same as plugins.auth.config: the plugin is at the same address, and one plugin has one configuration
        "#]],
    );
    check(
        &plugins(", config: {a: 1}", ""),
        expect![[r#"
            rat.yaml:3:3: plugins.cloud: its `config` must be the same as plugins.auth.config: the plugin is at the same address, and one plugin has one configuration
        "#]],
    );
    check(
        "\
runner: {address: 'a.example.org:50060'}
plugins: {auth: {image: a, address: 'a.example.org:50060'}}
",
        expect![[r#"
            rat.yaml:2:37: plugins.auth.address: must not be on the address of runner.address, a.example.org:50060; give one of them another port
        "#]],
    );
}

#[test]
fn what_this_version_does_not_support_is_refused_by_name() {
    check(
        "storage: {url: 's3://bucket/lake'}\n",
        expect![[r#"
            rat.yaml:1:16: storage.url: s3:// is not supported by this version; use file:///path
        "#]],
    );
}

#[test]
fn an_external_catalog_has_an_address_and_one_sort_of_credentials() {
    check(
        "catalog: {type: rest}\n",
        expect![[r#"
            rat.yaml:1:17: catalog.type: rest needs a `uri`
        "#]],
    );
    check(
        "catalog: {type: rest, uri: 'https://a', token_file: t, client_id: rat}\n",
        expect![[r#"
            rat.yaml:1:53: catalog.token_file: must not be given together with client_id
            rat.yaml:1:67: catalog.client_id: needs a `client_secret_file`
        "#]],
    );
    check(
        "catalog: {type: rest, uri: 'ftp://a', client_secret_file: s, scope: x, ca_file: a/b}\n",
        expect![[r#"
            rat.yaml:1:28: catalog.uri: must be an http:// or https:// URL
            rat.yaml:1:59: catalog.client_secret_file: is only used with client_id
            rat.yaml:1:69: catalog.scope: is only used with client_id
            rat.yaml:1:81: catalog.ca_file: must be an absolute path, or a bare name that is looked up in $CREDENTIALS_DIRECTORY
        "#]],
    );
    check(
        "catalog: {type: rest, uri: 'https://a?b', client_id: rat, client_secret_file: s,
          token_uri: 'https://u:p@h'}\n",
        expect![[r#"
            rat.yaml:1:28: catalog.uri: must not have a query or a fragment
            rat.yaml:2:22: catalog.token_uri: must not hold a user or a password
        "#]],
    );
}

#[test]
fn passwords_are_refused_and_not_repeated() {
    for text in [
        "database: {url: 'postgres://u:hunter2@h/d'}",
        "database: {url: 'postgres://u@h/d?password=hunter2'}",
        "database: {url: 'mysql://u:hunter2@h/d'}",
        "catalog: {type: rest, uri: 'https://u:hunter2@h'}",
        "auth: {api_key_file: 'hunter2/hunter2'}",
        "storage: {url: 'https://u:hunter2@h'}",
        "server: {cors_origins: ['https://u:hunter2@h']}",
        "plugins: {auth: {image: a, address: 'https://u:hunter2@h'}}",
        "runner: {address: 'http://u:hunter2@h'}",
        "auth: hunter2",
        "database: 'postgres://u:hunter2@h/d'",
        "plugins: {auth: {image: a, address: 'unix:/a', config: hunter2}}",
    ] {
        assert!(!problems(text).contains("hunter2"), "{}", problems(text));
    }
    check(
        "database: {url: 'postgres://u:hunter2@h/d'}\n",
        expect![[r#"
            rat.yaml:1:17: database.url: must not hold a password: put the whole URL into a file and set url_file
        "#]],
    );
}

#[test]
fn ten_thousand_mistakes_are_counted_but_not_all_shown() {
    let text: String = (0..10_000)
        .map(|number| format!("k{number}: 1\n"))
        .collect();
    let shown = problems(&text);
    assert_eq!(shown.lines().count(), 101);
    assert!(shown.ends_with("… and 9900 more\n"), "{shown}");
}
