//! Settings back into YAML, for `ratd dump-config`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use crate::settings::{Catalog, CatalogAccess, DatabaseSource, Plugin, Settings, Slot};
use crate::units::{format_duration, format_size};
use crate::wire;

/// What stands in the place of a secret.
const HIDDEN: &str = "[redacted]";

/// The effective settings as a `rat.yaml` that names every value, without secrets: references to
/// files are shown; of the plugins' own settings, whose meaning only the plugins know, those are
/// shown whose keys name something harmless, such as a place, and without passwords within URLs.
pub fn dump(settings: &Settings) -> String {
    serde_yaml::to_string(&root(settings)).expect("plain structs with string keys become YAML")
}

fn root(settings: &Settings) -> wire::Root {
    wire::Root {
        server: server(settings),
        auth: auth(settings),
        database: database(settings),
        storage: wire::Storage {
            url: word(&settings.storage.url),
        },
        catalog: catalog(settings),
        runner: runner(settings),
        ratq: ratq(settings),
        scheduler: wire::Scheduler {
            poll_interval: word(format_duration(settings.scheduler.poll_interval)),
            lost_after: settings.scheduler.lost_after.get(),
            max_running: settings.scheduler.max_running.get(),
        },
        plugin_health: wire::PluginHealth {
            interval: word(format_duration(settings.plugin_health.interval)),
            timeout: word(format_duration(settings.plugin_health.timeout)),
            probe_interval: word(format_duration(settings.plugin_health.probe_interval)),
        },
        log: wire::Log {
            level: settings.log.level.into(),
            format: settings.log.format.into(),
        },
        plugins: plugins(settings),
    }
}

fn auth(settings: &Settings) -> wire::Auth {
    let auth = &settings.auth;
    let defaults = wire::Auth::default();
    let (login_issuer, login_client_id, login_scopes) = match &auth.login {
        None => (None, defaults.login_client_id, defaults.login_scopes),
        Some(login) => (
            Some(word(&login.issuer)),
            login.client_id.clone(),
            login.scopes.clone(),
        ),
    };
    wire::Auth {
        api_key_file: auth.api_key_file.as_ref().map(word),
        token_cache: match auth.token_cache {
            None => "off".into(),
            Some(limit) => word(format_duration(limit)),
        },
        admin_roles: auth.admin_roles.clone(),
        login_issuer,
        login_client_id,
        login_scopes,
    }
}

fn server(settings: &Settings) -> wire::Server {
    let server = &settings.server;
    wire::Server {
        listen: word(&server.listen),
        internal_socket: word(&server.internal_socket),
        cors_origins: server.cors_origins.iter().map(word).collect(),
        rate_limit: match server.rate_limit {
            None => wire::RateLimit::Off(wire::Off::Off),
            Some(limit) => wire::RateLimit::Limit(wire::Limit {
                requests_per_second: limit.requests_per_second.get(),
                burst: limit.burst.get(),
            }),
        },
        body_limit: word(format_size(server.body_limit)),
        upload_limit: word(format_size(server.upload_limit)),
        request_timeout: word(format_duration(server.request_timeout)),
        header_timeout: word(format_duration(server.header_timeout)),
        shutdown_timeout: word(format_duration(server.shutdown_timeout)),
        trusted_proxies: server.trusted_proxies.iter().map(word).collect(),
    }
}

fn database(settings: &Settings) -> wire::Database {
    let (url, url_file) = match &settings.database.source {
        DatabaseSource::Url(url) => (Some(word(without_password(url))), None),
        DatabaseSource::File(file) => (None, Some(word(file))),
    };
    wire::Database {
        url,
        url_file,
        max_connections: settings.database.max_connections.get(),
    }
}

fn catalog(settings: &Settings) -> wire::Catalog {
    let Catalog::Rest(rest) = &settings.catalog else {
        return wire::Catalog::default();
    };
    let catalog = wire::Catalog {
        kind: wire::CatalogType::Rest,
        uri: Some(word(without_password(rest.uri.as_str()))),
        warehouse: rest.warehouse.clone(),
        ca_file: rest.ca_file.as_ref().map(word),
        ..wire::Catalog::default()
    };
    match &rest.access {
        CatalogAccess::Open => catalog,
        CatalogAccess::Token(file) => wire::Catalog {
            token_file: Some(word(file)),
            ..catalog
        },
        CatalogAccess::Client {
            token_uri,
            id,
            secret_file,
            scope,
        } => wire::Catalog {
            client_id: Some(id.clone()),
            client_secret_file: Some(word(secret_file)),
            token_uri: token_uri
                .as_ref()
                .map(|uri| word(without_password(uri.as_str()))),
            scope: scope.clone(),
            ..catalog
        },
    }
}

fn runner(settings: &Settings) -> wire::Runner {
    let runner = &settings.runner;
    wire::Runner {
        address: word(&runner.address),
        slots: runner.slots.get(),
        queue: runner.queue.get(),
        memory_limit: word(format_size(runner.memory_limit)),
        run_timeout: word(format_duration(runner.run_timeout)),
        quality_test_timeout: word(format_duration(runner.quality_test_timeout)),
        drain_timeout: word(format_duration(runner.drain_timeout)),
        keep_results: word(format_duration(runner.keep_results)),
        log_lines: runner.log_lines.get(),
        temp_dir: runner.temp_dir.as_ref().map(|path| word(path.display())),
    }
}

fn ratq(settings: &Settings) -> wire::Ratq {
    let ratq = &settings.ratq;
    wire::Ratq {
        address: word(&ratq.address),
        timeout: word(format_duration(ratq.timeout)),
        max_rows: ratq.max_rows,
        memory_limit: word(format_size(ratq.memory_limit)),
        concurrent_queries: ratq.concurrent_queries.get(),
    }
}

