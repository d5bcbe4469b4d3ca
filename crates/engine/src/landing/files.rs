//! Which of the run's files a pattern names.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use rat_types::{LandingFile, ZoneIdent, is_reserved_in_landing};
use url::Url;

use crate::Error;
use crate::landing::Landing;
use crate::landing::source::SourceFile;

/// All files that match one of `patterns`, each once, in order of their names.
pub(super) fn find(patterns: &[String], landing: Landing<'_>) -> Result<Vec<SourceFile>, Error> {
    let mut found = Vec::new();
    for pattern in patterns {
        let (zone, matcher) = parse(pattern, landing)?;
        let in_zone = || landing.files.iter().filter(|file| file.zone == zone);
        let before = found.len();
        for file in in_zone().filter(|file| is_data(file) && matcher.is_match(&file.path)) {
            found.push(to_source(file)?);
        }
        if found.len() == before {
            return Err(Error::LandingFileNotFound {
                pattern: pattern.clone(),
                hint: hint(&zone, in_zone()),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    Ok(found)
}

fn is_data(file: &LandingFile) -> bool {
    !is_reserved_in_landing(&file.path)
}

fn parse(pattern: &str, landing: Landing<'_>) -> Result<(ZoneIdent, GlobMatcher), Error> {
    let shown: String = pattern.chars().take(200).collect();
    let Some((zone, glob)) = rat_pipeline::parse_landing_uri(pattern) else {
        return Err(Error::sql(format!(
            "{shown:?} is not in a landing zone: write '{{{{ landing_zone('zone') }}}}'"
        )));
    };
    if !landing.zones.contains(&zone) {
        let name = &zone.name;
        return Err(Error::sql(format!(
            "{shown:?} is read without landing_zone(): write '{{{{ landing_zone('{name}') }}}}'"
        )));
    }
    let glob = GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(false)
        .build();
    let glob = glob.map_err(|error| {
        Error::sql(format!(
            "{shown:?} is not a valid pattern: {}",
            error.kind()
        ))
    })?;
    Ok((zone, glob.compile_matcher()))
}

fn hint<'a>(zone: &ZoneIdent, files: impl Iterator<Item = &'a LandingFile>) -> String {
    let names: Vec<&str> = files
        .filter(|file| is_data(file))
        .map(|file| file.path.as_str())
        .collect();
    match names.as_slice() {
        [] => format!(", landing zone {zone} has no files"),
        [first] => format!(", landing zone {zone} has one file, {first}"),
        [first, .., last] => {
            format!(
                ", landing zone {zone} has {} files, {first} to {last}",
                names.len()
            )
        }
    }
}

fn to_source(file: &LandingFile) -> Result<SourceFile, Error> {
    let name = format!("{}/{}", file.zone, file.path);
    let path = Url::parse(&file.location)
        .ok()
        .filter(|url| url.scheme() == "file")
        .and_then(|url| url.to_file_path().ok());
    match path {
        Some(path) => {
            let root = lake_of(file, &path);
            let source = SourceFile::new(name, path, file.size_bytes);
            Ok(source.below(root))
        }
        None => Err(Error::internal(format!(
            "{name} has a location that is no local file"
        ))),
    }
}

/// The lake's folder, as far as the file's place in it tells; otherwise the file's own folder.
fn lake_of(file: &LandingFile, path: &Path) -> PathBuf {
    let ZoneIdent { namespace, name } = &file.zone;
    let within = format!("{namespace}/landing/{name}/{}", file.path);
    let depth = match path.ends_with(&within) {
        true => Path::new(&within).components().count(),
        false => 1,
    };
    path.ancestors().nth(depth).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(paths: &[&str], patterns: &[&str]) -> Result<Vec<String>, String> {
        let zone = ZoneIdent {
            namespace: "shop".parse().unwrap(),
            name: "raw".parse().unwrap(),
        };
        let files: Vec<LandingFile> = paths
            .iter()
            .map(|path| LandingFile {
                zone: zone.clone(),
                path: (*path).to_owned(),
                location: format!("file:///lake/shop/landing/raw/{path}"),
                size_bytes: 1,
            })
            .collect();
        let zones = BTreeSet::from([zone]);
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        find(
            &patterns,
            Landing {
                files: &files,
                zones: &zones,
            },
        )
        .map(|files| files.into_iter().map(|file| file.name).collect())
        .map_err(|error| error.to_string())
    }

    #[test]
    fn patterns_match_whole_path_parts() {
        let files = [
            "b.csv",
            "a.csv",
            "2026/c.csv",
            "2026/01/d.csv",
            "_samples/e.csv",
            "2026/_Processed/f.csv",
        ];
        let found = |pattern: &str| names(&files, &[&format!("landing://shop/raw/{pattern}")]);
        assert_eq!(
            found("**").unwrap(),
            [
                "shop.raw/2026/01/d.csv",
                "shop.raw/2026/c.csv",
                "shop.raw/a.csv",
                "shop.raw/b.csv"
            ]
        );
        assert_eq!(
            found("*.csv").unwrap(),
            ["shop.raw/a.csv", "shop.raw/b.csv"]
        );
        assert_eq!(found("2026/*").unwrap(), ["shop.raw/2026/c.csv"]);
        assert_eq!(found("**/d.csv").unwrap(), ["shop.raw/2026/01/d.csv"]);
        assert_eq!(found("{a,b}.csv").unwrap().len(), 2);
    }

    #[test]
    fn no_link_in_the_lake_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, outside) = (folder.path().join("lake"), folder.path().join("outside"));
        let zone = lake.join("shop/landing/raw");
        std::fs::create_dir_all(&zone).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("a.csv"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, zone.join("sub")).unwrap();
        std::os::unix::fs::symlink(outside.join("a.csv"), zone.join("a.csv")).unwrap();
        std::fs::write(zone.join("b.csv"), "x").unwrap();
        let open = |path: &str| {
            let file = LandingFile {
                zone: ZoneIdent {
                    namespace: "shop".parse().unwrap(),
                    name: "raw".parse().unwrap(),
                },
                path: path.to_owned(),
                location: format!("file://{}/{path}", zone.display()),
                size_bytes: 1,
            };
            let opened = to_source(&file).unwrap().open();
            opened.map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(open("b.csv"), Ok(()));
        for path in ["a.csv", "sub/a.csv"] {
            let error = open(path).unwrap_err();
            assert!(error.contains("a link is in its place"), "{error}");
        }
    }

    #[test]
    fn no_match_says_what_there_is() {
        assert_eq!(
            names(&["a.csv", "b.csv"], &["landing://shop/raw/*.json"]).unwrap_err(),
            "no landing file matches landing://shop/raw/*.json, landing zone shop.raw has 2 files, a.csv to b.csv"
        );
        assert!(
            names(&[], &["landing://shop/raw/**"])
                .unwrap_err()
                .ends_with("has no files")
        );
    }

    #[test]
    fn nothing_outside_a_declared_zone_can_be_named() {
        for pattern in [
            "/etc/passwd",
            "file:///etc/passwd",
            "http://example.org/x.csv",
            "s3://bucket/x.csv",
            "landing://shop/raw/../../secret",
            "landing://shop/other/**",
            "landing://elsewhere/raw/**",
            "landing://shop",
            "a.csv",
            "landing://shop/raw/[",
        ] {
            assert!(names(&["a.csv"], &[pattern]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_file_that_two_patterns_name_is_read_once() {
        let patterns = ["landing://shop/raw/a*", "landing://shop/raw/**"];
        assert_eq!(names(&["a.csv"], &patterns).unwrap(), ["shop.raw/a.csv"]);
    }
}
