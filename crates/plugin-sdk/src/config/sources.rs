//! The three sources of a configuration, merged.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::schema::{Finding, Step, at};
use super::{Schema, parse_file};
use crate::invalid::Problem;
use crate::{Invalid, Plugin};

/// Where a part of a configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Ratd,
    File,
    Environment,
}

/// What the machine that the plugin runs on says: the file and the environment.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    path: Option<PathBuf>,
    file: Value,
    environment: Value,
    prefix: String,
    /// Variables with names of their own, each with its key at the top.
    own_names: Vec<(&'static str, &'static str)>,
    problems: Vec<Problem>,
}

/// A merged configuration.
pub(crate) enum Checked<T> {
    /// It can be worked with.
    Complete(Value, T),
    /// Only keys at the top are missing, which ratd may bring.
    Incomplete(Invalid),
}

/// A value as its source wrote it.
type Given = (Origin, Value);

impl Sources {
    /// What `path` and the process' environment say to a plugin.
    pub(crate) fn of<P: Plugin>(path: Option<&Path>, schema: &Schema) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let mut variables: BTreeMap<_, _> =
            variables.filter(|(_, text)| !text.is_empty()).collect();
        let mut own_names = Vec::new();
        for (name, key) in P::VARIABLES {
            let prefixed = prefix_of(P::NAME) + &key.to_uppercase();
            if let (Some(text), Entry::Vacant(free)) =
                (variables.get(*name).cloned(), variables.entry(prefixed))
            {
                free.insert(text);
                own_names.push((*name, *key));
            }
        }
        Self {
            own_names,
            ..Self::read(P::NAME, path, variables, schema)
        }
    }

    /// Reads the file and those of `variables` that begin with the plugin's prefix.
    fn read(
        name: &str,
        path: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        schema: &Schema,
    ) -> Self {
        let mut problems = Vec::new();
        let prefix = prefix_of(name);
        let file = match path.map(parse_file).transpose() {
            Ok(Some(tree)) if tree.is_object() => tree,
            Ok(None) => empty(),
            Ok(Some(_)) => {
                problems.push(problem(
                    Origin::File,
                    path,
                    "the file must hold a mapping".to_owned(),
                ));
                empty()
            }
            Err(message) => {
                problems.push(problem(Origin::File, None, message));
                empty()
            }
        };
        let mut environment = empty();
        for (name, text) in variables {
            let Some(key) = name.strip_prefix(&prefix).filter(|_| !text.is_empty()) else {
                continue;
            };
            read_variable(&name, key, &text, schema, &mut environment, &mut problems);
        }
        Self {
            path: path.map(Path::to_owned),
            file,
            environment,
            prefix,
            own_names: Vec::new(),
            problems,
        }
    }

    /// A configuration for tests, as if it came from a file.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn given(name: &str, file: Value) -> Self {
        Self {
            path: None,
            file,
            environment: empty(),
            prefix: prefix_of(name),
            own_names: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The same, with the file as it is now. A file that was given some other way stays.
    pub(crate) fn read_again(&self, schema: &Schema) -> Self {
        let Some(path) = &self.path else {
            return self.clone();
        };
        let read = Self::read("", Some(path), [], schema);
        Self {
            file: read.file,
            problems: read.problems,
            ..self.clone()
        }
    }

    /// What ratd sent, with the other sources over it.
    pub(crate) fn check<T: DeserializeOwned>(
        &self,
        schema: &Schema,
        ratd: &Value,
    ) -> Result<Checked<T>, Invalid> {
        if let Some(invalid) = Invalid::from_problems(self.problems.clone()) {
            return Err(invalid);
        }
        let layers = self.layers(ratd);
        let mut merged = empty();
        for (_, tree) in &layers {
            merge(&mut merged, tree);
        }
        let mut findings = schema.check(&merged);
        let read = match findings.is_empty() {
            true => Some(schema.deserialize(&merged)),
            false => None,
        };
        match read {
            Some(Ok(config)) => return Ok(Checked::Complete(merged, config)),
            Some(Err(finding)) => findings.push(finding),
            None => {}
        }
        let can_come = findings
            .iter()
            .all(|finding| finding.is_missing && finding.path.len() == 1);
        let problems = findings
            .into_iter()
            .map(|finding| self.describe(schema, &layers, finding))
            .collect();
        let invalid = Invalid::from_problems(problems).expect("there is at least one finding");
        match can_come {
            true => Ok(Checked::Incomplete(invalid)),
            false => Err(invalid),
        }
    }

    /// Logs the keys to which two sources give different values, without these.
    pub(crate) fn log_differences(&self, schema: &Schema, ratd: &Value) {
        let layers = self.layers(ratd);
        for (upper_at, (upper, upper_tree)) in layers.iter().enumerate() {
            for (lower, lower_tree) in &layers[..upper_at] {
                let mut paths = Vec::new();
                differences(lower_tree, upper_tree, &mut Vec::new(), &mut paths);
                for path in paths {
                    tracing::warn!(
                        key = schema.shown(&path),
                        used = self.origin_name(*upper, &path),
                        ignored = self.origin_name(*lower, &path),
                        "two sources of the configuration differ"
                    );
                }
            }
        }
    }

    fn layers(&self, ratd: &Value) -> [Given; 3] {
        [
            (Origin::Ratd, ratd.clone()),
            (Origin::File, self.file.clone()),
            (Origin::Environment, self.environment.clone()),
        ]
    }

    fn describe(&self, schema: &Schema, layers: &[Given], finding: Finding) -> Problem {
        let given = layers
            .iter()
            .rev()
            .find(|(_, tree)| at(tree, &finding.path).is_some());
        Problem {
            origin: given
                .map(|(origin, _)| self.origin_name(*origin, &finding.path))
                .unwrap_or_default(),
            path: schema.shown(&finding.path),
            message: finding.message,
        }
    }

    fn origin_name(&self, origin: Origin, path: &[Step]) -> String {
        match origin {
            Origin::Ratd => "ratd".to_owned(),
            Origin::File => match &self.path {
                Some(path) => path.display().to_string(),
                None => "file".to_owned(),
            },
            Origin::Environment => {
                if let Some(Step::Key(top)) = path.first()
                    && let Some((name, _)) = self.own_names.iter().find(|(_, key)| key == top)
                {
                    return format!("environment {name}");
                }
                let keys = path.iter().map_while(|step| match step {
                    Step::Key(key) => Some(key.to_uppercase()),
                    Step::Index(_) => None,
                });
                // Only the top of a variable's name is sure to be no secret.
                let first: Vec<_> = keys.take(1).collect();
                format!("environment {}{}", self.prefix, first.join("__"))
            }
        }
    }
}

