//! Builds an outline out of the events of a parser.
//!
//! One event after the other and without recursion, so that no nesting exhausts the stack.

use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{Content, Entry, Fault, Item, Node, Outline};
use crate::problem::{Path, Position};
use crate::text::quoted;

/// The deepest nesting; settings need seven levels, a plugin's own ones perhaps a few more.
const MAX_DEPTH: usize = 64;
/// Keys of a path that is too deep to be shown.
const SHOWN_DEPTH: usize = 3;
/// The largest number of values, counting what aliases stand for.
const MAX_VALUES: usize = 50_000;

/// A collection that is being read.
struct Frame {
    node: usize,
    /// In a mapping: the key whose value comes next.
    key: Option<(String, Position)>,
    at: Position,
}

#[derive(Default)]
pub(super) struct Builder {
    outline: Outline,
    faults: Vec<Fault>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, usize>,
    documents: usize,
}

impl Builder {
    pub(super) fn build(mut self, text: &str) -> Result<Outline, Vec<Fault>> {
        let stopped = self.read(text).err();
        self.faults.extend(stopped);
        match self.faults.is_empty() {
            true => Ok(self.outline),
            false => Err(self.faults),
        }
    }

    fn read(&mut self, text: &str) -> Result<(), Fault> {
        self.faults.extend(line_break_or_not(text));
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| match error.info() {
                // The scanner, which looks ahead, may be the first to find out.
                "recursion limit exceeded" => self.too_deep(position(error.marker())),
                info => Fault {
                    position: position(error.marker()),
                    path: Path::default(),
                    message: format!("not valid YAML: {info}"),
                },
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
            format!("a key must be a string; put quotes around {}", quoted(key))
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

    /// With the beginning of the path, which is as long as the nesting is deep.
    fn too_deep(&self, position: Position) -> Fault {
        let message = format!("nested more than {MAX_DEPTH} levels deep");
        Fault {
            position,
            path: self.path().prefix(SHOWN_DEPTH),
            message,
        }
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

/// Characters that end a line in YAML 1.1 and do not in 1.2.
fn line_break_or_not(text: &str) -> Option<Fault> {
    const ODD: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];
    let (at, odd) = text.char_indices().find(|(_, char)| ODD.contains(char))?;
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    let position = Position {
        line: text[..at].matches('\n').count() + 1,
        column: line.chars().count() + 1,
    };
    let message =
        format!("the character {odd:?} ends a line for some and not for others; remove it");
    Some(Fault {
        position,
        path: Path::default(),
        message,
    })
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
    use super::is_string;

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
