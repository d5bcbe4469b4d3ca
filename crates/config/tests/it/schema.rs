//! The JSON Schema itself.

use rat_config::json_schema;
use serde_json::Value;

/// Every schema of a mapping, with its JSON pointer.
fn mappings(node: &Value, pointer: &str, found: &mut Vec<(String, Value)>) {
    match node {
        Value::Object(map) => {
            let types = &map.get("type").cloned().unwrap_or_default();
            let is_mapping = types == "object"
                || types
                    .as_array()
                    .is_some_and(|types| types.iter().any(|name| name == "object"));
            if is_mapping || map.get("properties").is_some_and(Value::is_object) {
                found.push((pointer.to_owned(), node.clone()));
            }
            for (key, value) in map.iter().filter(|(key, _)| *key != "default") {
                mappings(value, &format!("{pointer}/{key}"), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                mappings(value, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn unknown_keys_are_refused_everywhere_but_in_a_plugins_own_settings() {
    let mut found = Vec::new();
    mappings(&json_schema(), "", &mut found);
    let open: Vec<_> = found
        .iter()
        .filter(|(_, node)| node.get("additionalProperties") != Some(&Value::Bool(false)))
        .map(|(pointer, _)| pointer.as_str())
        .collect();
    assert_eq!(open, ["/$defs/Plugin/properties/config"]);
    assert!(
        found.len() >= 14,
        "the walk found only {} mappings",
        found.len()
    );
}

#[test]
fn every_key_is_documented_with_its_default() {
    let schema = json_schema();
    let mut found = Vec::new();
    mappings(&schema, "", &mut found);
    for (pointer, mapping) in found {
        let Some(properties) = mapping["properties"].as_object() else {
            continue;
        };
        for (key, node) in properties {
            let place = format!("{pointer}/{key}");
            let text = node["description"]
                .as_str()
                .unwrap_or_default()
                .replace('\n', " ");
            assert!(text.ends_with("Since v0.1."), "{place}: {text}");
            if pointer.is_empty() {
                continue;
            }
            let required = mapping["required"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|name| name == key);
            let said = text.split_once("Default: ").map(|(_, rest)| rest);
            match (required, said) {
                (true, None) => assert!(text.contains("Required."), "{place}: {text}"),
                (false, Some(said)) => {
                    let default = default_of(node);
                    assert!(
                        said.starts_with(&default),
                        "{place}: {said:?} is not {default}"
                    );
                }
                _ => panic!("{place}: {text}"),
            }
        }
    }
}

/// The default as the documentation writes it.
fn default_of(node: &Value) -> String {
    let shown = match node.get("default") {
        None if node.get("$ref").is_some() => return "not set".to_owned(),
        None => "null".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) if !map.is_empty() => {
            return "`{requests_per_second: 50, burst: 100}`".to_owned();
        }
        Some(value) => value.to_string(),
    };
    format!("`{shown}`")
}
