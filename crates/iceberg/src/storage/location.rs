//! From the location of a file, as it stands in Iceberg metadata, to a path of this machine.
//!
//! The text after `file://` *is* the path: nothing is percent-decoded. Iceberg writers escape
//! partition values in the names of folders (`at=2026-01-01T00%3A00`) and then create folders of
//! exactly that name, so whoever decodes looks in the wrong place.

use std::path::{Component, Path, PathBuf};

use rat_types::Kind;

/// A location that names no usable path of this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Another scheme, a host, or a relative path.
    #[error("{location:?} is not the location of a local file, file:///…")]
    NotLocal {
        /// The location, cut at 300 characters.
        location: String,
    },
    /// A path that climbs, which no writer of ours makes.
    #[error("{location:?} contains '..' or a control character")]
    Unsafe {
        /// The location, cut at 300 characters.
        location: String,
    },
    /// A path that leaves the folder to which this storage is confined.
    #[error("{location:?} lies outside of {root}")]
    OutsideRoot {
        /// The location, cut at 300 characters.
        location: String,
        /// The folder.
        root: PathBuf,
    },
    /// A character that other Iceberg clients would read as part of the URI's syntax.
    #[error("the lake's folder {location:?} must not contain '%', '?' or '#'")]
    ReservedCharacter {
        /// The folder.
        location: String,
    },
}

impl LocationError {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotLocal { .. }
            | Self::Unsafe { .. }
            | Self::OutsideRoot { .. }
            | Self::ReservedCharacter { .. } => Kind::InvalidArgument,
        }
    }

    /// Stable name of the failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotLocal { .. } => "LOCATION_NOT_LOCAL",
            Self::Unsafe { .. } => "LOCATION_UNSAFE",
            Self::OutsideRoot { .. } => "LOCATION_OUTSIDE_ROOT",
            Self::ReservedCharacter { .. } => "LOCATION_RESERVED_CHARACTER",
        }
    }
}

pub(crate) fn shorten(location: &str) -> String {
    location.chars().take(300).collect()
}

/// The path that `location` (`file:///…`, `file:/…` or `/…`) names.
///
/// # Errors
/// Another scheme, a relative path, `..` or a control character.
pub fn local_path(location: &str) -> Result<PathBuf, LocationError> {
    let path = strip_scheme(location).ok_or_else(|| LocationError::NotLocal {
        location: shorten(location),
    })?;
    let climbs = Path::new(path)
        .components()
        .any(|part| matches!(part, Component::ParentDir));
    if climbs || path.chars().any(char::is_control) {
        return Err(LocationError::Unsafe {
            location: shorten(location),
        });
    }
    // Collects the components, which drops `//` and `/./`.
    Ok(Path::new(path).components().collect())
}

/// The location of an absolute path: the inverse of [`local_path`].
pub fn location_of(path: &Path) -> String {
    format!("file://{}", path.display())
}

pub(crate) fn strip_scheme(location: &str) -> Option<&str> {
    let path = location
        .strip_prefix("file://")
        .or_else(|| location.strip_prefix("file:"))
        .unwrap_or(location);
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_local_path_is_understood() {
        for location in [
            "file:///a/b",
            "file:/a/b",
            "/a/b",
            "file:///a//b",
            "file:///a/./b/",
        ] {
            assert_eq!(
                local_path(location).unwrap(),
                PathBuf::from("/a/b"),
                "{location}"
            );
        }
    }

    #[test]
    fn escapes_are_part_of_the_name() {
        assert_eq!(
            local_path("file:///a/d=1%2F2").unwrap(),
            PathBuf::from("/a/d=1%2F2")
        );
    }

    #[test]
    fn other_schemes_hosts_and_relative_paths_are_refused() {
        for location in [
            "s3://a/b",
            "file://host/a",
            "a/b",
            "",
            "file:",
            "file://",
            "http:///a",
        ] {
            assert!(
                matches!(local_path(location), Err(LocationError::NotLocal { .. })),
                "{location}"
            );
        }
    }

    #[test]
    fn climbing_paths_and_control_characters_are_refused() {
        for location in ["file:///a/../b", "/..", "file:///a/b\0", "file:///a/b\n"] {
            assert!(
                matches!(local_path(location), Err(LocationError::Unsafe { .. })),
                "{location:?}"
            );
        }
    }
}
