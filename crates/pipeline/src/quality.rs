//! Quality tests: queries that return offending rows.

use std::collections::{BTreeMap, BTreeSet};

use rat_types::Severity;

use crate::annotation::{self, Annotation};
use crate::problem::Problem;
use crate::settings::MAX_DESCRIPTION_CHARS;
use crate::suggest;

/// Bytes that the file of one test may have.
pub const MAX_TEST_BYTES: usize = 500 * 1024;

const FOLDER: &str = "tests/quality/";
const KNOWN: &[&str] = &["description", "remediation", "severity", "tags"];

/// A quality test as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityTest {
    /// File name without `.sql`.
    pub name: String,
    /// File, relative to the pipeline's folder.
    pub file: String,
    /// What a failure does to the run.
    pub severity: Severity,
    /// What is tested; empty where nothing was said.
    pub description: String,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// What to do when it fails; empty where nothing was said.
    pub remediation: String,
    pub(crate) template: String,
}

/// The tests among `sources`, in order of their names.
pub(crate) fn read(
    sources: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Vec<QualityTest> {
    let mut tests = Vec::new();
    for (file, text) in sources {
        let Some(name) = file
            .strip_prefix(FOLDER)
            .and_then(|rest| rest.strip_suffix(".sql"))
        else {
            continue;
        };
        if name.contains('/') {
            let message = format!("this is not a test: tests lie in {FOLDER} itself");
            warnings.push(Problem::new(file, None, message));
            continue;
        }
        tests.extend(read_one(file, name, text, problems));
    }
    tests
}

fn read_one(
    file: &str,
    name: &str,
    text: &str,
    problems: &mut Vec<Problem>,
) -> Option<QualityTest> {
    let before = problems.len();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 128 || !name.chars().all(word) {
        let message = "a test's name has 1 to 128 letters, digits, `_` and `-`";
        problems.push(Problem::new(file, None, message));
    }
    if text.len() > MAX_TEST_BYTES {
        let message = format!(
            "the test has {} bytes, at most {MAX_TEST_BYTES} are allowed",
            text.len()
        );
        problems.push(Problem::new(file, None, message));
        return None;
    }
    let mut test = QualityTest {
        name: name.to_owned(),
        file: file.to_owned(),
        severity: Severity::Error,
        description: String::new(),
        tags: BTreeSet::new(),
        remediation: String::new(),
        template: text.to_owned(),
    };
    for annotation in annotation::parse(file, text, KNOWN, problems) {
        if let Err(message) = apply(&mut test, &annotation) {
            problems.push(Problem::new(file, Some(annotation.line), message));
        }
    }
    (problems.len() == before).then_some(test)
}

fn apply(test: &mut QualityTest, annotation: &Annotation) -> Result<(), String> {
    let value = annotation.value.as_str();
    match annotation.key.as_str() {
        "severity" => test.severity = severity(value)?,
        "tags" => {
            let tags = value
                .split(',')
                .map(str::trim)
                .filter(|tag| !tag.is_empty());
            test.tags = tags.map(str::to_owned).collect();
        }
        key @ ("description" | "remediation") => {
            let length = value.chars().count();
            if length > MAX_DESCRIPTION_CHARS {
                return Err(format!(
                    "`@{key}` has {length} characters, at most {MAX_DESCRIPTION_CHARS} are allowed"
                ));
            }
            let field = if key == "description" {
                &mut test.description
            } else {
                &mut test.remediation
            };
            value.clone_into(field);
        }
        _ => {}
    }
    Ok(())
}

fn severity(value: &str) -> Result<Severity, String> {
    match value {
        "error" => Ok(Severity::Error),
        "warn" | "warning" => Ok(Severity::Warn),
        other => {
            let hint = suggest::hint(other, ["error", "warn"]);
            let shown: String = other.chars().take(80).collect();
            Err(format!(
                "`@severity` must be `error` or `warn`, not `{shown}`{hint}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> (Vec<QualityTest>, Vec<String>, Vec<String>) {
        let sources = files
            .iter()
            .map(|(p, c)| ((*p).to_owned(), (*c).to_owned()))
            .collect();
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let tests = super::read(&sources, &mut problems, &mut warnings);
        let text = |list: Vec<Problem>| list.iter().map(ToString::to_string).collect();
        (tests, text(problems), text(warnings))
    }

    #[test]
    fn annotations_describe_a_test() {
        let (tests, problems, _) = read(&[
            ("tests/quality/b.sql", "SELECT 1"),
            (
                "tests/quality/a.sql",
                "-- @severity: warning\n-- @tags: money, , daily\n-- @description: No refunds\n-- @remediation: Ask Bob\nSELECT 1",
            ),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(tests[0].name, "a");
        assert_eq!(tests[0].severity, Severity::Warn);
        assert_eq!(
            tests[0].tags,
            BTreeSet::from(["money".to_owned(), "daily".to_owned()])
        );
        assert_eq!(tests[0].description, "No refunds");
        assert_eq!(tests[0].remediation, "Ask Bob");
        assert_eq!(tests[1].severity, Severity::Error);
    }

    #[test]
    fn a_wrong_severity_or_name_is_refused() {
        let (_, problems, warnings) = read(&[
            ("tests/quality/a b.sql", "SELECT 1"),
            ("tests/quality/c.sql", "-- @severity: eror\nSELECT 1"),
            ("tests/quality/deeper/d.sql", "SELECT 1"),
        ]);
        assert_eq!(
            problems,
            [
                "tests/quality/a b.sql: a test's name has 1 to 128 letters, digits, `_` and `-`",
                "tests/quality/c.sql:1: `@severity` must be `error` or `warn`, not `eror`, did you mean `error`?",
            ]
        );
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn an_oversized_test_is_refused() {
        let (_, problems, _) = read(&[("tests/quality/a.sql", &" ".repeat(MAX_TEST_BYTES + 1))]);
        assert_eq!(problems.len(), 1);
    }
}
