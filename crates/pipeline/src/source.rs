//! A whole pipeline, read from its source files.

use std::collections::{BTreeMap, BTreeSet};

use rat_types::{MergeStrategy, TableIdent};

use crate::problem::{Problem, Problems, Topic};
use crate::quality::{self, QualityTest};
use crate::scan;
use crate::settings::{self, CONFIG_FILE, Settings};
use crate::sql;
use crate::template::{self, RenderContext, RenderError, Rendered};

/// Characters that `pipeline.sql` may have.
pub const MAX_SQL_CHARS: usize = 100_000;

const SQL_FILE: &str = "pipeline.sql";
const PYTHON_FILE: &str = "pipeline.py";

/// A pipeline whose files are valid as far as can be known without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// The pipeline, and the table it writes.
    pub ident: TableIdent,
    /// Settings.
    pub settings: Settings,
    /// Quality tests in order of their names.
    pub tests: Vec<QualityTest>,
    /// What is odd but no mistake.
    pub warnings: Vec<Problem>,
    template: String,
}

impl Pipeline {
    /// Reads the files in a pipeline's folder, given by their path in it.
    ///
    /// Files that it has no use for (documentation, data) are ignored.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(ident: &TableIdent, sources: &BTreeMap<String, String>) -> Result<Self, Problems> {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let template = main_template(sources, &mut problems);
        let config = sources.get(CONFIG_FILE).map(String::as_str);
        let settings = settings::read(SQL_FILE, template, config, &mut problems);
        let tests = quality::read(sources, &mut problems, &mut warnings);
        let texts = tests
            .iter()
            .map(|test| (test.file.as_str(), test.template.as_str()));
        for (file, text) in std::iter::once((SQL_FILE, template)).chain(texts) {
            problems.extend(template::check(file, text).err().map(Problem::from));
            warnings.extend(scan::bare_calls(file, text));
        }
        if !problems.is_empty() {
            problems.sort();
            return Err(Problems(problems));
        }
        let template = template.to_owned();
        Ok(Self {
            ident: ident.clone(),
            settings,
            tests,
            warnings,
            template,
        })
    }

    /// Whether results are added to the table rather than replacing it.
    pub fn is_append_only(&self) -> bool {
        self.settings.merge_strategy == MergeStrategy::AppendOnly
    }

    /// Renders `pipeline.sql`.
    ///
    /// # Errors
    /// The template names something that does not exist, or does not end.
    pub fn render(&self, context: &RenderContext) -> Result<Rendered, RenderError> {
        self.render_text(SQL_FILE, &self.template, context)
    }

    /// Renders one of [`Pipeline::tests`].
    ///
    /// # Errors
    /// As [`Pipeline::render`].
    pub fn render_test(
        &self,
        test: &QualityTest,
        context: &RenderContext,
    ) -> Result<Rendered, RenderError> {
        self.render_text(&test.file, &test.template, context)
    }

    /// What is wrong with the syntax of the SQL that `file`, `pipeline.sql` or that of a test,
    /// renders to. Neither parsing nor rendering a pipeline looks at it.
    pub fn check_sql(&self, file: &str, rendered: &Rendered) -> Option<Problem> {
        let test = self.tests.iter().find(|test| test.file == file);
        let template = test.map_or(&self.template, |test| &test.template);
        sql::check(file, template, &rendered.sql)
    }

    /// All tables that a run of this pipeline reads, in its query or in a test; its own, which it
    /// may always read, is left out.
    ///
    /// # Errors
    /// As [`Pipeline::render`].
    pub fn references(&self, context: &RenderContext) -> Result<BTreeSet<TableIdent>, RenderError> {
        let mut refs = self.render(context)?.refs;
        for test in &self.tests {
            refs.append(&mut self.render_test(test, context)?.refs);
            if refs.len() > template::MAX_NAMED {
                return Err(RenderError {
                    file: test.file.clone(),
                    line: None,
                    message: format!(
                        "the pipeline and its tests name more than {} tables",
                        template::MAX_NAMED
                    ),
                });
            }
        }
        refs.remove(&self.ident);
        Ok(refs)
    }

    fn render_text(
        &self,
        file: &str,
        text: &str,
        context: &RenderContext,
    ) -> Result<Rendered, RenderError> {
        template::render(
            file,
            text,
            &self.ident,
            self.settings.merge_strategy,
            context,
        )
    }
}

impl From<RenderError> for Problem {
    fn from(error: RenderError) -> Self {
        let RenderError {
            file,
            line,
            message,
        } = error;
        Self {
            file,
            line,
            message,
            topic: Topic::Template,
        }
    }
}

