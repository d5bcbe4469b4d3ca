//! Settings of a pipeline: `config.yaml`, overridden field by field by annotations.
//!
//! A setting that this version does not implement is refused by name. It would be easy to accept
//! it and go on, and the pipeline would then do something else than its author wrote down: a
//! merge silently turned into an overwrite destroys history.

use std::collections::BTreeMap;

use rat_types::MergeStrategy;
use serde_yaml::Value;

use crate::annotation::{self, Annotation};
use crate::problem::Problem;
use crate::suggest;

/// Characters that a description may have.
pub const MAX_DESCRIPTION_CHARS: usize = 5_000;

pub(crate) const CONFIG_FILE: &str = "config.yaml";
const MAX_CONFIG_BYTES: usize = 64 * 1024;
const MAX_CONFIG_DEPTH: usize = 64;

const SUPPORTED: &[&str] = &["description", "materialized", "merge_strategy"];

/// Settings that have a meaning elsewhere and none here, with what to do about it.
const REFUSED: &[(&str, &str)] = &[
    ("archive_landing_zones", "landing files stay where they are"),
    ("max_retries", "start the run again instead"),
    ("partition_by", "tables are not partitioned"),
    ("partition_column", "tables are not partitioned"),
    ("retry_delay_seconds", "start the run again instead"),
    ("scd_valid_from", "it belongs to the scd2 strategy"),
    ("scd_valid_to", "it belongs to the scd2 strategy"),
    ("unique_key", "it belongs to merging strategies"),
    ("watermark_column", "it belongs to the incremental strategy"),
];

const REFUSED_STRATEGIES: &[&str] = &["delete_insert", "incremental", "scd2", "snapshot"];

/// How a pipeline wants to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the table is, for people; empty where nothing was said.
    pub description: String,
    /// How the result becomes the table's new content; `full_refresh` where nothing was said.
    pub merge_strategy: MergeStrategy,
}

/// A value and where it stands.
struct Given {
    value: Value,
    file: String,
    line: Option<usize>,
}

impl Given {
    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(&self.file, self.line, message)
    }
}

/// Reads both places and puts every problem into `problems`.
pub(crate) fn read(
    sql_file: &str,
    sql: &str,
    config: Option<&str>,
    problems: &mut Vec<Problem>,
) -> Settings {
    let mut given = config
        .map(|text| read_yaml(text, problems))
        .unwrap_or_default();
    let known: Vec<&str> = known_keys().collect();
    for Annotation { key, value, line } in annotation::parse(sql_file, sql, &known, problems) {
        let place = Given {
            value: Value::String(value),
            file: sql_file.to_owned(),
            line: Some(line),
        };
        given.insert(key, place);
    }
    for (key, reason) in REFUSED {
        if let Some(given) = given.get(*key) {
            let message = format!("`{key}` is not supported by this version: {reason}");
            problems.push(given.problem(message));
        }
    }
    check_materialized(given.get("materialized"), problems);
    Settings {
        description: description(given.get("description"), problems),
        merge_strategy: merge_strategy(given.get("merge_strategy"), problems),
    }
}

fn known_keys() -> impl Iterator<Item = &'static str> {
    SUPPORTED
        .iter()
        .copied()
        .chain(REFUSED.iter().map(|(key, _)| *key))
}

/// The line in which too many brackets are open, those within texts included: the parser takes
/// time for each of them, again and again.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut is_too_deep = |char| {
        match char {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_CONFIG_DEPTH
    };
    let at = text
        .lines()
        .position(|line| line.chars().any(&mut is_too_deep));
    at.map(|line| line + 1)
}

fn read_yaml(text: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, Given> {
    let mut fail = |line, message: String| problems.push(Problem::new(CONFIG_FILE, line, message));
    if text.len() > MAX_CONFIG_BYTES {
        fail(
            None,
            format!(
                "the file has {} bytes, at most {MAX_CONFIG_BYTES} are allowed",
                text.len()
            ),
        );
        return BTreeMap::new();
    }
    if let Some(line) = too_deep(text) {
        let message = format!("values are nested more than {MAX_CONFIG_DEPTH} levels deep");
        fail(Some(line), message);
        return BTreeMap::new();
    }
    let mapping = match serde_yaml::from_str(text) {
        Ok(Value::Mapping(mapping)) => mapping,
        Ok(Value::Null) => return BTreeMap::new(),
        Ok(_) => {
            fail(
                Some(1),
                "the file must contain a mapping, `key: value`".to_owned(),
            );
            return BTreeMap::new();
        }
        Err(error) => {
            let line = error.location().map(|location| location.line());
            fail(line, format!("this is not valid YAML: {error}"));
            return BTreeMap::new();
        }
    };
    let mut given = BTreeMap::new();
    for (key, value) in mapping {
        let Value::String(key) = key else {
            fail(None, "every key must be a word".to_owned());
            continue;
        };
        let line = line_of(text, &key);
        if !known_keys().any(|known| known == key) {
            fail(
                line,
                format!("unknown key `{key}`{}", suggest::hint(&key, known_keys())),
            );
        } else if !value.is_null() {
            given.insert(
                key,
                Given {
                    value,
                    file: CONFIG_FILE.to_owned(),
                    line,
                },
            );
        }
    }
    given
}

/// The line on which a top-level key stands: the parser tells positions of errors only.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let starts = |line: &str| {
        let line = line.trim_start_matches(['"', '\'', '{', ' ']);
        let rest = line.strip_prefix(key)?;
        Some(
            rest.trim_start_matches(['"', '\''])
                .trim_start()
                .starts_with(':'),
        )
    };
    text.lines()
        .position(|line| starts(line) == Some(true))
        .map(|index| index + 1)
}

