//! Files of Nix are formatted as nixpkgs' `nixfmt` does, and so can be read.

use std::path::Path;

use anyhow::{Context, Result};

/// Where such files are, besides the root itself.
const FOLDERS: [&str; 3] = ["examples", "nixos-module", "vm-tests"];

pub(super) fn check(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    let mut files = vec![root.join("flake.nix")];
    for folder in FOLDERS {
        super::walk(&root.join(folder), "nix", &mut files)?;
    }
    for path in files {
        let shown = path.strip_prefix(root).unwrap_or(&path).display();
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("failed to read {shown}"))?;
        findings.extend(judge(&shown.to_string(), &text));
    }
    Ok(())
}

fn judge(shown: &str, text: &str) -> Option<String> {
    match nixfmt_rs::format(text) {
        Ok(formatted) if formatted == text => None,
        Ok(formatted) => {
            let lines = text.lines().zip(formatted.lines());
            let same = lines.take_while(|(found, wanted)| found == wanted).count();
            let number = same + 1;
            Some(format!(
                "{shown}:{number}: is not formatted: run `nix fmt`, or nixfmt"
            ))
        }
        Err(error) => Some(nixfmt_rs::format_error(text, Some(shown), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn a_file_that_is_not_formatted_is_named_with_its_line() {
        assert_eq!(judge("a.nix", "{\n  a = 1;\n}\n"), None);
        let finding = judge("a.nix", "{\n  a =  1;\n}\n").unwrap();
        assert!(
            finding.starts_with("a.nix:2: is not formatted"),
            "{finding}"
        );
        let finding = judge("a.nix", "{ a = ; }\n").unwrap();
        assert!(finding.contains("a.nix"), "{finding}");
    }
}