fn main_template<'a>(
    sources: &'a BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> &'a str {
    if sources.contains_key(PYTHON_FILE) {
        let message = "Python pipelines are not supported by this version, write pipeline.sql";
        problems.push(Problem::new(PYTHON_FILE, None, message));
    }
    let Some(text) = sources.get(SQL_FILE) else {
        problems.push(Problem::new(SQL_FILE, None, "the file is missing"));
        return "";
    };
    let length = text.chars().count();
    if length > MAX_SQL_CHARS {
        let message =
            format!("the file has {length} characters, at most {MAX_SQL_CHARS} are allowed");
        problems.push(Problem::new(SQL_FILE, None, message));
    } else if text.trim().is_empty() {
        problems.push(Problem::new(SQL_FILE, None, "the file is empty"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(files: &[(&str, &str)]) -> Result<Pipeline, Problems> {
        let sources = files
            .iter()
            .map(|(p, c)| ((*p).to_owned(), (*c).to_owned()))
            .collect();
        Pipeline::parse(&"shop.silver.orders".parse().unwrap(), &sources)
    }

    fn context() -> RenderContext {
        RenderContext {
            run_started_at: "2026-03-01T10:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_pipeline_is_read_from_its_files() {
        let pipeline = parse(&[
            (
                "pipeline.sql",
                "-- @description: Orders\nSELECT * FROM {{ ref('bronze.orders') }}",
            ),
            ("config.yaml", "merge_strategy: append_only"),
            ("README.md", "{{ not a template"),
            (
                "tests/quality/known.sql",
                "SELECT 1 FROM {{ this }} JOIN {{ ref('bronze.people') }}",
            ),
        ])
        .unwrap();
        assert!(pipeline.is_append_only());
        assert_eq!(pipeline.settings.description, "Orders");
        assert_eq!(pipeline.warnings, []);
        let refs: Vec<String> = pipeline
            .references(&context())
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(refs, ["shop.bronze.orders", "shop.bronze.people"]);
    }

    #[test]
    fn its_own_table_is_not_among_the_references() {
        let pipeline =
            parse(&[("pipeline.sql", "SELECT * FROM {{ ref('silver.orders') }}")]).unwrap();
        assert_eq!(pipeline.references(&context()).unwrap(), BTreeSet::new());
    }

    #[test]
    fn references_are_bounded_over_all_files() {
        let many = |layer: &str| {
            format!("{{% for n in range(600) %}}{{{{ ref('{layer}.t' ~ n) }}}} {{% endfor %}}")
        };
        let (query, test) = (many("bronze"), many("gold"));
        let pipeline = parse(&[("pipeline.sql", &query), ("tests/quality/a.sql", &test)]).unwrap();
        assert_eq!(
            pipeline.references(&context()).unwrap_err().to_string(),
            "tests/quality/a.sql: the pipeline and its tests name more than 1000 tables"
        );
    }

    #[test]
    fn problems_of_all_files_are_reported_together() {
        let problems = parse(&[
            ("pipeline.py", "result = 1"),
            ("config.yaml", "colour: red"),
            ("tests/quality/a.sql", "-- @severity: never\nSELECT 1"),
            ("tests/quality/b.sql", "SELECT {{ 1"),
        ])
        .unwrap_err();
        let files: Vec<&str> = problems
            .0
            .iter()
            .map(|problem| problem.file.as_str())
            .collect();
        assert_eq!(
            files,
            [
                "config.yaml",
                "pipeline.py",
                "pipeline.sql",
                "tests/quality/a.sql",
                "tests/quality/b.sql"
            ]
        );
        assert_eq!(problems.reason(), "PIPELINE_INVALID");
    }

    #[test]
    fn a_broken_template_alone_has_its_own_reason() {
        let problems = parse(&[("pipeline.sql", "SELECT\n{{ ref( }}")]).unwrap_err();
        assert_eq!(problems.reason(), "TEMPLATE_INVALID");
        assert!(
            problems
                .to_string()
                .starts_with("pipeline.sql:2: syntax error"),
            "{problems}"
        );
    }

    #[test]
    fn limits_hold() {
        assert!(parse(&[("pipeline.sql", &" x".repeat(50_000))]).is_ok());
        assert!(parse(&[("pipeline.sql", &"x".repeat(100_001))]).is_err());
        assert!(parse(&[("pipeline.sql", " \n")]).is_err());
    }

    #[test]
    fn a_bare_call_is_a_warning() {
        let pipeline = parse(&[("pipeline.sql", "SELECT * FROM ref('bronze.a')")]).unwrap();
        assert_eq!(pipeline.warnings.len(), 1);
    }
}
