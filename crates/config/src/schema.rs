//! The JSON Schema of `rat.yaml`, derived from the wire structs, and the check against it.
//!
//! The check finds every mistake in the whole tree at once. Its messages are written here and
//! not taken from the validator: they say what would be right, in the words of the operator.

mod describe;

use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::outline::Part;
use crate::problem::{Path, Segment};
use crate::text::closest;
use crate::wire;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(wire::Root).to_value());

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::validator_for(&SCHEMA).expect("the schema of our own structs is a valid schema")
});

/// The JSON Schema of `rat.yaml`, for editors and for `ratd config-schema`.
pub fn json_schema() -> Value {
    SCHEMA.clone()
}

/// A value that the schema refuses.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// The setting.
    pub(crate) path: Path,
    /// Whether its key or its value is wrong.
    pub(crate) part: Part,
    /// What is wrong and what would be right.
    pub(crate) message: String,
    /// What has to be left out so that the rest can be read.
    pub(crate) prune: Path,
}

/// Everything that the schema has against `tree`.
pub(crate) fn check(tree: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for error in VALIDATOR.iter_errors(tree) {
        collect(&error, &mut findings);
    }
    findings
}

/// The schema of the setting at `path`.
pub(crate) fn node_at(path: &Path) -> Option<&'static Value> {
    let root: &'static Value = &SCHEMA;
    path.segments().iter().try_fold(root, child)
}

/// The type of the setting at `path`.
pub(crate) fn type_at(path: &Path) -> Option<&'static str> {
    node_at(path).and_then(describe::type_of)
}

/// Names of the settings' sections.
pub(crate) fn sections() -> impl Iterator<Item = &'static str> {
    describe::keys(&SCHEMA).into_iter()
}

fn collect(error: &ValidationError<'_>, findings: &mut Vec<Finding>) {
    let path = path_of(error.instance_path());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            findings.extend(unexpected.iter().map(|key| unknown_key(&path, key)));
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let message = format!("the key `{key}` is missing");
            findings.push(Finding {
                prune: path.clone(),
                path,
                part: Part::Key,
                message,
            });
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            match best_branch(error.instance_path(), context) {
                Some(errors) => errors.iter().for_each(|error| collect(error, findings)),
                None => findings.push(wrong_value(path, error)),
            }
        }
        _ => findings.push(wrong_value(path, error)),
    }
}

/// The only branch of an alternative (`anyOf`, `oneOf`) at `at` that the value was meant for, judged
/// by its type; `context` has the errors of each branch.
pub fn best_branch<'a>(
    at: &Location,
    context: &'a [Vec<ValidationError<'static>>],
) -> Option<&'a Vec<ValidationError<'static>>> {
    let of_another_type = |error: &ValidationError<'_>| {
        error.instance_path() == at
            && matches!(
                error.kind(),
                Kind::Type { .. } | Kind::Enum { .. } | Kind::Constant { .. }
            )
    };
    let mut fitting = context
        .iter()
        .filter(|errors| !errors.iter().any(of_another_type));
    fitting.next().filter(|_| fitting.next().is_none())
}

fn wrong_value(path: Path, error: &ValidationError<'_>) -> Finding {
    let node = node_at(&path);
    let value = error.instance();
    let message = match (error.kind(), node) {
        (Kind::MinLength { .. }, _) => "must not be empty".to_owned(),
        (Kind::MaxLength { limit }, _) => format!("must have at most {limit} characters"),
        (Kind::MaxItems { limit }, _) => format!("must have at most {limit} items"),
        (_, Some(node)) => describe::mismatch(node, value),
        (_, None) => format!("is not possible here: {}", describe::found(value)),
    };
    let prune = prunable(&path);
    Finding {
        path,
        part: Part::Value,
        message,
        prune,
    }
}

/// A list is left out as a whole, and a mapping whose required key is wrong as well.
fn prunable(path: &Path) -> Path {
    let segments = path.segments();
    let list = segments
        .iter()
        .position(|segment| matches!(segment, Segment::Index(_)));
    let mut length = list.unwrap_or(segments.len());
    while let Some(Segment::Key(key)) = length.checked_sub(1).and_then(|last| segments.get(last)) {
        let parent = node_at(&path.prefix(length - 1));
        if !parent.is_some_and(|parent| describe::requires(parent, key)) {
            break;
        }
        length -= 1;
    }
    path.prefix(length)
}

fn unknown_key(parent: &Path, key: &str) -> Finding {
    let known = node_at(parent).map(describe::keys).unwrap_or_default();
    let meant = match closest(key, known.iter().copied()) {
        Some(meant) => vec![meant.to_owned()],
        None => settings_named(key),
    };
    let message = match meant.is_empty() {
        true => format!("unknown key; possible here: {}", known.join(", ")),
        false => format!("unknown key; did you mean `{}`?", meant.join("` or `")),
    };
    let path = parent.key(key);
    Finding {
        prune: path.clone(),
        path,
        part: Part::Key,
        message,
    }
}

/// Settings of this name in any section.
fn settings_named(key: &str) -> Vec<String> {
    let settings = describe::settings()
        .into_iter()
        .filter(|setting| ends_with(setting, key));
    settings.map(|setting| setting.to_string()).collect()
}

fn ends_with(setting: &Path, key: &str) -> bool {
    matches!(setting.segments().last(), Some(Segment::Key(last)) if last == key)
}

fn path_of(location: &Location) -> Path {
    location
        .segments()
        .fold(Path::default(), |path, segment| match segment {
            LocationSegment::Property(key) => path.key(&key),
            LocationSegment::Index(index) => path.index(index),
        })
}

fn child(node: &'static Value, segment: &Segment) -> Option<&'static Value> {
    let here = resolve(node);
    let direct = match segment {
        Segment::Key(key) => here
            .get("properties")
            .and_then(|properties| properties.get(key)),
        Segment::Index(_) => here.get("items"),
    };
    direct.or_else(|| {
        branches(here)
            .iter()
            .find_map(|branch| child(branch, segment))
    })
}

/// `node`, or what its `$ref` names.
fn resolve(node: &'static Value) -> &'static Value {
    let pointer = node
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|uri| uri.strip_prefix('#'));
    pointer
        .and_then(|pointer| SCHEMA.pointer(pointer))
        .unwrap_or(node)
}

/// The alternatives of `node`.
fn branches(node: &'static Value) -> &'static [Value] {
    let list = node
        .get("anyOf")
        .or_else(|| node.get("oneOf"))
        .and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}
