//! The JSON Schema of a configuration, and what it has against one.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ValidationError, Validator};
use rat_config::best_branch;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Invalid;
use crate::invalid::Problem;

/// A key that is shorter may be guessed from its beginning.
const LONG_KEY: usize = 16;

/// The schema of a configuration.
#[derive(Debug)]
pub(crate) struct Schema {
    tree: Value,
    validator: Validator,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// A mistake.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) path: Vec<Step>,
    pub(crate) message: String,
    /// A key is missing, so that another source could still bring it.
    pub(crate) is_missing: bool,
}

impl Schema {
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let tree = schemars::schema_for!(T).to_value();
        let validator =
            jsonschema::validator_for(&tree).expect("a schema derived from a type is valid");
        Self { tree, validator }
    }

    pub(crate) fn tree(&self) -> &Value {
        &self.tree
    }

    /// Everything that is wrong with `value`.
    pub(crate) fn check(&self, value: &Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        for error in self.validator.iter_errors(value) {
            self.collect(&error, &mut findings);
        }
        findings
    }

    /// `value` as what the schema describes.
    pub(crate) fn read<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Invalid> {
        let problems = self
            .check(value)
            .into_iter()
            .map(|finding| Problem {
                origin: String::new(),
                path: self.shown(&finding.path),
                message: finding.message,
            })
            .collect();
        match Invalid::from_problems(problems) {
            Some(invalid) => Err(invalid),
            None => self
                .deserialize(value)
                .map_err(|finding| Invalid::new(self.shown(&finding.path), finding.message)),
        }
    }

    /// `value`, which the schema accepts, as a type that may be more particular.
    pub(crate) fn deserialize<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Finding> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = steps_of(error.path());
            let message = without_value(&error.inner().to_string(), value, &path);
            Finding {
                path,
                message,
                is_missing: false,
            }
        })
    }

    fn collect(&self, error: &ValidationError<'_>, findings: &mut Vec<Finding>) {
        let path = path_of(error.instance_path());
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                findings.extend(unexpected.iter().map(|key| Finding {
                    path: join(&path, Step::Key(key.clone())),
                    message: self.unknown_key(&path),
                    is_missing: false,
                }));
            }
            Kind::Required { property } => findings.push(Finding {
                path: join(
                    &path,
                    Step::Key(property.as_str().unwrap_or_default().to_owned()),
                ),
                message: "is missing".to_owned(),
                is_missing: true,
            }),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                match best_branch(error.instance_path(), context) {
                    Some(errors) => errors
                        .iter()
                        .for_each(|error| self.collect(error, findings)),
                    None => findings.push(wrong_value(path, error)),
                }
            }
            _ => findings.push(wrong_value(path, error)),
        }
    }

    fn unknown_key(&self, parent: &[Step]) -> String {
        let keys = self.node(parent).map(|node| self.keys(node));
        match keys.filter(|keys| !keys.is_empty()) {
            Some(keys) => format!("unknown key; possible here: {}", keys.join(", ")),
            None => "unknown key".to_owned(),
        }
    }

    /// A path for people. Keys that the schema does not name may be secrets.
    pub(crate) fn shown(&self, path: &[Step]) -> String {
        let mut text = String::new();
        for (depth, step) in path.iter().enumerate() {
            match step {
                Step::Index(index) => text.push_str(&format!("[{index}]")),
                Step::Key(key) => {
                    if depth > 0 {
                        text.push('.');
                    }
                    let parent = self.node(&path[..depth]);
                    let is_free = parent.is_some_and(|parent| self.free(parent).is_some());
                    let is_named = parent.is_some_and(|parent| self.named(parent, key).is_some());
                    if is_free && !is_named {
                        text.push_str(&covered(key));
                    } else {
                        text.push_str(key);
                    }
                }
            }
        }
        text
    }

    /// The type that the schema wants at `path`.
    pub(crate) fn wants_string(&self, path: &[Step]) -> bool {
        self.node(path).is_some_and(|node| self.is_string(node))
    }

    /// Whether the schema names `key` at the top.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.named(&self.tree, key).is_some()
    }

    fn is_string(&self, node: &Value) -> bool {
        let node = self.resolve(node);
        let typed = match node.get("type") {
            Some(Value::Array(types)) => types.iter().any(|name| name == "string"),
            Some(name) => name == "string",
            None => false,
        };
        typed
            || node.get("enum").is_some()
            || node.get("const").is_some_and(Value::is_string)
            || branches(node).any(|branch| self.is_string(branch))
    }

    fn node(&self, path: &[Step]) -> Option<&Value> {
        path.iter().try_fold(&self.tree, |node, step| match step {
            Step::Key(key) => self.named(node, key).or_else(|| self.free(node)),
            Step::Index(_) => self.find(node, |node| node.get("items")),
        })
    }

    fn named<'a>(&'a self, node: &'a Value, key: &str) -> Option<&'a Value> {
        self.find(node, |node| node.get("properties")?.get(key))
    }

    /// The schema of the values under keys that it does not name.
    fn free<'a>(&'a self, node: &'a Value) -> Option<&'a Value> {
        self.find(node, |node| {
            node.get("additionalProperties")
                .filter(|schema| **schema != Value::Bool(false))
        })
    }

    fn find<'a>(
        &'a self,
        node: &'a Value,
        look: impl Fn(&'a Value) -> Option<&'a Value> + Copy,
    ) -> Option<&'a Value> {
        let node = self.resolve(node);
        look(node).or_else(|| branches(node).find_map(|branch| self.find(branch, look)))
    }

    fn keys<'a>(&'a self, node: &'a Value) -> Vec<&'a str> {
        let properties = self.find(node, |node| node.get("properties"));
        let keys = properties.and_then(Value::as_object);
        keys.map(|keys| keys.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    fn resolve<'a>(&'a self, node: &'a Value) -> &'a Value {
        let pointer = node
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|uri| uri.strip_prefix('#'));
        pointer
            .and_then(|pointer| self.tree.pointer(pointer))
            .unwrap_or(node)
    }
}

