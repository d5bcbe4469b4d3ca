//! `-- @key: value` lines of a file's leading comment block.
//!
//! The block ends at the first line that is neither blank nor a `--` comment, so that a comment
//! further down, perhaps pasted with a query, can never change how a pipeline is run.

use crate::problem::Problem;
use crate::suggest;

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Annotation {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) line: usize,
}

/// The annotations of `text`, unknown and repeated keys reported to `problems`.
pub(crate) fn parse(
    file: &str,
    text: &str,
    known: &[&str],
    problems: &mut Vec<Problem>,
) -> Vec<Annotation> {
    let mut found: Vec<Annotation> = Vec::new();
    for (number, line) in leading_comments(text) {
        let Some(body) = line.strip_prefix('@') else {
            continue;
        };
        let Some((key, value)) = body.split_once(':') else {
            report_missing_colon(file, number, body, known, problems);
            continue;
        };
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            continue;
        }
        if !known.contains(&key) {
            let hint = suggest::hint(key, known.iter().copied());
            let message = format!("unknown annotation `@{key}`{hint}");
            problems.push(Problem::new(file, Some(number), message));
        } else if let Some(first) = found.iter().find(|annotation| annotation.key == key) {
            let message = format!("`@{key}` is already set in line {}", first.line);
            problems.push(Problem::new(file, Some(number), message));
        } else {
            let value = value.trim().to_owned();
            found.push(Annotation {
                key: key.to_owned(),
                value,
                line: number,
            });
        }
    }
    found
}

fn leading_comments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .take_while(|(_, line)| line.is_empty() || line.starts_with("--"))
        .map(|(number, line)| (number, line.trim_start_matches('-').trim_start()))
}

/// Prose such as `-- @alice asked for this` is a comment; `-- @severity warn` is a slip.
fn report_missing_colon(
    file: &str,
    line: usize,
    body: &str,
    known: &[&str],
    problems: &mut Vec<Problem>,
) {
    let word = body.split_whitespace().next().unwrap_or_default();
    if known.contains(&word) {
        let message = format!("`@{word}` has no value, write `-- @{word}: …`");
        problems.push(Problem::new(file, Some(line), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["severity", "description"];

    fn read(text: &str) -> (Vec<Annotation>, Vec<String>) {
        let mut problems = Vec::new();
        let found = parse("t.sql", text, KNOWN, &mut problems);
        (found, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_the_leading_comment_block_counts() {
        let text =
            "\u{feff}-- a comment\r\n\r\n-- @severity: warn\nSELECT 1\n-- @description: no\n";
        let (found, problems) = read(text);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            found,
            [Annotation {
                key: "severity".into(),
                value: "warn".into(),
                line: 3
            }]
        );
    }

    #[test]
    fn unknown_repeated_and_half_written_annotations_are_all_reported() {
        let text = "-- @severty: warn\n-- @severity: warn\n-- @severity: error\n-- @description x\n-- @bob said so\nSELECT 1";
        let (_, problems) = read(text);
        assert_eq!(
            problems,
            [
                "t.sql:1: unknown annotation `@severty`, did you mean `severity`?",
                "t.sql:3: `@severity` is already set in line 2",
                "t.sql:4: `@description` has no value, write `-- @description: …`",
            ]
        );
    }

    #[test]
    fn a_value_may_contain_colons() {
        let (found, _) = read("-- @description: see https://example.org/a:b");
        assert_eq!(found[0].value, "see https://example.org/a:b");
    }
}
