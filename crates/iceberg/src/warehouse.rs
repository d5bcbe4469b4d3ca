//! Where things lie in the lake.

use std::path::{Component, Path, PathBuf};

use iceberg::io::FileIO;
use rat_types::{RunId, TableIdent, ZoneIdent};
use url::Url;

use crate::storage::{LocationError, file_io_within, location_of};

/// The lake's folder and the places within it.
///
/// A location is `file://` and the path as it is, without escapes (see [`crate::storage`]), so
/// use [`crate::storage::local_path`] and not an URL parser to get back to the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warehouse {
    path: PathBuf,
    location: String,
}

impl Warehouse {
    /// The lake at `root`, a `file:///…` URI.
    ///
    /// # Errors
    /// Another scheme or a host; a path with `%`, `?`, `#` or control characters, which other
    /// clients of the catalog would read differently.
    pub fn new(root: &Url) -> Result<Self, LocationError> {
        let not_local = || LocationError::NotLocal {
            location: root.to_string(),
        };
        if root.scheme() != "file" || root.query().is_some() || root.fragment().is_some() {
            return Err(not_local());
        }
        let path = root.to_file_path().map_err(|()| not_local())?;
        // Drops a trailing slash.
        let path: PathBuf = path.components().collect();
        let text = path.to_str().ok_or_else(not_local)?;
        if text.contains(['%', '?', '#']) {
            return Err(LocationError::ReservedCharacter {
                location: text.to_owned(),
            });
        }
        if text.chars().any(char::is_control) || path.parent().is_none() {
            return Err(LocationError::Unsafe {
                location: text.to_owned(),
            });
        }
        Ok(Self {
            location: location_of(&path),
            path,
        })
    }

    /// The root as a location, without a slash at the end.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The root as a path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Access to the files of the lake and to no others.
    pub fn file_io(&self) -> FileIO {
        file_io_within(&self.path)
    }

    /// Location of a table.
    pub fn table_location(&self, ident: &TableIdent) -> String {
        format!("{}/{}", self.location, ident.folder())
    }

    /// Folder of the data files that a run writes. With [`Self::run_metadata_location`] this is
    /// everything: discarding the run is deleting both.
    pub fn run_data_location(&self, ident: &TableIdent, run: RunId) -> String {
        run_data_folder(&self.table_location(ident), run)
    }

    /// Folder of the manifests and manifest lists that a run writes.
    pub fn run_metadata_location(&self, ident: &TableIdent, run: RunId) -> String {
        run_metadata_folder(&self.table_location(ident), run)
    }

    /// Folder of a landing zone.
    pub fn zone_location(&self, zone: &ZoneIdent) -> String {
        format!("{}/{}/landing/{}", self.location, zone.namespace, zone.name)
    }

    /// Location of the file `path` in a landing zone.
    ///
    /// # Errors
    /// A path that is empty, absolute, climbs, or has an empty or `.` segment or a control
    /// character.
    pub fn landing_location(&self, zone: &ZoneIdent, path: &str) -> Result<String, LocationError> {
        let plain = |segment: &str| !matches!(segment, "" | "." | "..");
        if path.split('/').all(plain) && !path.chars().any(char::is_control) {
            return Ok(format!("{}/{path}", self.zone_location(zone)));
        }
        Err(LocationError::Unsafe {
            location: path.chars().take(300).collect(),
        })
    }
}

/// Folder of the data files that a run writes, in the table at `table`.
pub fn run_data_folder(table: &str, run: RunId) -> String {
    format!("{}/data/{}", table.trim_end_matches('/'), run.branch())
}

/// Folder of the manifests and manifest lists that a run writes, in the table at `table`.
pub fn run_metadata_folder(table: &str, run: RunId) -> String {
    format!("{}/metadata/{}", table.trim_end_matches('/'), run.branch())
}

/// Whether the file `location` lies inside the folder `folder` (and is not the folder itself).
///
/// Both readings of an escape have to lie inside: RAT takes `%2e%2e` for a name, another client
/// may take it for `..`.
pub fn is_inside(folder: &str, location: &str) -> bool {
    let Some(folder) = crate::storage::local_path(folder).ok() else {
        return false;
    };
    let mut reading = location.to_owned();
    // Escapes of escapes; a text that still changes after this many rounds is not a file name.
    for _ in 0..8 {
        if !is_plainly_inside(&folder, &reading) {
            return false;
        }
        match percent_decode(&reading) {
            Some(decoded) if decoded == reading => return true,
            Some(decoded) => reading = decoded,
            None => return false,
        }
    }
    false
}