fn branches(node: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .filter_map(|name| node.get(name)?.as_array())
        .flatten()
}

fn wrong_value(path: Vec<Step>, error: &ValidationError<'_>) -> Finding {
    let message = match error.kind() {
        Kind::Type { kind } => format!("must be {}", type_words(kind)),
        Kind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        Kind::Enum { options } => format!("must be one of {}", words(options)),
        _ => error.masked_with("the value").to_string(),
    };
    Finding {
        path,
        message,
        is_missing: false,
    }
}

fn words(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let words: Vec<_> = options
        .iter()
        .map(|option| option.as_str().map_or(option.to_string(), str::to_owned))
        .collect();
    words.join(", ")
}

fn type_words(kind: &TypeKind) -> String {
    let names: Vec<_> = match kind {
        TypeKind::Single(one) => vec![one.to_string()],
        TypeKind::Multiple(several) => several.iter().map(|one| one.to_string()).collect(),
    };
    let words: Vec<_> = names
        .iter()
        .filter(|name| *name != "null")
        .map(|name| match name.as_str() {
            "string" => "a string",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => "a mapping",
            _ => "empty",
        })
        .collect();
    words.join(" or ")
}

fn path_of(location: &Location) -> Vec<Step> {
    location
        .segments()
        .map(|segment| match segment {
            LocationSegment::Property(key) => Step::Key(key.into_owned()),
            LocationSegment::Index(index) => Step::Index(index),
        })
        .collect()
}

fn steps_of(path: &serde_path_to_error::Path) -> Vec<Step> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn join(path: &[Step], step: Step) -> Vec<Step> {
    let mut path = path.to_vec();
    path.push(step);
    path
}

/// The value at `path`, if there is one.
pub(crate) fn at<'a>(tree: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |node, step| match step {
        Step::Key(key) => node.get(key),
        Step::Index(index) => node.get(index),
    })
}

/// A message that may quote the value at `path`, without it.
fn without_value(message: &str, tree: &Value, path: &[Step]) -> String {
    match at(tree, path) {
        Some(Value::String(text)) if !text.is_empty() => message.replace(text.as_str(), "…"),
        Some(Value::Number(number)) => message.replace(&number.to_string(), "…"),
        Some(Value::Array(_) | Value::Object(_)) => "is not possible here".to_owned(),
        _ => message.to_owned(),
    }
}

/// Enough of a key to find it, too little to use it.
fn covered(key: &str) -> String {
    let length = key.chars().count();
    if length < LONG_KEY {
        return format!("(a key of {length} characters)");
    }
    let begin: String = key.chars().take(4).collect();
    format!("({begin}…, a key of {length} characters)")
}
