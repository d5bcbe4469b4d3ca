//! What scenarios measure, and what the programs weigh, as a section of `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::programs::Programs;
use crate::cargo::{root, say};

const HEADING: &str = "## The appliance";

/// Prints the figures and puts them into their place.
pub(crate) fn write(
    measured: &[(String, String)],
    taken: &[(String, Duration)],
    programs: &Programs,
) -> Result<()> {
    let section = section(measured, taken, &programs.files())?;
    say(&section);
    let path = root().join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    std::fs::write(&path, with(&page, &section))
        .with_context(|| format!("failed to write {}", path.display()))
}

fn section(
    measured: &[(String, String)],
    taken: &[(String, Duration)],
    programs: &[PathBuf],
) -> Result<String> {
    let mut text = format!(
        "{HEADING}\n\n\
         Written by `cargo xtask vm --figures`: the module's units with release binaries, PostgreSQL on the same\n\
         machine. Times are those of a container on 2 cores, memory is that of a virtual machine.\n\n\
         | | |\n|---|---:|\n"
    );
    for (name, value) in measured {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n| Scenario | Takes |\n|---|---:|\n");
    for (name, time) in taken {
        let _ = writeln!(text, "| `{name}` | {:.1} s |", time.as_secs_f64());
    }
    let all: Duration = taken.iter().map(|(_, time)| *time).sum();
    let _ = writeln!(text, "| all | {:.0} s |", all.as_secs_f64());
    text.push_str("\n| Program | Stripped | Libraries | Closure |\n|---|---:|---|---:|\n");
    for file in programs {
        let size = size(file)?;
        let libraries = libraries(file)?;
        let mut closure = size;
        for library in &libraries {
            closure += self::size(library)?;
        }
        let name = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("`{name}`")
        };
        let names: Vec<_> = libraries.iter().map(|library| name(library)).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            name(file),
            mebibytes(size),
            names.join(", "),
            mebibytes(closure)
        );
    }
    Ok(text)
}

fn size(file: &Path) -> Result<u64> {
    let found = std::fs::metadata(file);
    Ok(found
        .with_context(|| format!("failed to look at {}", file.display()))?
        .len())
}

fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure with one decimal")]
    let mebibytes = bytes as f64 / (1 << 20) as f64;
    format!("{mebibytes:.1} MiB")
}

/// What the dynamic linker would load with a program.
fn libraries(file: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(file).output();
    let output = output.context("failed to start ldd")?;
    ensure!(output.status.success(), "ldd refuses {}", file.display());
    let text = String::from_utf8_lossy(&output.stdout);
    let paths = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(PathBuf::from).collect())
}

/// The page with the section in place of the one of its name, or at its end.
fn with(page: &str, section: &str) -> String {
    let section = section.trim_end();
    let Some(start) = page.find(&format!("{HEADING}\n")) else {
        return format!("{}\n\n{section}\n", page.trim_end());
    };
    let (before, old) = page.split_at(start);
    let after = old[HEADING.len()..]
        .find("\n## ")
        .map_or("", |length| &old[HEADING.len() + length..]);
    format!("{before}{section}\n{after}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{section, with};

    #[test]
    fn a_program_is_weighed_with_the_libraries_that_it_loads() {
        let program = std::env::current_exe().unwrap();
        let measured = [("cold start".to_owned(), "0.20 s".to_owned())];
        let taken = [2.25, 7.75].map(|time| ("boots".to_owned(), Duration::from_secs_f64(time)));
        let text = section(&measured, &taken, &[program]).unwrap();
        assert!(text.contains("| cold start | 0.20 s |\n"), "{text}");
        assert!(
            text.contains("| `boots` | 7.8 s |\n| all | 10 s |\n"),
            "{text}"
        );
        let row = text.lines().last().unwrap();
        assert!(
            row.contains("`libc.so.6`") && row.ends_with(" MiB |"),
            "{row}"
        );
    }

    #[test]
    fn the_section_takes_the_place_of_the_one_before_it_and_leaves_the_others() {
        let first = with(
            "# Benchmarks\n\n## Runs\n\none\n",
            "## The appliance\n\ntwo\n",
        );
        assert_eq!(
            first,
            "# Benchmarks\n\n## Runs\n\none\n\n## The appliance\n\ntwo\n"
        );
        let more = format!("{first}\n## Plugins\n\nfour\n");
        let second = with(&more, "## The appliance\n\nthree\n");
        assert_eq!(second, more.replace("two", "three"));
    }
}
