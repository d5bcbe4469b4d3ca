//! The outline of a YAML text: where each key and value stands, without their meaning.
//!
//! The values themselves come from `serde_yaml`, which keeps no positions. This pass runs first
//! and refuses what could hurt the second one or could be read in two ways: deep nesting,
//! aliases that multiply, keys that are not strings, keys given twice, several documents, tags.
//! It pulls events one by one and never recurses.

use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::problem::{Path, Position, Segment};

/// The deepest nesting; settings need seven levels, a plugin's own ones perhaps a few more.
const MAX_DEPTH: usize = 64;
/// The largest number of values, counting what aliases stand for.
const MAX_VALUES: usize = 50_000;

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
        let mut builder = Builder::default();
        let stopped = builder.read(text).err();
        builder.faults.extend(stopped);
        if builder.faults.is_empty() {
            Ok(builder.outline)
        } else {
            Err(builder.faults)
        }
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

    /// A scalar is shown where it stands, everything else at its key.
    fn show(&self, entry: &Entry, part: Part) -> Position {
        match (&self.nodes[entry.value.node].content, part) {
            (Content::Scalar { empty: false }, Part::Value) => entry.value.at,
            _ => entry.key_at,
        }
    }
}

/// A collection that is being read.
struct Frame {
    node: usize,
    /// In a mapping: the key whose value comes next.
    key: Option<(String, Position)>,
    at: Position,
}

#[derive(Default)]
struct Builder {
    outline: Outline,
    faults: Vec<Fault>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, usize>,
    documents: usize,
}