fn is_plainly_inside(folder: &Path, location: &str) -> bool {
    crate::storage::local_path(location).is_ok_and(|path| {
        path.strip_prefix(folder).is_ok_and(|rest| {
            rest.components()
                .any(|part| matches!(part, Component::Normal(_)))
        })
    })
}

/// `None` if the result is not UTF-8. A `%` that starts no escape stands for itself.
fn percent_decode(text: &str) -> Option<String> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        match (byte, digit(bytes.get(i + 1)), digit(bytes.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).ok()?);
                i += 3;
            }
            _ => {
                decoded.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warehouse(root: &str) -> Result<Warehouse, LocationError> {
        Warehouse::new(&root.parse().unwrap())
    }

    #[test]
    fn places_are_built_from_the_root() {
        let lake = warehouse("file:///var/lib/rat/lake/").unwrap();
        let table: TableIdent = "shop.gold.daily".parse().unwrap();
        assert_eq!(lake.location(), "file:///var/lib/rat/lake");
        assert_eq!(
            lake.table_location(&table),
            "file:///var/lib/rat/lake/shop/gold/daily"
        );
        let run: RunId = "0190a000-0000-7000-8000-000000000001".parse().unwrap();
        assert_eq!(
            lake.run_data_location(&table, run),
            "file:///var/lib/rat/lake/shop/gold/daily/data/run-0190a000-0000-7000-8000-000000000001"
        );
        assert_eq!(
            lake.run_metadata_location(&table, run),
            "file:///var/lib/rat/lake/shop/gold/daily/metadata/run-0190a000-0000-7000-8000-000000000001"
        );
        let zone = ZoneIdent {
            namespace: "shop".parse().unwrap(),
            name: "raw".parse().unwrap(),
        };
        assert_eq!(
            lake.landing_location(&zone, "2026/a b.csv").unwrap(),
            "file:///var/lib/rat/lake/shop/landing/raw/2026/a b.csv"
        );
        for path in ["", "/a", "a//b", "../a", "a/..", "./a", "a\0", "a/"] {
            assert!(lake.landing_location(&zone, path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_space_in_the_root_is_not_escaped() {
        let lake = warehouse("file:///srv/a%20b/lake").unwrap();
        assert_eq!(lake.location(), "file:///srv/a b/lake");
        assert_eq!(lake.path(), Path::new("/srv/a b/lake"));
    }

    #[test]
    fn roots_that_other_clients_would_misread_are_refused() {
        for root in [
            "s3://bucket/lake",
            "file:///",
            "file:///a%25b",
            "file:///a%3Fb",
            "file://host/a",
            "file:///a?b",
            "file:///a#b",
            "file:///a%0Ab",
        ] {
            assert!(warehouse(root).is_err(), "{root}");
        }
    }

    #[test]
    fn inside_means_inside() {
        let folder = "file:///lake/a/b";
        for inside in [
            "file:///lake/a/b/c",
            "/lake/a/b/c",
            "file:/lake/a/b/c",
            "file:///lake/a/b//c",
            "file:///lake/a/b/./c",
            "file:///lake/a//b/d=1%2F2/c",
            "file:///lake/a/b/100%",
            "file:///lake/a/b/100%zz",
            "file:///lake/a/b/..c",
        ] {
            assert!(is_inside(folder, inside), "{inside}");
            assert!(is_inside("/lake/a/b/", inside), "{inside}");
        }
        for outside in [
            "file:///lake/a/b",
            "file:///lake/a/b/",
            "file:///lake/a/b/.",
            "file:///lake/a/bc/d",
            "file:///lake/a/b/../c",
            "file:///lake/a/b/c/../../../d",
            "file:///lake/a/b/%2e%2e/c",
            "file:///lake/a/b/%2E./c",
            "file:///lake/a/b/%252e%252e/c",
            "file:///lake/a/b/x%2f..%2f..%2fc",
            "file:///lake/a/b/c%00",
            "file:///lake/a/b/%ff",
            "file://host/lake/a/b/c",
            "s3://lake/a/b/c",
            "lake/a/b/c",
            "",
        ] {
            assert!(!is_inside(folder, outside), "{outside}");
        }
        assert!(!is_inside("not a folder", "file:///lake/a/b/c"));
    }
}
