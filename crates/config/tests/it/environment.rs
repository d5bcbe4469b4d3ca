//! `RAT_*` variables.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect;
use rat_config::{DatabaseSource, ENVIRONMENT, READ_ELSEWHERE, Settings, json_schema};

use crate::support::{environment, load, load_with, problems_with};

#[test]
fn every_setting_outside_plugins_has_a_variable() {
    let schema = json_schema();
    let mut settings = BTreeSet::new();
    for (section, node) in schema["properties"].as_object().unwrap() {
        let name = node["$ref"]
            .as_str()
            .unwrap()
            .trim_start_matches("#/$defs/");
        let keys = schema["$defs"][name]["properties"]
            .as_object()
            .unwrap()
            .keys();
        if section != "plugins" {
            settings.extend(keys.map(|key| format!("{section}.{key}")));
        }
    }
    let known: BTreeSet<_> = ENVIRONMENT
        .iter()
        .map(|variable| variable.setting.to_owned())
        .collect();
    assert_eq!(known, settings);
    let names: BTreeSet<_> = ENVIRONMENT.iter().map(|variable| variable.name).collect();
    assert_eq!(names.len(), ENVIRONMENT.len(), "a variable is listed twice");
    for variable in ENVIRONMENT {
        let (section, key) = variable.setting.split_once('.').unwrap();
        let name = match section {
            "server" | "auth" => format!("RAT_{key}"),
            _ => format!("RAT_{section}_{key}"),
        };
        assert_eq!(variable.name, name.to_uppercase());
    }
}

#[test]
fn variables_override_the_file() {
    let text = "server: {listen: 127.0.0.1:1, cors_origins: []}\nrunner: {slots: 1}\n";
    let settings = load_with(
        text,
        &[
            ("RAT_LISTEN", "127.0.0.1:2"),
            (
                "RAT_CORS_ORIGINS",
                "https://a.example.org, https://b.example.org",
            ),
            ("RAT_RUNNER_SLOTS", "7"),
            ("RAT_TRUSTED_PROXIES", "10.0.0.0/8"),
            ("RAT_LOG_LEVEL", "debug"),
            ("RAT_STORAGE_URL", "file:///data/lake/"),
            ("RAT_RUNNER_TEMP_DIR", "/data/spill"),
            ("OTHER", "x"),
        ],
    );
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:2");
    assert_eq!(
        settings.server.cors_origins,
        ["https://a.example.org", "https://b.example.org"]
    );
    assert_eq!(settings.runner.slots.get(), 7);
    assert_eq!(settings.server.trusted_proxies.len(), 1);
    assert_eq!(settings.log.level.as_str(), "debug");
    assert_eq!(settings.storage.url.as_str(), "file:///data/lake");
    assert_eq!(
        settings.runner.temp_dir.as_deref(),
        Some("/data/spill".as_ref())
    );
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn a_rate_limit_is_off_or_one_or_two_numbers() {
    let limit = |text| load_with("", &[("RAT_RATE_LIMIT", text)]).server.rate_limit;
    let numbers =
        |text| limit(text).map(|limit| (limit.requests_per_second.get(), limit.burst.get()));
    assert_eq!(limit("off"), None);
    assert_eq!(numbers("5"), Some((5, 100)));
    assert_eq!(numbers("5/10"), Some((5, 10)));
}

#[test]
fn an_override_displaces_its_alternative_in_the_file() {
    let file = load_with(
        "database: {url: sqlite:a.db}",
        &[("RAT_DATABASE_URL_FILE", "url")],
    );
    assert!(matches!(file.database.source, DatabaseSource::File(_)));
    let url = load_with(
        "database: {url_file: url}",
        &[("RAT_DATABASE_URL", "sqlite:a.db")],
    );
    assert_eq!(
        url.database.source,
        DatabaseSource::Url("sqlite:a.db".to_owned())
    );
}

#[test]
fn mistakes_of_file_and_environment_are_reported_together() {
    let text = "server:\n  lisen: 127.0.0.1:1\n  header_timeout: soon\nrunner: {slots: many}\n";
    let variables = [
        ("RAT_API_KEY", "hunter2"),
        ("RAT_RUNNER_SLOTS", "0"),
        ("RAT_RUNNER_QUEUE", "ten"),
        ("RAT_LISTEN", "8080"),
        ("RAT_CORS_ORIGINS", "*"),
        ("RAT_RATE_LIMIT", "some"),
        ("RAT_LOG_LEVEL", "inf"),
        ("RAT_DATABASE_URL", "sqlite:a.db"),
        ("RAT_DATABASE_URL_FILE", "a"),
    ];
    let shown = problems_with(text, &variables);
    assert!(!shown.contains("hunter2"));
    expect![[r#"
        rat.yaml:2:3: server.lisen: unknown key; did you mean `listen`?
        rat.yaml:3:19: server.header_timeout: must be a duration with its unit, such as 30s, 5m or 1h, not "soon"
        rat.yaml:4:17: runner.slots: must be a whole number from 1 to 1024, not "many"
        environment RAT_API_KEY: secrets are files: put the key in a file and set RAT_API_KEY_FILE
        environment RAT_CORS_ORIGINS: `*` is not accepted, because requests carry credentials; name each origin as scheme://host:port
        environment RAT_DATABASE_URL_FILE: must not be given together with url
        environment RAT_LISTEN: must be host:port or unix:/path, not "8080"
        environment RAT_LOG_LEVEL: must be one of error, warn, info, debug, trace, not "inf"; did you mean info?
        environment RAT_RATE_LIMIT: must be off, or requests per second and burst as 50/100, not "some"
        environment RAT_RUNNER_QUEUE: must be a whole number from 1 to 1000000, not "ten"
        environment RAT_RUNNER_SLOTS: must be a whole number from 1 to 1024, not 0
    "#]].assert_eq(&shown);
}

#[test]
fn unknown_and_empty_variables_are_warnings() {
    let settings = load_with(
        "",
        &[
            ("RAT_LISTN", "x"),
            ("RAT_BANANAS", "x"),
            ("RAT_LOG_LEVEL", " "),
            ("RAT_API_KEY", ""),
            ("RAT_A\nB", "x"),
        ],
    );
    expect![[r#"
        environment RAT_A\nB: unknown variable, ignored
        environment RAT_BANANAS: unknown variable, ignored
        environment RAT_LISTN: unknown variable, ignored; did you mean RAT_LISTEN?
        environment RAT_LOG_LEVEL: is empty and therefore ignored
    "#]]
    .assert_eq(&(settings.warnings.join("\n") + "\n"));
}

#[test]
fn an_empty_key_file_variable_does_not_open_the_door() {
    let variables = environment(&[("RAT_API_KEY_FILE", "")]);
    let problems = Settings::load(None, &variables).unwrap_err();
    expect![
        "environment RAT_API_KEY_FILE: is empty: name the file, or unset it to run without a key"
    ]
    .assert_eq(problems.to_string().trim_end());
}

#[test]
fn variables_that_are_read_elsewhere_are_left_alone() {
    let mut variables: BTreeMap<_, _> = environment(&[("RAT_TEST_ANYTHING", "x")]);
    variables.extend(
        READ_ELSEWHERE
            .iter()
            .map(|(name, _)| ((*name).to_owned(), "x".to_owned())),
    );
    let settings = Settings::load(None, &variables).unwrap();
    assert_eq!(settings, load(""));
}
