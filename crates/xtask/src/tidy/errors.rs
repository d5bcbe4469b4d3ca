//! The error codes of the sources and those of `docs/reference/errors.md` are the same.

use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "docs/reference/errors.md";
/// Calls whose first argument is a code.
const CALLS: [&str; 3] = ["RunFailure::new(", "failure(", ".because("];

/// What the sources say.
#[derive(Default)]
pub(super) struct Codes {
    /// Codes that reach people, and a file of each.
    reasons: BTreeMap<String, String>,
    /// Every text that looks like a code.
    literals: BTreeSet<String>,
}

impl Codes {
    /// Reads one source file.
    pub(super) fn read(&mut self, shown: &str, text: &str) {
        let text = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        self.literals.extend(codes_in(text, '"'));
        let bodies = text
            .split("fn reason(")
            .skip(1)
            .map(|rest| rest.split("\n    }\n").next().unwrap_or_default())
            .flat_map(|body| codes_in(body, '"'));
        let arguments = CALLS.iter().flat_map(|call| {
            text.split(call).skip(1).filter_map(|rest| {
                let quoted = rest.trim_start().strip_prefix('"')?;
                quoted
                    .split('"')
                    .next()
                    .filter(|text| is_code(text))
                    .map(str::to_owned)
            })
        });
        for code in bodies.chain(arguments).chain(codes_beside_kinds(text)) {
            self.reasons.entry(code).or_insert_with(|| shown.to_owned());
        }
    }

    /// Compares with the page.
    pub(super) fn compare(&self, page: &str, findings: &mut Vec<String>) {
        let named: BTreeSet<String> = codes_in(page, '`').collect();
        for (code, file) in &self.reasons {
            if !named.contains(code) {
                findings.push(format!("{PAGE}: {code} of {file} is not explained"));
            }
        }
        for code in named.difference(&self.literals) {
            findings.push(format!("{PAGE}: nothing answers {code}"));
        }
    }
}

/// Codes of tuples: `(Kind::Unavailable, "CODE")`.
fn codes_beside_kinds(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split("Kind::").skip(1).filter_map(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        let quoted = rest.strip_prefix(',')?.trim_start().strip_prefix('"')?;
        let (code, _) = quoted.split_once('"')?;
        is_code(code).then(|| code.to_owned())
    })
}

/// Every quoted text that looks like a code.
fn codes_in(text: &str, quote: char) -> impl Iterator<Item = String> + '_ {
    text.split(quote)
        .filter(|part| is_code(part))
        .map(str::to_owned)
}

fn is_code(text: &str) -> bool {
    text.len() > 2
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_wherever_it_reaches_people() {
        let source = r#"
            fn reason(&self) -> &str {
                "FROM_REASON"
    }
            let a = (Kind::Unavailable, "ON_ONE_LINE");
            let b = (
                Kind::Unauthenticated,
                "ON_TWO_LINES",
            );
            let c = Fault::invalid(message).because("AS_ARGUMENT");
            let d = (Kind::Internal, 1);
            let e = "NO_CODE_OF_AN_ERROR";
        "#;
        let mut codes = Codes::default();
        codes.read("a.rs", source);
        let found: Vec<&str> = codes.reasons.keys().map(String::as_str).collect();
        assert_eq!(
            found,
            ["AS_ARGUMENT", "FROM_REASON", "ON_ONE_LINE", "ON_TWO_LINES"]
        );
    }

    #[test]
    fn a_code_that_is_not_explained_is_a_finding() {
        let mut codes = Codes::default();
        codes.read("a.rs", r#"(Kind::Unavailable, "NOBODY_HOME")"#);
        let mut findings = Vec::new();
        codes.compare("`NOBODY_ELSE`", &mut findings);
        assert_eq!(
            findings,
            [
                format!("{PAGE}: NOBODY_HOME of a.rs is not explained"),
                format!("{PAGE}: nothing answers NOBODY_ELSE"),
            ]
        );
    }
}
