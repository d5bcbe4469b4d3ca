//! Overrides from the environment: one table drives what is read and what is documented.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::problem::{Origin, Path, Problem, Segment};
use crate::schema;
use crate::text::{closest, quoted};

/// An environment variable that overrides a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: &'static str,
    /// The setting, as in `storage.url`.
    pub setting: &'static str,
}

const fn variable(name: &'static str, setting: &'static str) -> EnvVar {
    EnvVar { name, setting }
}

/// Every environment variable that overrides a setting. All settings have one, except those
/// under `plugins`.
pub const ENVIRONMENT: &[EnvVar] = &[
    variable("RAT_LISTEN", "server.listen"),
    variable("RAT_INTERNAL_SOCKET", "server.internal_socket"),
    variable("RAT_CORS_ORIGINS", "server.cors_origins"),
    variable("RAT_RATE_LIMIT", "server.rate_limit"),
    variable("RAT_BODY_LIMIT", "server.body_limit"),
    variable("RAT_UPLOAD_LIMIT", "server.upload_limit"),
    variable("RAT_REQUEST_TIMEOUT", "server.request_timeout"),
    variable("RAT_HEADER_TIMEOUT", "server.header_timeout"),
    variable("RAT_SHUTDOWN_TIMEOUT", "server.shutdown_timeout"),
    variable("RAT_TRUSTED_PROXIES", "server.trusted_proxies"),
    variable("RAT_API_KEY_FILE", "auth.api_key_file"),
    variable("RAT_TOKEN_CACHE", "auth.token_cache"),
    variable("RAT_ADMIN_ROLES", "auth.admin_roles"),
    variable("RAT_LOGIN_ISSUER", "auth.login_issuer"),
    variable("RAT_LOGIN_CLIENT_ID", "auth.login_client_id"),
    variable("RAT_LOGIN_SCOPES", "auth.login_scopes"),
    variable("RAT_DATABASE_URL", "database.url"),
    variable("RAT_DATABASE_URL_FILE", "database.url_file"),
    variable("RAT_DATABASE_MAX_CONNECTIONS", "database.max_connections"),
    variable("RAT_STORAGE_URL", "storage.url"),
    variable("RAT_CATALOG_TYPE", "catalog.type"),
    variable("RAT_CATALOG_URI", "catalog.uri"),
    variable("RAT_CATALOG_WAREHOUSE", "catalog.warehouse"),
    variable("RAT_CATALOG_TOKEN_FILE", "catalog.token_file"),
    variable("RAT_CATALOG_CLIENT_ID", "catalog.client_id"),
    variable(
        "RAT_CATALOG_CLIENT_SECRET_FILE",
        "catalog.client_secret_file",
    ),
    variable("RAT_CATALOG_TOKEN_URI", "catalog.token_uri"),
    variable("RAT_CATALOG_SCOPE", "catalog.scope"),
    variable("RAT_CATALOG_CA_FILE", "catalog.ca_file"),
    variable("RAT_RUNNER_ADDRESS", "runner.address"),
    variable("RAT_RUNNER_SLOTS", "runner.slots"),
    variable("RAT_RUNNER_QUEUE", "runner.queue"),
    variable("RAT_RUNNER_MEMORY_LIMIT", "runner.memory_limit"),
    variable("RAT_RUNNER_RUN_TIMEOUT", "runner.run_timeout"),
    variable(
        "RAT_RUNNER_QUALITY_TEST_TIMEOUT",
        "runner.quality_test_timeout",
    ),
    variable("RAT_RUNNER_DRAIN_TIMEOUT", "runner.drain_timeout"),
    variable("RAT_RUNNER_KEEP_RESULTS", "runner.keep_results"),
    variable("RAT_RUNNER_LOG_LINES", "runner.log_lines"),
    variable("RAT_RUNNER_TEMP_DIR", "runner.temp_dir"),
    variable("RAT_RATQ_ADDRESS", "ratq.address"),
    variable("RAT_RATQ_TIMEOUT", "ratq.timeout"),
    variable("RAT_RATQ_MAX_ROWS", "ratq.max_rows"),
    variable("RAT_RATQ_MEMORY_LIMIT", "ratq.memory_limit"),
    variable("RAT_RATQ_CONCURRENT_QUERIES", "ratq.concurrent_queries"),
    variable("RAT_SCHEDULER_POLL_INTERVAL", "scheduler.poll_interval"),
    variable("RAT_SCHEDULER_LOST_AFTER", "scheduler.lost_after"),
    variable("RAT_SCHEDULER_MAX_RUNNING", "scheduler.max_running"),
    variable("RAT_PLUGIN_HEALTH_INTERVAL", "plugin_health.interval"),
    variable("RAT_PLUGIN_HEALTH_TIMEOUT", "plugin_health.timeout"),
    variable(
        "RAT_PLUGIN_HEALTH_PROBE_INTERVAL",
        "plugin_health.probe_interval",
    ),
    variable("RAT_LOG_LEVEL", "log.level"),
    variable("RAT_LOG_FORMAT", "log.format"),
];