fn plugins(settings: &Settings) -> wire::Plugins {
    let slot = |slot| settings.plugins.get(&slot).map(plugin);
    wire::Plugins {
        auth: slot(Slot::Auth),
        executor: slot(Slot::Executor),
        sharing: slot(Slot::Sharing),
        enforcement: slot(Slot::Enforcement),
        cloud: slot(Slot::Cloud),
    }
}

fn plugin(plugin: &Plugin) -> wire::Plugin {
    let tls = &plugin.tls;
    let given = tls.ca.is_some() || tls.identity.is_some();
    wire::Plugin {
        image: plugin.image.clone(),
        address: word(&plugin.address),
        config: without_secrets(plugin.config.values()),
        name: Some(plugin.name.to_string()),
        protocol: plugin.protocol.into(),
        on_down: Some(plugin.on_down.into()),
        idle_stop: plugin.idle_stop.map(|time| word(format_duration(time))),
        tls: given.then(|| wire::PluginTls {
            ca: tls.ca.as_ref().map(word),
            cert: tls.identity.as_ref().map(|(cert, _)| word(cert)),
            key: tls.identity.as_ref().map(|(_, key)| word(key)),
        }),
    }
}

fn word<W: for<'a> From<&'a str>>(value: impl ToString) -> W {
    W::from(&value.to_string())
}

/// Sorted, whatever order the map keeps.
fn without_secrets(values: &Map<String, Value>) -> Map<String, Value> {
    let shown = values
        .iter()
        .map(|(key, value)| (key.clone(), without_secret(key, value)));
    shown.collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn without_secret(key: &str, value: &Value) -> Value {
    match value {
        Value::Object(values) => Value::Object(without_secrets(values)),
        Value::Array(values) => values
            .iter()
            .map(|value| without_secret(key, value))
            .collect(),
        Value::String(_) | Value::Number(_) if !is_harmless(key) => HIDDEN.into(),
        Value::String(text) => without_password(text).into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Whether a plugin's setting of this name is known to hold no secret. RAT does not know what a
/// plugin calls its secrets, so everything else is hidden.
fn is_harmless(key: &str) -> bool {
    const HARMLESS_ENDS: [&str; 32] = [
        "address", "arn", "attempts", "audience", "bucket", "count", "database", "dir", "endpoint",
        "file", "format", "host", "id", "interval", "issuer", "level", "limit", "mode", "name",
        "path", "port", "prefix", "realm", "region", "scope", "scopes", "size", "timeout", "type",
        "uri", "url", "version",
    ];
    let key = letters(key);
    !sounds_secret(&key) && HARMLESS_ENDS.iter().any(|word| key.ends_with(word))
}

fn letters(key: &str) -> String {
    key.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|char| char.to_ascii_lowercase())
        .collect()
}

/// Whether a setting of this name sounds like a secret, unless it says that it names where
/// the secret is.
fn sounds_secret(key: &str) -> bool {
    const SECRET: [&str; 8] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "credential",
        "privatekey",
    ];
    const SECRET_ENDS: [&str; 2] = ["accesskey", "key"];
    const NAMES_A_PLACE: [&str; 7] = ["file", "path", "dir", "url", "uri", "endpoint", "name"];
    let key = letters(key);
    let secret = SECRET.iter().any(|word| key.contains(word))
        || SECRET_ENDS.iter().any(|word| key.ends_with(word));
    secret && !NAMES_A_PLACE.iter().any(|word| key.ends_with(word))
}

fn without_password(text: &str) -> String {
    let Some(mut url) = Url::parse(text).ok().filter(|_| text.contains("://")) else {
        return text.to_owned();
    };
    let secret_parameter = url.query_pairs().any(|(key, _)| sounds_secret(&key));
    if url.password().is_none() && !secret_parameter {
        return text.to_owned();
    }
    if url.password().is_some() && url.set_password(Some("redacted")).is_err() {
        return HIDDEN.to_owned();
    }
    if secret_parameter {
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let shown = pairs.iter().map(|(key, value)| {
            (
                key.as_str(),
                if sounds_secret(key) {
                    "redacted"
                } else {
                    value.as_str()
                },
            )
        });
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_within_urls_are_hidden() {
        for (text, shown) in [
            ("postgres://u:p@h/db", "postgres://u:redacted@h/db"),
            ("https://h/?token=x&a=b", "https://h/?token=redacted&a=b"),
            ("http://keycloak:8080", "http://keycloak:8080"),
            (
                "arn:aws:iam::123456789012:role/x",
                "arn:aws:iam::123456789012:role/x",
            ),
            ("plain", "plain"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }

    #[test]
    fn only_what_is_known_to_be_harmless_is_shown() {
        for key in [
            "keycloak_url",
            "realm",
            "client_id",
            "role_arn",
            "region",
            "token_file",
        ] {
            assert!(is_harmless(key), "{key}");
        }
        for key in [
            "bindpw",
            "jwt",
            "pass",
            "pin",
            "dsn",
            "auth",
            "client_secret",
            "whatever",
        ] {
            assert!(!is_harmless(key), "{key}");
        }
    }

    #[test]
    fn keys_that_sound_like_secrets_are_recognised() {
        for key in [
            "password",
            "client_secret",
            "apiKey",
            "AWS_SECRET_ACCESS_KEY",
            "token",
            "key",
        ] {
            assert!(sounds_secret(key), "{key}");
        }
        for key in [
            "client_id",
            "realm",
            "token_url",
            "password_file",
            "secret_name",
            "region",
        ] {
            assert!(!sounds_secret(key), "{key}");
        }
    }
}
