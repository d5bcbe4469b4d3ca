//! The text of `rat.yaml` as a tree of values, and where each of them stands.

use serde_json::{Value, json};

use crate::outline::{Fault, Outline, Part};
use crate::problem::{Origin, Path, Position, Problem};
use crate::schema;

/// The largest text that is read.
const MAX_BYTES: usize = 1024 * 1024;

const AMBIGUOUS: &str = "cannot be read: two parsers of YAML disagree about it; write it plainly";

/// A settings file.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    name: &'a str,
    outline: Outline,
    /// The values; an empty mapping where the text could not be read.
    pub(crate) tree: Value,
    pub(crate) problems: Vec<Problem>,
    /// Whether the text could be read at all.
    pub(crate) readable: bool,
}

impl<'a> Source<'a> {
    pub(crate) fn read(name: &'a str, text: &str) -> Self {
        let mut source = Self {
            name,
            outline: Outline::default(),
            tree: json!({}),
            problems: Vec::new(),
            readable: false,
        };
        match parse(text) {
            Ok((outline, tree)) => {
                source.readable = true;
                source.tree = tree;
                source.outline = outline;
                let duplicates = std::mem::take(&mut source.outline.duplicates);
                source.problems = duplicates
                    .into_iter()
                    .map(|fault| source.place(fault))
                    .collect();
            }
            Err(Unreadable::Faults(faults)) => {
                source.problems = faults
                    .into_iter()
                    .map(|fault| source.place(fault))
                    .collect();
            }
            Err(Unreadable::Whole(position, message)) => {
                let origin = source.origin(position);
                source.problems.push(Problem {
                    origin,
                    path: String::new(),
                    message,
                });
            }
        }
        source
    }

    /// Where the text says something about `path`; `None` where it does not.
    pub(crate) fn locate(&self, path: &Path, part: Part) -> Option<Origin> {
        self.outline
            .locate(path, part)
            .map(|position| self.origin(Some(position)))
    }

    fn place(&self, fault: Fault) -> Problem {
        Problem {
            origin: self.origin(Some(fault.position)),
            path: fault.path.to_string(),
            message: fault.message,
        }
    }

    fn origin(&self, position: Option<Position>) -> Origin {
        Origin::File {
            name: self.name.to_owned(),
            position,
        }
    }
}

enum Unreadable {
    Faults(Vec<Fault>),
    Whole(Option<Position>, String),
}

fn parse(text: &str) -> Result<(Outline, Value), Unreadable> {
    if text.len() > MAX_BYTES {
        let message = format!("has {} bytes; the limit is 1 MiB", text.len());
        return Err(Unreadable::Whole(None, message));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let outline = Outline::parse(text).map_err(Unreadable::Faults)?;
    if outline.is_empty() {
        return Ok((outline, json!({})));
    }
    let mut tree: Value = serde_yaml::from_str(text).map_err(|error| {
        let position = error.location();
        let position = position.map(|at| Position {
            line: at.line(),
            column: at.column(),
        });
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Unreadable::Whole(position, format!("cannot be read: {message}"))
    })?;
    if !outline.matches(&tree) {
        return Err(Unreadable::Whole(None, AMBIGUOUS.to_owned()));
    }
    tidy(&mut tree);
    Ok((outline, tree))
}

/// A section without content is one that says nothing, and `4.0` is `4`.
fn tidy(tree: &mut Value) {
    if tree.is_null() {
        *tree = json!({});
    }
    let Value::Object(sections) = tree else {
        return;
    };
    for name in schema::sections() {
        if sections.get(name).is_some_and(Value::is_null) {
            sections.remove(name);
        }
    }
    for (name, section) in sections.iter_mut() {
        // What is within a plugin's own settings is left as it is.
        if name != "plugins" {
            whole_numbers(section);
        }
    }
}

fn whole_numbers(value: &mut Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Array(list) => list.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64());
            if let Some(float) = float.filter(|float| float.fract() == 0.0 && float.abs() < EXACT) {
                *value = Value::from(float as i64);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
