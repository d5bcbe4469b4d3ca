//! `docs/benchmarks.md`: a section for each subject, of which one is written at a time.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

const TOP: &str = "# Benchmarks\n\nEach section is written by the command that it names.\n";

/// Prints the section, which begins with its heading, and unless `print_only` puts it in its place.
pub(crate) fn write(section: &str, print_only: bool) -> Result<()> {
    std::io::stdout().write_all(section.as_bytes())?;
    if print_only {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks.md");
    let page = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    std::fs::write(&path, with(&page, section))
        .with_context(|| format!("failed to write {}", path.display()))
}

/// The page with a section instead of the one with the same heading, or at its end.
fn with(page: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let mut sections: Vec<String> = Vec::new();
    for line in page.lines() {
        match sections.last_mut() {
            _ if line.starts_with("## ") => sections.push(format!("{line}\n")),
            Some(last) => {
                last.push_str(line);
                last.push('\n');
            }
            None => {}
        }
    }
    let place = sections
        .iter_mut()
        .find(|old| old.lines().next() == Some(heading));
    match place {
        Some(old) => section.clone_into(old),
        None => sections.push(section.to_owned()),
    }
    let mut page = TOP.to_owned();
    for section in sections {
        page.push('\n');
        page.push_str(section.trim_end());
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_before_it_and_leaves_the_others() {
        let page = with("# Old\n\n## a\n\none\n\n## b\n\ntwo\n", "## a\n\nthree\n");
        assert_eq!(page, format!("{TOP}\n## a\n\nthree\n\n## b\n\ntwo\n"));
        assert_eq!(
            with(&page, "## c\n\nfour\n"),
            format!("{page}\n## c\n\nfour\n")
        );
    }
}
