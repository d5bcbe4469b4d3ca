//! The root example and `docs/reference/configuration.md` against the schema.
//!
//! `UPDATE_EXPECT=1 cargo test -p rat-config` writes the generated parts of the reference anew.

use std::fmt::Write;

use expect_test::expect_file;
use rat_config::{ENVIRONMENT, READ_ELSEWHERE, json_schema};
use serde_json::Value;

use crate::support::example_uncommented;

const REFERENCE: &str = include_str!("../../../../docs/reference/configuration.md");

/// What `node` refers to.
fn resolve<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let Some(uri) = node["$ref"].as_str() else {
        return node;
    };
    schema.pointer(uri.trim_start_matches('#')).unwrap()
}

/// The keys of a mapping at `node`, sorted, also where it is one of two alternatives.
fn properties<'a>(schema: &'a Value, node: &'a Value) -> Vec<(&'a String, &'a Value)> {
    let here = resolve(schema, node);
    let mut found: Vec<_> = match here["properties"].as_object() {
        Some(properties) => properties.iter().collect(),
        None => {
            let branches = here["anyOf"].as_array().into_iter().flatten();
            branches
                .flat_map(|branch| properties(schema, branch))
                .collect()
        }
    };
    found.sort_by_key(|(key, _)| *key);
    found
}

fn walk(schema: &Value, node: &Value, path: &str, paths: &mut Vec<String>) {
    for (key, child) in properties(schema, node) {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        // One plugin stands for all of them.
        let other_slot = path.starts_with("plugins.") && !path.starts_with("plugins.auth");
        paths.push(path.clone());
        if !other_slot {
            walk(schema, child, &path, paths);
        }
    }
}

#[test]
fn the_root_example_names_every_key() {
    let schema = json_schema();
    let mut paths = Vec::new();
    walk(&schema, &schema, "", &mut paths);
    assert!(paths.len() > 60, "the walk found only {paths:?}");
    let example: Value = serde_yaml::from_str(&example_uncommented()).unwrap();
    for path in paths {
        let pointer = format!("/{}", path.replace('.', "/"));
        assert!(
            example.pointer(&pointer).is_some(),
            "rat.yaml does not name {path}"
        );
    }
}

#[test]
fn the_reference_is_up_to_date() {
    let text = replace(REFERENCE, "settings", &settings());
    let text = replace(&text, "environment", &environment());
    expect_file!["../../../../docs/reference/configuration.md"].assert_eq(&text);
}

/// `text` with other content between the markers of `part`.
fn replace(text: &str, part: &str, content: &str) -> String {
    let (start, end) = (
        format!("<!-- {part}: generated -->\n"),
        format!("<!-- end of {part} -->\n"),
    );
    let from = text.find(&start).expect("the start marker is there") + start.len();
    let to = text.find(&end).expect("the end marker is there");
    format!("{}\n{content}\n{}", &text[..from], &text[to..])
}

fn settings() -> String {
    let schema = json_schema();
    let mut text = String::new();
    for section in [
        "server",
        "auth",
        "database",
        "storage",
        "catalog",
        "runner",
        "ratq",
        "scheduler",
        "plugin_health",
        "log",
    ] {
        let node = &schema["properties"][section];
        mapping(&schema, node, section, &mut text);
    }
    let plugins = &schema["properties"]["plugins"];
    mapping(&schema, plugins, "plugins", &mut text);
    let plugin = &schema["$defs"]["Plugin"];
    mapping(&schema, plugin, "plugins.<slot>", &mut text);
    mapping(
        &schema,
        &plugin["properties"]["tls"],
        "plugins.<slot>.tls",
        &mut text,
    );
    text.trim_end().to_owned() + "\n"
}

fn mapping(schema: &Value, node: &Value, path: &str, text: &mut String) {
    let (about, _, _) = described(node);
    writeln!(
        text,
        "### `{path}`\n\n{about}\n\n| Key | Default | Meaning |\n|---|---|---|"
    )
    .unwrap();
    let mut nested = Vec::new();
    for (key, child) in properties(schema, node) {
        let (about, default, _) = described(child);
        writeln!(text, "| `{key}` | {default} | {about} |").unwrap();
        if key == "rate_limit" {
            nested.push((key, child));
        }
    }
    writeln!(text).unwrap();
    for (key, child) in nested {
        mapping(schema, child, &format!("{path}.{key}"), text);
    }
}

/// Meaning, default and since when, out of a description.
fn described(node: &Value) -> (String, String, String) {
    let text = node["description"].as_str().unwrap_or_default();
    let text = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|");
    let (text, since) = text.rsplit_once(" Since ").unwrap_or((&text, ""));
    let (about, default) = match text.split_once(" Default: ") {
        Some((about, default)) => (about, default.trim_end_matches('.')),
        None if text.ends_with(" Required.") => (text.trim_end_matches(" Required."), "required"),
        None => (text, ""),
    };
    (about.to_owned(), default.to_owned(), since.to_owned())
}

fn environment() -> String {
    let mut text = "| Variable | Setting |\n|---|---|\n".to_owned();
    for variable in ENVIRONMENT {
        writeln!(text, "| `{}` | `{}` |", variable.name, variable.setting).unwrap();
    }
    text.push_str("\nRead elsewhere, and not a setting:\n\n| Variable | Meaning |\n|---|---|\n");
    for (name, meaning) in READ_ELSEWHERE {
        writeln!(text, "| `{name}` | {meaning} |").unwrap();
    }
    text
}
