//! Paths of files within a landing zone.
//!
//! They become names on disk, parts of locations and subjects of globs, so they are stricter than
//! those of source files: no character that means something to a URI or a glob, no name that
//! begins with a dot (files under construction do), no folder of a name that RAT keeps.

use rat_types::is_reserved_in_landing;

use crate::fault::Fault;
use crate::source_path::{check_segment, refused};

const LONGEST_PATH: usize = 1024;
/// Bytes that are kept of an uploaded file's name.
const LONGEST_NAME: usize = 200;

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || " ._-=+,@()".contains(c)
}

/// Checks a path that a caller chose.
pub(crate) fn check(path: &str) -> Result<(), Fault> {
    if path.len() > LONGEST_PATH {
        return Err(refused(path, "it must have at most 1024 bytes"));
    }
    if is_reserved_in_landing(path) {
        return Err(refused(
            path,
            "_samples and _processed are kept for RAT itself",
        ));
    }
    path.split('/')
        .try_for_each(check_name)
        .map_err(|rule| refused(path, rule))
}

fn check_name(name: &str) -> Result<(), &'static str> {
    check_segment(name)?;
    if name.starts_with('.') {
        return Err("no segment may begin with '.'");
    }
    if name != name.trim() {
        return Err("no segment may begin or end with a space");
    }
    match name.chars().all(is_plain) {
        true => Ok(()),
        false => Err("only letters, digits, spaces and . _ - = + , @ ( ) are allowed"),
    }
}

/// A name that can be stored, made of the one that an uploader sent: its last part, with an
/// underscore for every character that cannot stand in a name.
pub(crate) fn sanitize(file_name: &str) -> Result<String, Fault> {
    let last = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = last
        .chars()
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect();
    name = name.trim_start_matches(['.', ' ']).trim_end().to_owned();
    while name.len() > LONGEST_NAME {
        name.pop();
    }
    let name = name.trim_end().to_owned();
    match name.is_empty() || is_reserved_in_landing(&name) {
        true => Err(refused(file_name, "an uploaded file needs a name")),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_have_folders() {
        for good in [
            "a.csv",
            "2026/01/a.csv",
            "day=2026-01-01/a b (1).csv",
            "größe.csv",
            "_SUCCESS",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        let (long, deep) = ("x".repeat(256), "x/".repeat(600) + "y");
        for trick in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "./a",
            "a/.b",
            ".a",
            "a\\b",
            "a\0",
            "a\n",
            "a%2fb",
            "%2e%2e/a",
            "a*b",
            "a?b",
            "a#b",
            "a[b]",
            "{a}",
            "a:b",
            " a",
            "a /b",
            "_samples/a",
            "_processed/1/a",
            "_samples",
            "2026/_samples/a",
            "a/_PROCESSED",
            "_Samples/a",
            &long,
            &deep,
        ] {
            assert!(check(trick).is_err(), "{trick:?}");
        }
    }

    #[test]
    fn a_file_name_of_any_browser_becomes_a_name() {
        for (sent, kept) in [
            ("a.csv", "a.csv"),
            ("C:\\Users\\me\\a.csv", "a.csv"),
            ("../../etc/passwd", "passwd"),
            ("a\0b%2f.csv", "a_b_2f.csv"),
            (".hidden", "hidden"),
            ("..", ""),
            ("", ""),
            ("_samples", ""),
            ("_SAMPLES", ""),
            ("über*.csv", "über_.csv"),
        ] {
            let got = sanitize(sent).unwrap_or_default();
            assert_eq!(got, kept, "{sent:?}");
            assert!(got.is_empty() || check(&got).is_ok(), "{got:?}");
        }
        assert_eq!(sanitize(&"ü".repeat(300)).unwrap().len(), LONGEST_NAME);
    }
}
