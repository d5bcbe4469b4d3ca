//! Paths of source files: which are possible, and what they say.

use rat_types::TableIdent;

use crate::Error;

const PATH: &str = "file path";
const PATH_RULE: &str = "it must be relative, with '/' between segments, none of them empty, '.' \
                         or '..', without backslashes and control characters, at most 1024 bytes";
/// Greater than every valid path that starts with the same text: no character comes after it.
const LAST_CHARACTER: char = char::MAX;

/// Folder of a pipeline's sources, with a `/` at the end.
pub(crate) fn pipeline_folder(pipeline: &TableIdent) -> String {
    format!(
        "{}/pipelines/{}/{}/",
        pipeline.namespace, pipeline.layer, pipeline.name
    )
}

/// The pipeline in whose folder `path` lies.
pub(super) fn pipeline_of(path: &str) -> Option<TableIdent> {
    let mut parts = path.splitn(5, '/');
    let namespace = parts.next()?.parse().ok()?;
    if parts.next()? != "pipelines" {
        return None;
    }
    let layer = parts.next()?.parse().ok()?;
    let name = parts.next()?.parse().ok()?;
    parts.next()?;
    Some(TableIdent {
        namespace,
        layer,
        name,
    })
}

pub(crate) fn check_path(path: &str) -> Result<(), Error> {
    let segment = |segment: &str| !matches!(segment, "" | "." | "..");
    let odd = |c: char| c == '\\' || c.is_control() || c == LAST_CHARACTER;
    if path.len() <= 1024 && path.split('/').all(segment) && !path.contains(odd) {
        Ok(())
    } else {
        Err(Error::invalid(PATH, path, PATH_RULE))
    }
}

/// Upper bound, itself excluded, of the paths that start with `prefix`.
pub(super) fn end_of(prefix: &str) -> String {
    format!("{prefix}{LAST_CHARACTER}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_a_pipeline_folder_belongs_to_the_pipeline() {
        let of = |path| pipeline_of(path).map(|ident| ident.to_string());
        let orders = Some("shop.silver.orders".to_owned());
        assert_eq!(of("shop/pipelines/silver/orders/pipeline.sql"), orders);
        assert_eq!(
            of("shop/pipelines/silver/orders/tests/quality/a.sql"),
            orders
        );
        for outside in [
            "shop/pipelines/silver/orders",
            "shop/pipelines/platinum/orders/pipeline.sql",
            "shop/landing/silver/orders/pipeline.sql",
            "Shop/pipelines/silver/orders/pipeline.sql",
            "readme.md",
        ] {
            assert_eq!(of(outside), None, "{outside}");
        }
    }

    #[test]
    fn odd_paths_are_refused() {
        for good in ["a", "a/b.sql", "a/..b", "ä/ß"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        let long = "x".repeat(1025);
        for bad in [
            "", "/a", "a/", "a//b", "a/../b", "./a", "a\\b", "a\0b", "a\nb", &long,
        ] {
            let error = check_path(bad).unwrap_err();
            assert_eq!(error.kind(), rat_types::Kind::InvalidArgument, "{bad:?}");
        }
    }
}
