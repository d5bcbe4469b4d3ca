//! Finds calls of template functions that stand outside a template tag.
//!
//! `FROM ref('bronze.orders')` is valid enough to reach the planner, which then complains about an
//! unknown function; the warning says what was meant.

use crate::problem::Problem;

const FUNCTIONS: [&str; 2] = ["ref", "landing_zone"];

/// Warnings for every bare `ref(` and `landing_zone(` in `text`.
pub(crate) fn bare_calls(file: &str, text: &str) -> Vec<Problem> {
    let mut scanner = Scanner {
        rest: text,
        line: 1,
    };
    let mut found = Vec::new();
    let mut word_before = false;
    while let Some(first) = scanner.rest.chars().next() {
        if scanner.skip_tag() || scanner.skip_comment() {
            word_before = false;
        } else if first == '\'' || first == '"' {
            scanner.skip_quoted(first);
            word_before = false;
        } else {
            let word = scanner.word();
            if word.is_empty() {
                scanner.advance(first.len_utf8());
                word_before = first == '.';
                continue;
            }
            scanner.advance(word.len());
            let call = scanner.rest.trim_start().starts_with('(');
            let name = FUNCTIONS
                .into_iter()
                .find(|name| name.eq_ignore_ascii_case(word));
            if let (Some(name), true, false) = (name, call, word_before) {
                let message = format!(
                    "`{name}(…)` is not inside a template tag, write `{{{{ {name}(…) }}}}`"
                );
                found.push(Problem::new(file, Some(scanner.line), message));
            }
            word_before = false;
        }
    }
    found
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Scanner<'a> {
    fn advance(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }

    fn skip_between(&mut self, open: &str, close: &str) -> bool {
        if !self.rest.starts_with(open) {
            return false;
        }
        let end = self.rest[open.len()..].find(close);
        self.advance(end.map_or(self.rest.len(), |at| open.len() + at + close.len()));
        true
    }

    fn skip_tag(&mut self) -> bool {
        self.skip_between("{{", "}}")
            || self.skip_between("{%", "%}")
            || self.skip_between("{#", "#}")
    }

    fn skip_comment(&mut self) -> bool {
        self.skip_between("--", "\n") || self.skip_between("/*", "*/")
    }

    /// A quoted text may hold template tags, and those may hold the same quote.
    fn skip_quoted(&mut self, quote: char) {
        self.advance(1);
        while let Some(next) = self.rest.chars().next() {
            if self.skip_tag() {
                continue;
            }
            self.advance(next.len_utf8());
            if next == quote {
                return;
            }
        }
    }

    fn word(&self) -> &'a str {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        &self.rest[..end.unwrap_or(self.rest.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Option<usize>> {
        bare_calls("pipeline.sql", text)
            .into_iter()
            .map(|problem| problem.line)
            .collect()
    }

    #[test]
    fn bare_calls_are_found_with_their_line() {
        let text = "SELECT 1\nFROM ref('bronze.a')\nJOIN read_csv(Landing_Zone ('z'))";
        assert_eq!(lines(text), [Some(2), Some(3)]);
    }

    #[test]
    fn tags_comments_texts_and_other_names_are_not_calls() {
        for text in [
            "SELECT * FROM {{ ref('a.b') }}",
            "SELECT * FROM read_csv('{{ landing_zone('z') }}') -- ref('x')",
            "{% set t = ref('a.b') %}{# ref('c') #} /* ref('d') */ SELECT 'ref(1)', \"ref(\" ",
            "SELECT xref(1), ref, t.ref(1), preref(2)",
            "SELECT 'unfinished ref(",
        ] {
            assert_eq!(lines(text), [], "{text}");
        }
    }
}