/// Variables with our prefix that are read elsewhere, and what they say.
pub const READ_ELSEWHERE: &[(&str, &str)] = &[
    (
        "RAT_CONFIG",
        "the settings file of a daemon without `--config`",
    ),
    ("RAT_URL", "the address of ratd, for the command line `rat`"),
    (
        "RAT_LOG",
        "what the command line `rat` logs, as in `debug` or `info,hyper=debug`",
    ),
];

/// Variables that begin so belong to builds, test suites and `rat dev`.
const DEVELOPMENT: [&str; 4] = ["RAT_TEST_", "RAT_REQUIRE_ALL", "RAT_GIT_REV", "RAT_DEV_"];

/// Settings of which only one can be given: an override of one displaces the other.
const ALTERNATIVES: [(&str, &str); 1] = [("database.url", "database.url_file")];

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    /// The values, in the shape of `rat.yaml`.
    pub(crate) tree: Value,
    /// Which variable gave which setting.
    variables: BTreeMap<Path, &'static str>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

impl Overrides {
    /// Reads every variable that begins with `RAT_`; others are none of our business.
    pub(crate) fn read(environment: &BTreeMap<String, String>) -> Self {
        let mut overrides = Self {
            tree: json!({}),
            ..Self::default()
        };
        for (name, text) in environment
            .iter()
            .filter(|(name, _)| name.starts_with("RAT_"))
        {
            overrides.read_one(name, text.trim());
        }
        overrides
    }

    fn read_one(&mut self, name: &str, text: &str) {
        let known = ENVIRONMENT.iter().find(|variable| variable.name == name);
        match (known, text) {
            // Somebody meant to close the door; ignoring it would leave it open.
            (Some(variable), "") if variable.setting == "auth.api_key_file" => {
                let message = "is empty: name the file, or unset it to run without a key";
                self.problems.push(problem(name, message));
            }
            (Some(_), "") => self
                .warnings
                .push(problem(name, "is empty and therefore ignored")),
            (Some(variable), text) => self.set(*variable, text),
            (None, "") => {}
            (None, _) if name == "RAT_API_KEY" => {
                let message = "secrets are files: put the key in a file and set RAT_API_KEY_FILE";
                self.problems.push(problem(name, message));
            }
            (None, _) if is_read_elsewhere(name) => {}
            (None, _) => self.warnings.push(problem(name, &unknown(name))),
        }
    }

    fn set(&mut self, variable: EnvVar, text: &str) {
        let path = Path::dotted(variable.setting);
        match value(&path, text) {
            Ok(value) => {
                insert(&mut self.tree, &path, value);
                self.variables.insert(path, variable.name);
            }
            Err(message) => self.problems.push(problem(variable.name, &message)),
        }
    }