/// `auth-keycloak` → `AUTH_KEYCLOAK_`.
pub(crate) fn prefix_of(name: &str) -> String {
    let mut prefix = name.to_uppercase().replace(['-', '.'], "_");
    prefix.push('_');
    prefix
}

fn problem(origin: Origin, path: Option<&Path>, message: String) -> Problem {
    let origin = match (origin, path) {
        (Origin::File, Some(path)) => path.display().to_string(),
        _ => String::new(),
    };
    Problem {
        origin,
        path: String::new(),
        message,
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

fn read_variable(
    name: &str,
    key: &str,
    text: &str,
    schema: &Schema,
    tree: &mut Value,
    problems: &mut Vec<Problem>,
) {
    let keys: Vec<_> = key.to_lowercase().split("__").map(str::to_owned).collect();
    if !schema.has_key(&keys[0]) {
        // It may be somebody else's: container platforms make variables of service names.
        tracing::warn!(name, "the environment has a variable that is no setting");
        return;
    }
    let path: Vec<_> = keys.iter().cloned().map(Step::Key).collect();
    let value = if schema.wants_string(&path) {
        Ok(Value::String(text.to_owned()))
    } else {
        serde_yaml::from_str(text)
    };
    match value {
        Ok(value) => put(tree, &keys, value),
        Err(_) => problems.push(Problem {
            origin: format!("environment {name}"),
            path: String::new(),
            message: "the value is not YAML".to_owned(),
        }),
    }
}

fn put(tree: &mut Value, keys: &[String], value: Value) {
    let mut node = tree;
    for key in keys {
        if !node.is_object() {
            *node = empty();
        }
        node = node
            .as_object_mut()
            .expect("it was made a mapping just now")
            .entry(key.clone())
            .or_insert(Value::Null);
    }
    *node = value;
}

/// Puts `upper` over `lower`: mappings key by key, anything else whole.
fn merge(lower: &mut Value, upper: &Value) {
    match (lower, upper) {
        (Value::Object(lower), Value::Object(upper)) => {
            for (key, value) in upper {
                match lower.get_mut(key) {
                    Some(below) => merge(below, value),
                    None => {
                        lower.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (lower, upper) => *lower = upper.clone(),
    }
}

fn differences(lower: &Value, upper: &Value, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    match (lower, upper) {
        (Value::Object(lower), Value::Object(upper)) => {
            for (key, value) in upper {
                if let Some(below) = lower.get(key) {
                    path.push(Step::Key(key.clone()));
                    differences(below, value, path, found);
                    path.pop();
                }
            }
        }
        (lower, upper) if lower != upper => found.push(path.clone()),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
