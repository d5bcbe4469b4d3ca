//! Paths of source files: `{namespace}/pipelines/{layer}/{name}/{rest}` and nothing else.
//!
//! The path arrives percent-decoded once. A `%` that is left would be an encoding within the
//! encoding, so it is refused like everything that could mean another file to somebody:
//! `..`, an empty segment, a backslash, control characters.

use rat_types::{InvalidName, TableIdent};

use crate::fault::Fault;

const LONGEST_PATH: usize = 1024;
const LONGEST_SEGMENT: usize = 255;

/// A source file of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourcePath {
    /// The pipeline.
    pub(crate) pipeline: TableIdent,
    /// The whole path.
    pub(crate) full: String,
}

/// The folder of a pipeline's sources, with a `/` at the end.
pub(crate) fn folder(pipeline: &TableIdent) -> String {
    format!(
        "{}/pipelines/{}/{}/",
        pipeline.namespace, pipeline.layer, pipeline.name
    )
}

/// Parses the path of a source file.
pub(crate) fn parse(path: &str) -> Result<SourcePath, Fault> {
    check_segments(path)?;
    match path.split('/').collect::<Vec<_>>()[..] {
        [namespace, "pipelines", layer, name, _, ..] => {
            let ident = || -> Result<TableIdent, InvalidName> {
                Ok(TableIdent {
                    namespace: namespace.parse()?,
                    layer: layer.parse()?,
                    name: name.parse()?,
                })
            };
            Ok(SourcePath {
                pipeline: ident()?,
                full: path.to_owned(),
            })
        }
        _ => Err(refused(
            path,
            "it must be {namespace}/pipelines/{layer}/{name}/{file}",
        )),
    }
}

/// Checks a prefix, which may end anywhere in a path.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), Fault> {
    match prefix.strip_suffix('/').unwrap_or(prefix) {
        "" => Err(refused(
            prefix,
            "a prefix is needed, for example \"default/\"",
        )),
        text => check_segments(text),
    }
}

fn check_segments(path: &str) -> Result<(), Fault> {
    if path.len() > LONGEST_PATH {
        return Err(refused(path, "it must have at most 1024 bytes"));
    }
    for segment in path.split('/') {
        check_segment(segment).map_err(|rule| refused(path, rule))?;
    }
    Ok(())
}

/// One name of a path, of sources as of landing files.
pub(crate) fn check_segment(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        return Err("it must not begin or end with '/', nor have an empty segment");
    }
    if matches!(segment, "." | "..") {
        return Err("it must not have a segment \".\" or \"..\"");
    }
    if segment.len() > LONGEST_SEGMENT {
        return Err("no segment may have more than 255 bytes");
    }
    match segment
        .chars()
        .any(|c| c.is_control() || c == '\\' || c == '%' || c == char::MAX)
    {
        true => Err("backslashes, percent signs and control characters are not allowed"),
        false => Ok(()),
    }
}

pub(crate) fn refused(path: &str, rule: &str) -> Fault {
    let shown: String = path.chars().take(160).collect();
    Fault::invalid(format!("invalid path {shown:?}: {rule}")).because("PATH_INVALID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_file_belongs_to_its_pipeline() {
        let parsed = parse("shop/pipelines/gold/daily/tests/quality/a.sql").unwrap();
        assert_eq!(parsed.pipeline.to_string(), "shop.gold.daily");
        for good in ["pipeline.sql", ".gitkeep", "docs/für alle (neu).md", "..b"] {
            assert!(
                parse(&format!("shop/pipelines/gold/daily/{good}")).is_ok(),
                "{good}"
            );
        }
    }

    #[test]
    fn tricks_are_refused() {
        let long = format!("shop/pipelines/gold/daily/{}", "x".repeat(256));
        let deep = format!("shop/pipelines/gold/daily/{}", "x/".repeat(600) + "y");
        for trick in [
            "",
            "/",
            "pipeline.sql",
            "shop/pipelines/gold/daily",
            "shop/pipelines/gold/daily/",
            "/shop/pipelines/gold/daily/pipeline.sql",
            "shop/pipelines/gold/daily//pipeline.sql",
            "shop/pipelines/gold/daily/../other/pipeline.sql",
            "shop/pipelines/gold/daily/./pipeline.sql",
            "shop/pipelines/gold/daily/a\\b.sql",
            "shop/pipelines/gold/daily/a\0.sql",
            "shop/pipelines/gold/daily/%2e%2e/x",
            "shop/pipelines/gold/daily/a%2fb",
            "shop/pipelines/gold/daily/a\nb",
            "shop/pipelines/platinum/daily/pipeline.sql",
            "Shop/pipelines/gold/daily/pipeline.sql",
            "shop/landing/gold/daily/pipeline.sql",
            "../../etc/passwd",
            &long,
            &deep,
        ] {
            assert!(parse(trick).is_err(), "{trick:?}");
        }
    }

    #[test]
    fn a_prefix_may_end_anywhere_but_not_climb() {
        for good in ["shop", "shop/", "shop/pipelines/gold/da"] {
            assert!(check_prefix(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "//", "../", "shop/..", "shop//", "a\\b", "%2e"] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
    }
}