impl Builder {
    fn read(&mut self, text: &str) -> Result<(), Fault> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| Fault {
                position: position(error.marker()),
                path: Path::default(),
                message: format!("not valid YAML: {}", error.info()),
            })?;
            self.accept(event, position(&span.start))?;
        }
        Ok(())
    }

    fn accept(&mut self, event: Event<'_>, at: Position) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second document starts here; write all settings into one";
                    return Err(self.fault(at, message));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_deref(), at);
                if self.expects_key() {
                    self.check_key(&text, style, tag.is_some(), at);
                    return self.open_entry(text.into_owned(), at);
                }
                let empty = text.is_empty() && style == ScalarStyle::Plain;
                let node = self.add(Content::Scalar { empty }, anchor);
                self.outline.nodes[node].complete = true;
                self.attach(node, at)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(Content::Sequence(Vec::new()), anchor, tag.as_deref(), at)
            }
            Event::MappingStart(anchor, tag) => self.open(
                Content::Mapping(BTreeMap::new()),
                anchor,
                tag.as_deref(),
                at,
            ),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.resolve(anchor, at),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn add(&mut self, content: Content, anchor: usize) -> usize {
        let node = self.outline.nodes.len();
        self.outline.nodes.push(Node {
            content,
            values: 1,
            height: 1,
            complete: false,
        });
        if anchor > 0 {
            self.anchors.insert(anchor, node);
        }
        node
    }

    fn open(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), Fault> {
        self.check_tag(tag, at);
        if self.expects_key() {
            return Err(self.fault(at, "a key must be a string, not a list or a mapping"));
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        let node = self.add(content, anchor);
        self.frames.push(Frame {
            node,
            key: None,
            at,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        self.outline.nodes[frame.node].complete = true;
        self.attach(frame.node, frame.at)
    }

    fn resolve(&mut self, anchor: usize, at: Position) -> Result<(), Fault> {
        if self.expects_key() {
            return Err(self.fault(at, "a key must be a string, not an alias"));
        }
        match self.anchors.get(&anchor) {
            Some(&node) if self.outline.nodes[node].complete => self.attach(node, at),
            _ => Err(self.fault(at, "an alias cannot stand within what it repeats")),
        }
    }

    /// Puts a complete `node` into the collection that is being read.
    fn attach(&mut self, node: usize, at: Position) -> Result<(), Fault> {
        let Node { values, height, .. } = self.outline.nodes[node];
        if self.frames.len() + height > MAX_DEPTH + 1 {
            return Err(self.too_deep(at));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.outline.root = Some(node);
            return Ok(());
        };
        let parent = &mut self.outline.nodes[frame.node];
        parent.values = parent.values.saturating_add(values);
        parent.height = parent.height.max(height + 1);
        let total = parent.values;
        let value = Item { at, node };
        match &mut parent.content {
            Content::Sequence(items) => items.push(value),
            Content::Mapping(entries) => {
                if let Some((key, key_at)) = frame.key.take() {
                    entries.insert(key, Entry { key_at, value });
                }
            }
            Content::Scalar { .. } => {}
        }
        if total > MAX_VALUES || self.outline.nodes.len() > MAX_VALUES {
            let message = format!("holds more than {MAX_VALUES} values, repeated ones included");
            return Err(self.fault(at, &message));
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        self.frames.last().is_some_and(|frame| {
            frame.key.is_none()
                && matches!(self.outline.nodes[frame.node].content, Content::Mapping(_))
        })
    }

    fn open_entry(&mut self, key: String, at: Position) -> Result<(), Fault> {
        let before = self.frames.last().and_then(|frame| {
            let Content::Mapping(entries) = &self.outline.nodes[frame.node].content else {
                return None;
            };
            entries.get(&key).map(|entry| entry.key_at.line)
        });
        if let Some(line) = before {
            let path = self.path().key(&key);
            let message = format!("this key is given twice; it also stands in line {line}");
            self.outline.duplicates.push(Fault {
                position: at,
                path,
                message,
            });
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.key = Some((key, at));
        }
        Ok(())
    }

    fn check_key(&mut self, key: &str, style: ScalarStyle, tagged: bool, at: Position) {
        if style != ScalarStyle::Plain || tagged {
            return;
        }
        let message = if key == "<<" {
            "merge keys (<<) are not supported; repeat the keys".to_owned()
        } else if is_string(key) {
            return;
        } else {
            format!(
                "a key must be a string; put quotes around {}",
                crate::text::quoted(key)
            )
        };
        let fault = self.fault(at, &message);
        self.faults.push(fault);
    }

    fn check_tag(&mut self, tag: Option<&Tag>, at: Position) {
        const KNOWN: [&str; 7] = ["str", "int", "float", "bool", "null", "map", "seq"];
        let Some(tag) = tag else { return };
        if tag.is_yaml_core_schema() && KNOWN.contains(&tag.suffix.as_str()) {
            return;
        }
        let fault = self.fault(at, "tags (!…) are not supported");
        self.faults.push(fault);
    }

    fn too_deep(&self, at: Position) -> Fault {
        self.fault(at, &format!("nested more than {MAX_DEPTH} levels deep"))
    }

    fn fault(&self, position: Position, message: &str) -> Fault {
        Fault {
            position,
            path: self.path(),
            message: message.to_owned(),
        }
    }

    /// The path of what is being read.
    fn path(&self) -> Path {
        let mut path = Path::default();
        for frame in &self.frames {
            path = match (&self.outline.nodes[frame.node].content, &frame.key) {
                (Content::Sequence(items), _) => path.index(items.len()),
                (_, Some((key, _))) => path.key(key),
                _ => path,
            };
        }
        path
    }
}

/// Whether YAML reads the plain scalar as a string.
fn is_string(plain: &str) -> bool {
    let starts_like_a_word = plain.starts_with(|char: char| char.is_ascii_alphabetic());
    let word = starts_like_a_word && !matches!(plain.len(), 4 | 5);
    word || matches!(
        serde_yaml::from_str(plain),
        Ok(serde_yaml::Value::String(_))
    )
}

fn position(marker: &Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
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
        let deep = "[".repeat(100_000);
        assert!(
            fault_of(&deep).contains("nested more than 64 levels"),
            "{}",
            fault_of(&deep)
        );
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

    #[test]
    fn words_are_strings_and_the_rest_is_asked_for() {
        for plain in ["listen", "on", "off", "yes", "a1", "x-y", "1a"] {
            assert!(is_string(plain), "{plain}");
        }
        for plain in [
            "true", "False", "null", "~", "1", "1.5", "-1", "0x1f", ".inf", "",
        ] {
            assert!(!is_string(plain), "{plain}");
        }
    }
}
