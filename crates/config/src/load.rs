//! From text and environment to settings, with every mistake on the way.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::environment::{Overrides, remove};
use crate::outline::Part;
use crate::problem::{Origin, Path, Problem, Problems};
use crate::schema::{self, Finding};
use crate::settings::Settings;
use crate::source::Source;
use crate::validate::{Checker, validate};
use crate::wire;

impl Settings {
    /// The settings that `text` (with the name under which problems mention it) and the `RAT_*`
    /// variables of `environment` describe. Without text: the defaults of the community
    /// installation.
    ///
    /// # Errors
    /// Everything that is wrong with the text and the environment, at once.
    pub fn load(
        text: Option<(&str, &str)>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, Problems> {
        let source = text.map(|(name, text)| Source::read(name, text));
        Loader {
            source,
            overrides: Overrides::read(environment),
        }
        .load()
    }
}

struct Loader<'a> {
    source: Option<Source<'a>>,
    overrides: Overrides,
}

impl Loader<'_> {
    fn load(mut self) -> Result<Settings, Problems> {
        let mut problems = std::mem::take(&mut self.overrides.problems);
        let mut check = Checker::default();
        let mut tree = self.file(&mut problems, &mut check.broken);
        self.environment(&mut problems, &mut check.broken);
        self.overrides.apply(&mut tree);
        let settings = match serde_json::from_value::<wire::Root>(tree) {
            Ok(root) => validate(&root, &mut check),
            Err(error) => {
                // The schema is derived from these structs, so it has said more already.
                if problems.is_empty() {
                    problems.push(self.problem(&Path::default(), Part::Key, error.to_string()));
                }
                None
            }
        };
        for (path, message) in std::mem::take(&mut check.problems) {
            problems.push(self.problem(&path, Part::Value, message));
        }
        match (Problems::collect(problems), settings) {
            (None, Some(mut settings)) => {
                settings.warnings = self.warnings(check.warnings);
                Ok(settings)
            }
            (Some(problems), _) => Err(problems),
            (None, None) => Err(Problems::unexplained()),
        }
    }

    /// What the file says, without what is wrong in it.
    fn file(&mut self, problems: &mut Vec<Problem>, broken: &mut Vec<Path>) -> Value {
        let Some(source) = &mut self.source else {
            return json!({});
        };
        if !source.readable {
            broken.push(Path::default());
        }
        problems.append(&mut source.problems);
        let mut tree = std::mem::take(&mut source.tree);
        for Finding {
            path,
            part,
            message,
            prune,
        } in schema::check(&tree)
        {
            let origin = source.locate(&path, part).unwrap_or(Origin::Settings);
            problems.push(Problem {
                origin,
                path: path.to_string(),
                message,
            });
            broken.push(prune);
        }
        broken.iter().for_each(|path| remove(&mut tree, path));
        tree
    }

    /// Checks the overrides by themselves: the file's value is judged even where it is overridden.
    fn environment(&mut self, problems: &mut Vec<Problem>, broken: &mut Vec<Path>) {
        let mut pruned = Vec::new();
        for Finding {
            path,
            part,
            message,
            prune,
        } in schema::check(&self.overrides.tree)
        {
            problems.push(self.problem(&path, part, message));
            pruned.push(prune);
        }
        for path in pruned {
            remove(&mut self.overrides.tree, &path);
            broken.push(path);
        }
    }

    fn problem(&self, path: &Path, part: Part, message: String) -> Problem {
        let variable = self.overrides.variable_of(path);
        let origin = match (variable, &self.source) {
            (Some(variable), _) => Origin::Environment(variable.to_owned()),
            (None, Some(source)) => source.locate(path, part).unwrap_or(Origin::Settings),
            (None, None) => Origin::Settings,
        };
        Problem {
            origin,
            path: path.to_string(),
            message,
        }
    }

    fn warnings(&self, found: Vec<(Path, String)>) -> Vec<String> {
        let found = found
            .into_iter()
            .map(|(path, text)| self.problem(&path, Part::Value, text));
        let mut warnings: Vec<_> = found
            .chain(self.overrides.warnings.iter().cloned())
            .collect();
        warnings.sort();
        warnings.iter().map(ToString::to_string).collect()
    }
}