fn text_of<'a>(
    key: &str,
    given: Option<&'a Given>,
    problems: &mut Vec<Problem>,
) -> Option<(&'a str, &'a Given)> {
    let given = given?;
    match given.value.as_str() {
        Some(text) => Some((text, given)),
        None => {
            problems.push(given.problem(format!("`{key}` must be text")));
            None
        }
    }
}

fn description(given: Option<&Given>, problems: &mut Vec<Problem>) -> String {
    let Some((text, given)) = text_of("description", given, problems) else {
        return String::new();
    };
    let length = text.chars().count();
    if length > MAX_DESCRIPTION_CHARS {
        problems.push(given.problem(format!(
            "`description` has {length} characters, at most {MAX_DESCRIPTION_CHARS} are allowed"
        )));
    }
    text.to_owned()
}

fn check_materialized(given: Option<&Given>, problems: &mut Vec<Problem>) {
    let Some((text, given)) = text_of("materialized", given, problems) else {
        return;
    };
    let message = match text {
        "table" => return,
        "view" => "`materialized: view` is not supported by this version, only `table`".to_owned(),
        other => format!("`materialized` must be `table`, not `{}`", shorten(other)),
    };
    problems.push(given.problem(message));
}

fn merge_strategy(given: Option<&Given>, problems: &mut Vec<Problem>) -> MergeStrategy {
    let Some((text, given)) = text_of("merge_strategy", given, problems) else {
        return MergeStrategy::FullRefresh;
    };
    if let Ok(strategy) = text.parse() {
        return strategy;
    }
    let names = || MergeStrategy::ALL.iter().map(MergeStrategy::as_str);
    let choice = names()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" or ");
    let message = if REFUSED_STRATEGIES.contains(&text) {
        format!("merge_strategy `{text}` is not supported by this version, use {choice}")
    } else {
        let hint = suggest::hint(text, names());
        format!(
            "merge_strategy must be {choice}, not `{}`{hint}",
            shorten(text)
        )
    };
    problems.push(given.problem(message));
    MergeStrategy::FullRefresh
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn read(sql: &str, config: &str) -> (Settings, Vec<Problem>) {
        let mut problems = Vec::new();
        let settings = super::read("pipeline.sql", sql, Some(config), &mut problems);
        (settings, problems)
    }

    fn complaints(sql: &str, config: &str, expected: &Expect) {
        let (_, problems) = read(sql, config);
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn nothing_said_means_full_refresh() {
        for config in ["", "# only a comment\n", "merge_strategy:\n"] {
            let (settings, problems) = read("SELECT 1", config);
            assert_eq!(problems, []);
            assert_eq!(settings.merge_strategy, MergeStrategy::FullRefresh);
        }
    }

    #[test]
    fn annotations_override_yaml_field_by_field() {
        let (settings, problems) = read(
            "-- @merge_strategy: append_only\nSELECT 1",
            "description: Orders\nmerge_strategy: full_refresh\nmaterialized: table\n",
        );
        assert_eq!(problems, []);
        assert_eq!(settings.merge_strategy, MergeStrategy::AppendOnly);
        assert_eq!(settings.description, "Orders");
    }

    #[test]
    fn every_problem_is_reported_with_its_line() {
        complaints(
            "-- @merge_strategy: scd2\n-- @materialised: table\nSELECT 1",
            "materialized: view\ndescription: 7\nunique_key: [a, b]\npartition_by:\n  - column: d\nmerge_stratgy: append_only\n",
            &expect![[r#"
                config.yaml:6: unknown key `merge_stratgy`, did you mean `merge_strategy`?
                pipeline.sql:2: unknown annotation `@materialised`, did you mean `materialized`?
                config.yaml:4: `partition_by` is not supported by this version: tables are not partitioned
                config.yaml:3: `unique_key` is not supported by this version: it belongs to merging strategies
                config.yaml:1: `materialized: view` is not supported by this version, only `table`
                config.yaml:2: `description` must be text
                pipeline.sql:1: merge_strategy `scd2` is not supported by this version, use `full_refresh` or `append_only`"#]],
        );
    }

    #[test]
    fn broken_yaml_names_the_line() {
        let (_, problems) = read("SELECT 1", "description: ok\nmerge_strategy: [\n");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].line.is_some());
        let (_, problems) = read("SELECT 1", "- a\n- b\n");
        assert!(problems[0].message.contains("mapping"));
    }

    /// The parser's own limit is looked at after it has spent seconds on such a text.
    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        let text = format!("description: ok\nmerge_strategy: {}", "[".repeat(50_000));
        let (_, problems) = read("SELECT 1", &text);
        assert_eq!(
            problems[0].to_string(),
            "config.yaml:2: values are nested more than 64 levels deep"
        );
        let (_, problems) = read("SELECT 1", &format!("description: '{}'", "[x]".repeat(100)));
        assert_eq!(problems, []);
    }

    #[test]
    fn an_endless_description_is_refused() {
        let (_, problems) = read("SELECT 1", &format!("description: {}", "x".repeat(5_001)));
        assert!(
            problems[0].message.contains("5001 characters"),
            "{}",
            problems[0]
        );
    }
}
