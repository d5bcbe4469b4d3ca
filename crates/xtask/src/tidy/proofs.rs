//! The tests that `docs/reference/plugins.md` names as proofs exist, and every sentence has one.

use std::path::Path;

const PAGE: &str = "docs/reference/plugins.md";
/// What stands above the table.
const HEADING: &str = "\n## The specification, sentence by sentence\n";
/// Lines above a function among which its `#[test]` is looked for.
const ATTRIBUTES: usize = 6;

/// Compares the page with the tree.
pub(super) fn check(root: &Path, findings: &mut Vec<String>) -> std::io::Result<()> {
    let page = std::fs::read_to_string(root.join(PAGE))?;
    let Some((_, table)) = page.split_once(HEADING) else {
        findings.push(format!("{PAGE}: the heading {:?} is gone", HEADING.trim()));
        return Ok(());
    };
    for row in rows(table) {
        let proofs: Vec<&str> = proofs(row).collect();
        if proofs.is_empty() {
            findings.push(format!("{PAGE}: no test proves: {}", sentence(row)));
        }
        for proof in proofs {
            let Some((file, name)) = proof.split_once("::") else {
                findings.push(format!("{PAGE}: {proof} is not FILE::TEST"));
                continue;
            };
            let is_there =
                std::fs::read_to_string(root.join(file)).is_ok_and(|text| has_test(&text, name));
            if !is_there {
                findings.push(format!("{PAGE}: there is no test {proof}"));
            }
        }
    }
    Ok(())
}

/// The rows of the first table, without its head.
fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
}

fn sentence(row: &str) -> &str {
    row.split('|').nth(1).unwrap_or_default().trim()
}

/// What stands in backticks and names a source file.
fn proofs(row: &str) -> impl Iterator<Item = &str> {
    row.split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| text.contains(".rs"))
}

fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let function = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        let mut attributes = lines[at.saturating_sub(ATTRIBUTES)..at]
            .iter()
            .rev()
            .take_while(|line| !line.trim().is_empty());
        line.contains(&function)
            && attributes.any(|line| line.contains("#[test]") || line.contains("::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_proved_by_a_test_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a.rs", "#[test]\nfn it_holds() {}\n\nfn helper() {}\n");
        write(
            PAGE,
            "# Plugins\n\n## The specification, sentence by sentence\n\nText.\n\n\
             | Sentence | Test |\n|---|---|\n\
             | good, with `status` | `a.rs::it_holds` |\n\
             | gone | `a.rs::it_holds`, `a.rs::it_held` |\n\
             | no test | `a.rs::helper` |\n\
             | open | – |\n",
        );
        let mut findings = Vec::new();
        check(root.path(), &mut findings).unwrap();
        assert_eq!(
            findings,
            [
                "docs/reference/plugins.md: there is no test a.rs::it_held",
                "docs/reference/plugins.md: there is no test a.rs::helper",
                "docs/reference/plugins.md: no test proves: open",
            ]
        );
    }
}