    /// Lays the overrides over what the file says.
    pub(crate) fn apply(&self, file: &mut Value) {
        let given = |setting: &str| self.variables.contains_key(&Path::dotted(setting));
        for (one, other) in ALTERNATIVES {
            for (given_one, displaced) in [(one, other), (other, one)] {
                if given(given_one) && !given(displaced) {
                    remove(file, &Path::dotted(displaced));
                }
            }
        }
        for path in self.variables.keys() {
            if let Some(value) = get(&self.tree, path) {
                insert(file, path, value.clone());
            }
        }
    }

    /// The variable that gave the setting at `path`.
    pub(crate) fn variable_of(&self, path: &Path) -> Option<&'static str> {
        self.variables
            .iter()
            .find(|(set, _)| path.is_within(set))
            .map(|(_, variable)| *variable)
    }
}

fn is_read_elsewhere(name: &str) -> bool {
    DEVELOPMENT.iter().any(|prefix| name.starts_with(prefix))
        || READ_ELSEWHERE.iter().any(|(known, _)| *known == name)
}

fn unknown(name: &str) -> String {
    let known = ENVIRONMENT.iter().map(|variable| variable.name);
    let known = known.chain(READ_ELSEWHERE.iter().map(|(name, _)| *name));
    match closest_variable(name, known) {
        Some(meant) => format!("unknown variable, ignored; did you mean {meant}?"),
        None => "unknown variable, ignored".to_owned(),
    }
}

/// Compares without the prefix, which all of them share.
fn closest_variable(name: &str, known: impl Iterator<Item = &'static str>) -> Option<String> {
    let bare = |name: &'static str| name.strip_prefix("RAT_").unwrap_or(name);
    let meant = closest(name.strip_prefix("RAT_").unwrap_or(name), known.map(bare))?;
    Some(format!("RAT_{meant}"))
}

fn problem(name: &str, message: &str) -> Problem {
    let shown = if name.len() > 80 {
        quoted(name)
    } else {
        name.escape_debug().to_string()
    };
    Problem {
        origin: Origin::Environment(shown),
        path: String::new(),
        message: message.to_owned(),
    }
}

/// The text of a variable as the setting at `path` needs it. What is impossible stays as it is:
/// the schema says so better.
fn value(path: &Path, text: &str) -> Result<Value, String> {
    if *path == Path::dotted("server.rate_limit") {
        return rate_limit(text);
    }
    Ok(match schema::type_at(path) {
        Some("integer") => text
            .parse::<u64>()
            .map_or_else(|_| text.into(), Value::from),
        Some("array") => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect(),
        _ => text.into(),
    })
}

fn rate_limit(text: &str) -> Result<Value, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok("off".into());
    }
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let limit = match text.split_once('/') {
        Some((rate, burst)) => number(rate)
            .zip(number(burst))
            .map(|(rate, burst)| json!({ "requests_per_second": rate, "burst": burst })),
        None => number(text).map(|rate| json!({ "requests_per_second": rate })),
    };
    limit.ok_or_else(|| {
        let text = quoted(text);
        format!("must be off, or requests per second and burst as 50/100, not {text}")
    })
}

fn get<'a>(tree: &'a Value, path: &Path) -> Option<&'a Value> {
    path.segments()
        .iter()
        .try_fold(tree, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        })
}

/// Sets the value at a path of keys, making the mappings on the way.
fn insert(tree: &mut Value, path: &Path, value: Value) {
    let mut here = tree;
    for segment in path.segments() {
        let Segment::Key(key) = segment else { return };
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Value::Object(map) = here else { return };
        here = map.entry(key.clone()).or_insert(Value::Null);
    }
    *here = value;
}

/// Takes the value at a path of keys out of `tree`; the root itself is emptied.
pub(crate) fn remove(tree: &mut Value, path: &Path) {
    let Some((Segment::Key(last), parents)) = path.segments().split_last() else {
        *tree = json!({});
        return;
    };
    let parent = parents
        .iter()
        .try_fold(tree, |value, segment| match segment {
            Segment::Key(key) => value.get_mut(key),
            Segment::Index(index) => value.get_mut(index),
        });
    if let Some(Value::Object(map)) = parent {
        map.remove(last);
    }
}
