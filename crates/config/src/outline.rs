//! The outline of a YAML text: where each key and value stands, without their meaning.
//!
//! The values themselves come from `serde_yaml`, which keeps no positions. This pass runs first
//! and refuses what could hurt the second one or could be read in two ways: deep nesting,
//! aliases that multiply, keys that are not strings, keys given twice, several documents, tags.

mod builder;

use std::collections::BTreeMap;

use serde_json::Value;

use builder::Builder;

use crate::problem::{Path, Position, Segment};

/// A fault in the structure of the text.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) position: Position,
    pub(crate) path: Path,
    pub(crate) message: String,
}

/// Which part of an entry is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
}

/// Where everything stands.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    nodes: Vec<Node>,
    root: Option<usize>,
    /// Keys given twice: worth reporting together with what else is wrong.
    pub(crate) duplicates: Vec<Fault>,
}

#[derive(Debug)]
struct Node {
    content: Content,
    /// Number of values in it, aliases expanded.
    values: usize,
    /// Levels of nesting in it.
    height: usize,
    complete: bool,
}

#[derive(Debug)]
enum Content {
    Scalar { empty: bool },
    Sequence(Vec<Item>),
    Mapping(BTreeMap<String, Entry>),
}

#[derive(Debug)]
struct Item {
    at: Position,
    node: usize,
}

#[derive(Debug)]
struct Entry {
    key_at: Position,
    value: Item,
}

impl Outline {
    /// Reads `text`.
    ///
    /// # Errors
    /// What makes the text unusable, in the order of the text.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        Builder::default().build(text)
    }

    /// Whether the text says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Where the value at `path` stands; `None` where there is no such value.
    pub(crate) fn locate(&self, path: &Path, part: Part) -> Option<Position> {
        let mut node = self.root?;
        let mut found = Position { line: 1, column: 1 };
        for segment in path.segments() {
            let (position, next) = match (&self.nodes[node].content, segment) {
                (Content::Mapping(entries), Segment::Key(key)) => match entries.get(key) {
                    Some(entry) => (self.show(entry, part), entry.value.node),
                    None => return None,
                },
                (Content::Sequence(items), Segment::Index(index)) => match items.get(*index) {
                    Some(item) => (item.at, item.node),
                    None => return None,
                },
                _ => return None,
            };
            found = position;
            node = next;
        }
        Some(found)
    }

    /// Whether `tree` has the shape that was seen here. Where two parsers disagree, positions
    /// would be wrong, and so might be what the author meant.
    pub(crate) fn matches(&self, tree: &Value) -> bool {
        self.root.is_some_and(|root| self.node_matches(root, tree))
    }

    fn node_matches(&self, node: usize, value: &Value) -> bool {
        match (&self.nodes[node].content, value) {
            (Content::Mapping(entries), Value::Object(map)) => {
                let matches = |(key, entry): (&String, &Entry)| {
                    map.get(key)
                        .is_some_and(|value| self.node_matches(entry.value.node, value))
                };
                entries.len() == map.len() && entries.iter().all(matches)
            }
            (Content::Sequence(items), Value::Array(list)) => {
                let mut pairs = items.iter().zip(list);
                items.len() == list.len()
                    && pairs.all(|(item, value)| self.node_matches(item.node, value))
            }
            (Content::Scalar { .. }, value) => !value.is_object() && !value.is_array(),
            _ => false,
        }
    }

    /// A scalar is shown where it stands, everything else at its key.
    fn show(&self, entry: &Entry, part: Part) -> Position {
        match (&self.nodes[entry.value.node].content, part) {
            (Content::Scalar { empty: false }, Part::Value) => entry.value.at,
            _ => entry.key_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(text: &str) -> String {
        let faults = Outline::parse(text).expect_err("the text is refused");
        let shown = faults.iter().map(|fault| {
            let Position { line, column } = fault.position;
            format!("{line}:{column} {} {}", fault.path, fault.message)
        });
        shown.collect::<Vec<_>>().join("\n")
    }

    fn place(text: &str, path: Path, part: Part) -> (usize, usize) {
        let found = Outline::parse(text).unwrap().locate(&path, part).unwrap();
        (found.line, found.column)
    }

    #[test]
    fn keys_and_values_are_found() {
        let text = "a:\n  b: [1, 2]\n  c: &x {d: 5}\n  e: *x\n  f:\n";
        let path = Path::dotted;
        assert_eq!(place(text, path("a.b").index(1), Part::Value), (2, 10));
        assert_eq!(place(text, path("a.b"), Part::Value), (2, 3));
        assert_eq!(place(text, path("a.c.d"), Part::Key), (3, 10));
        assert_eq!(place(text, path("a.c.d"), Part::Value), (3, 13));
        assert_eq!(place(text, path("a.f"), Part::Value), (5, 3));
        assert!(
            Outline::parse(text)
                .unwrap()
                .locate(&path("a.nothing"), Part::Value)
                .is_none()
        );
    }

    #[test]
    fn nesting_is_bounded() {
        // Here the scanner, which looks ahead, is the first to give up.
        let scanned = fault_of(&format!("a:\n  b: {}", "[".repeat(100_000)));
        assert_eq!(scanned, "2:261 a.b[0] nested more than 64 levels deep");
        let parsed = fault_of(&format!("a:\n  b: {}", "[".repeat(70)));
        assert_eq!(parsed, "2:68 a.b[0] nested more than 64 levels deep");
        let deep = "- ".repeat(100_000);
        assert!(fault_of(&deep).contains("nested more than 64 levels"));
        let fits = format!("{}1{}", "[".repeat(60), "]".repeat(60));
        assert!(Outline::parse(&fits).is_ok());
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, before) in ["b", "c", "d", "e", "f"]
            .iter()
            .zip(["a", "b", "c", "d", "e"])
        {
            let list = vec![format!("*{before}"); 10].join(", ");
            text.push_str(&format!("{name}: &{name} [{list}]\n"));
        }
        assert!(
            fault_of(&text).contains("holds more than 50000 values"),
            "{}",
            fault_of(&text)
        );
    }

    #[test]
    fn an_alias_of_its_own_parent_is_refused() {
        assert!(fault_of("a: &a [*a]").contains("cannot stand within what it repeats"));
        assert!(fault_of("a: &a {b: *a}").contains("cannot stand within what it repeats"));
    }

    #[test]
    fn deep_nesting_through_aliases_is_refused() {
        let half = |inner: &str| format!("{}{inner}{}", "[".repeat(40), "]".repeat(40));
        let text = format!("a: &a {}\nb: {}\n", half("1"), half("*a"));
        assert!(
            fault_of(&text).contains("nested more than 64 levels"),
            "{}",
            fault_of(&text)
        );
    }
}
