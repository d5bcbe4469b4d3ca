//! Words for what the schema asks for.

use serde_json::Value;

use super::{SCHEMA, branches, resolve};
use crate::problem::Path;
use crate::text::{closest, quoted};
use crate::wire::EXPECTED;

/// "must be …, not …".
pub(super) fn mismatch(node: &'static Value, value: &Value) -> String {
    let expected = expected(node).unwrap_or_else(|| "something else".to_owned());
    let meant = value.as_str().and_then(|word| closest(word, words(node)));
    let meant = meant
        .map(|meant| format!("; did you mean {meant}?"))
        .unwrap_or_default();
    // A text in the place of a mapping or a list may be the very secret that belongs into it.
    let collection = matches!(type_of(node), Some("object" | "array"));
    let found = match collection && value.is_string() {
        true => "a text".to_owned(),
        false => found(value),
    };
    format!("must be {expected}, not {found}{meant}")
}

/// What a value is, in a few words.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "an empty value".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// What should stand at `node`.
pub(crate) fn expected(node: &'static Value) -> Option<String> {
    if let Some(text) = node.get(EXPECTED).and_then(Value::as_str) {
        return Some(text.to_owned());
    }
    let words = words(node);
    let here = resolve(node);
    match words.as_slice() {
        [] => {}
        [word] if branches(here).is_empty() => return Some((*word).to_owned()),
        words if branches(here).is_empty() => return Some(format!("one of {}", words.join(", "))),
        _ => {}
    }
    let alternatives: Vec<_> = branches(here).iter().filter_map(expected).collect();
    if !alternatives.is_empty() {
        return Some(alternatives.join(" or "));
    }
    match type_of(here)? {
        "string" => Some("a string".to_owned()),
        "integer" => Some(whole_number(here)),
        "boolean" => Some("true or false".to_owned()),
        "array" => Some(list(here)),
        "object" => Some("a mapping".to_owned()),
        _ => None,
    }
}

/// The keys that a mapping at `node` may have, sorted.
pub(super) fn keys(node: &'static Value) -> Vec<&'static str> {
    let here = resolve(node);
    let mut keys: Vec<_> = match here.get("properties").and_then(Value::as_object) {
        Some(properties) => properties.keys().map(String::as_str).collect(),
        None => branches(here).iter().flat_map(keys).collect(),
    };
    keys.sort_unstable();
    keys
}

/// Whether a mapping at `node` must have `key`.
pub(super) fn requires(node: &'static Value, key: &str) -> bool {
    let required = resolve(node).get("required").and_then(Value::as_array);
    required.is_some_and(|keys| keys.iter().any(|required| required == key))
}

/// Every setting outside `plugins` that has a value of its own.
pub(crate) fn settings() -> Vec<Path> {
    let section = |section: &'static str| {
        let path = Path::default().key(section);
        let keys = super::node_at(&path).map(keys).unwrap_or_default();
        keys.into_iter().map(move |key| path.key(key))
    };
    keys(&SCHEMA)
        .into_iter()
        .filter(|name| *name != "plugins")
        .flat_map(section)
        .collect()
}

/// The type at `node`, leaving out `null`.
pub(crate) fn type_of(node: &'static Value) -> Option<&'static str> {
    match resolve(node).get("type")? {
        Value::Array(types) => types
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null"),
        name => name.as_str(),
    }
}

/// The words that may stand at `node`.
fn words(node: &'static Value) -> Vec<&'static str> {
    let here = resolve(node);
    let listed = here
        .get("enum")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let own = listed
        .iter()
        .chain(here.get("const"))
        .filter_map(Value::as_str);
    own.chain(branches(here).iter().flat_map(words)).collect()
}

fn whole_number(node: &Value) -> String {
    match (node.get("minimum"), node.get("maximum")) {
        (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
        _ => "a whole number".to_owned(),
    }
}

fn list(node: &'static Value) -> String {
    let item = node.get("items").and_then(expected);
    item.map_or_else(
        || "a list".to_owned(),
        |item| format!("a list, each item {item}"),
    )
}
