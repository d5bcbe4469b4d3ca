//! References to files that hold secrets: settings name the file, never the secret.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest name of a file.
const MAX_NAME: usize = 255;

/// Where a secret is read from: an absolute path, or the bare name of a systemd credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileReference {
    /// A file at this absolute path.
    Path(PathBuf),
    /// A file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Why a text is not a reference to a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct InvalidFileReference {
    rule: &'static str,
}

impl FromStr for FileReference {
    type Err = InvalidFileReference;

    // The text is not repeated in the error: people paste the secret itself here.
    fn from_str(text: &str) -> Result<Self, InvalidFileReference> {
        let fail = |rule| Err(InvalidFileReference { rule });
        if text.is_empty() {
            return fail("must not be empty");
        }
        if text.chars().any(char::is_control) {
            return fail("must not contain control characters");
        }
        if text.starts_with('/') {
            return match text.ends_with('/') {
                true => fail("must be a file, not a folder"),
                false => Ok(Self::Path(PathBuf::from(text))),
            };
        }
        if text.contains('/') || text == "." || text == ".." || text.len() > MAX_NAME {
            return fail(
                "must be an absolute path, or a bare name that is looked up in $CREDENTIALS_DIRECTORY",
            );
        }
        Ok(Self::Credential(text.to_owned()))
    }
}

impl fmt::Display for FileReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Credential(name) => f.write_str(name),
        }
    }
}

/// The path of the file that `reference` names, where `credentials_dir` is the value of
/// `$CREDENTIALS_DIRECTORY`.
///
/// Without such a folder a bare name stays as it is, relative to the working folder: handy in
/// development, and the error of a missing file then shows the bare name.
pub fn resolve_secret_path(reference: &FileReference, credentials_dir: Option<&Path>) -> PathBuf {
    match (reference, credentials_dir) {
        (FileReference::Path(path), _) => path.clone(),
        (FileReference::Credential(name), Some(folder)) => folder.join(name),
        (FileReference::Credential(name), None) => PathBuf::from(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_a_credential_and_an_absolute_path_is_itself() {
        let folder = Some(Path::new("/run/credentials/ratd.service"));
        let resolve = |text: &str| resolve_secret_path(&text.parse().unwrap(), folder);
        assert_eq!(
            resolve("api-key"),
            Path::new("/run/credentials/ratd.service/api-key")
        );
        assert_eq!(resolve("/etc/rat/key"), Path::new("/etc/rat/key"));
        assert_eq!(
            resolve_secret_path(&"api-key".parse().unwrap(), None),
            Path::new("api-key")
        );
    }

    #[test]
    fn a_reference_cannot_leave_the_credentials_folder() {
        for text in [
            "",
            ".",
            "..",
            "../key",
            "a/b",
            "./key",
            "/etc/",
            "a\0b",
            &"x".repeat(256),
        ] {
            assert!(text.parse::<FileReference>().is_err(), "{text:?}");
        }
    }
}
