//! Units with blanks, as `nixos-module/templates.nix` makes them, and how they are filled in.
//!
//! A line with a blank is there once for each of its values; a value may hold what looks like a
//! blank, since a path may. Without a value a blank that is a word
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

    /// In one pass: what stands in place of a blank is not looked at again, whatever it is.
    fn fill(&self, line: &str) -> Vec<String> {
        let Some((before, values, after)) = self.first(line) else {
            return vec![line.to_owned()];
        };
        let after = self.fill(after);
        let put = |before: &str, value: &str| -> Vec<String> {
            let lines = after.iter().map(|after| format!("{before}{value}{after}"));
            lines.collect()
        };
        match (values, before.strip_suffix(' ')) {
            ([], Some(before)) => put(before, ""),
            (values, _) => values.iter().flat_map(|value| put(before, value)).collect(),
        }
    }

    /// What is before the first blank of `line`, its values, and what is behind it.
    fn first<'a>(&self, line: &'a str) -> Option<(&'a str, &[String], &'a str)> {
        let found = self.values.iter().filter_map(|(blank, values)| {
            let (before, after) = line.split_once(blank)?;
            Some((before, values.as_slice(), after))
        });
        found.min_by_key(|(before, ..)| before.len())
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
        let filled = |line, found: &[&str]| Blanks::default().with("@a@", values(found)).fill(line);
        assert_eq!(filled("k=@a@", &["x", "y"]), ["k=x", "k=y"]);
        assert_eq!(filled("k=@a@", &[]), Vec::<String>::new());
        assert_eq!(filled("k=x @a@ y", &[]), ["k=x y"]);
        assert_eq!(filled("k=x", &[]), ["k=x"]);
        assert_eq!(filled("@a@-@a@ @b@", &["x"]), ["x-x @b@"]);
    }

    #[test]
    fn a_value_that_looks_like_a_blank_is_left_as_it_is() {
        let blanks = Blanks::one("@b@", "/@a@:@b@").with("@a@", values(&["@b@", "@c@ @a@"]));
        assert_eq!(blanks.fill("@a@ @b@"), ["@b@ /@a@:@b@", "@c@ @a@ /@a@:@b@"]);
        // Neither do a value and what is around it make one.
        let blanks = Blanks::one("@a@", "@").with("@b@", values(&["x"]));
        assert_eq!(blanks.fill("@a@b@"), ["@b@"]);
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
