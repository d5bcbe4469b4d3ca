//! Units with blanks, as `nixos-module/templates.nix` makes them, and how they are filled in.
//!
//! A line with a blank is there once for each of its values. Without a value a blank that is a word
//! among others is left out, and a line that consists of it is not there.

use anyhow::{Context, Result};

/// All templates, in one text.
const TEXT: &str = include_str!("templates.txt");
/// Begins a template; name and variant follow.
const TITLE: &str = "\n==== ";
/// Stands for the port of a socket: an address that is nobody's.
pub(super) const PORT: &str = "192.0.2.1:1";

/// The templates.
#[derive(Debug)]
pub(super) struct Templates {
    found: Vec<(&'static str, &'static str)>,
}

impl Templates {
    /// Those that this program carries.
    pub(super) fn built_in() -> Result<Self> {
        let found: Option<_> = TEXT
            .split(TITLE)
            .skip(1)
            .map(|part| part.split_once('\n'))
            .collect();
        let found = found.context("the templates of the units are damaged")?;
        Ok(Self { found })
    }

    /// A unit, made of the template `name` in its `variant`.
    pub(super) fn fill(&self, name: &str, variant: &str, blanks: &Blanks) -> Result<String> {
        let title = format!("{name} {variant}");
        let (_, template) = self
            .found
            .iter()
            .find(|(found, _)| *found == title)
            .with_context(|| format!("there is no template {title}"))?;
        let lines = template.lines().flat_map(|line| blanks.fill(line));
        Ok(lines.map(|line| line + "\n").collect())
    }
}

/// What stands in place of the blanks.
#[derive(Debug, Clone, Default)]
pub(super) struct Blanks {
    values: Vec<(&'static str, Vec<String>)>,
}

impl Blanks {
    pub(super) fn one(blank: &'static str, value: impl Into<String>) -> Self {
        Self::default().with(blank, [value.into()])
    }

    pub(super) fn with(
        mut self,
        blank: &'static str,
        values: impl IntoIterator<Item = String>,
    ) -> Self {
        self.values.push((blank, values.into_iter().collect()));
        self
    }

    pub(super) fn and(&self, other: Self) -> Self {
        let values = self.values.iter().cloned().chain(other.values);
        Self {
            values: values.collect(),
        }
    }

    fn fill(&self, line: &str) -> Vec<String> {
        let mut lines = vec![line.to_owned()];
        for (blank, values) in &self.values {
            lines = lines
                .iter()
                .flat_map(|line| fill_one(line, blank, values))
                .collect();
        }
        lines
    }
}

fn fill_one(line: &str, blank: &str, values: &[String]) -> Vec<String> {
    if !line.contains(blank) {
        return vec![line.to_owned()];
    }
    let word = format!(" {blank}");
    match values {
        [] if line.contains(&word) => vec![line.replace(&word, "")],
        values => values
            .iter()
            .map(|value| line.replace(blank, value))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn a_line_is_there_for_each_value_of_its_blank() {
        let filled = |line, found: &[&str]| fill_one(line, "@a@", &values(found));
        assert_eq!(filled("k=@a@", &["x", "y"]), ["k=x", "k=y"]);
        assert_eq!(filled("k=@a@", &[]), Vec::<String>::new());
        assert_eq!(filled("k=x @a@ y", &[]), ["k=x y"]);
        assert_eq!(filled("k=x", &[]), ["k=x"]);
    }

    #[test]
    fn every_template_says_from_where_it_is_and_what_it_is() {
        let templates = Templates::built_in().unwrap();
        assert!(templates.found.len() > 20, "{}", templates.found.len());
        for (title, text) in &templates.found {
            let is_unit = text.starts_with("[Unit]\n");
            assert!(is_unit || title.contains(".d/"), "{title}");
        }
    }
}
