//! The edge of `rat-config`: finds the file, collects the environment, reads secrets.
//!
//! The settings file is the one of `--config`, else `$RAT_CONFIG`, else `./rat.yaml`, else there
//! is none and the defaults of the community installation hold. A file that was named has to be
//! there; whatever is wrong with it is told all at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rat_config::{FileReference, Problems, Settings, resolve_secret_path};
use rat_types::Secret;

const FILE_VARIABLE: &str = "RAT_CONFIG";
const DEFAULT_FILE: &str = "rat.yaml";
const PREFIX: &str = "RAT_";
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Larger files are no secrets and no settings.
const MAX_SECRET: u64 = 64 << 10;
const MAX_FILE: u64 = 4 << 20;
/// Permission of everybody to read.
const WORLD_READABLE: u32 = 0o004;

/// Why there are no settings. All of these are the operator's to mend: exit code 78.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there, or not for us to read.
    #[error("failed to read the settings file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// Unset or rewrite the variable.
    #[error("the environment variable {name} is not valid UTF-8")]
    Environment {
        /// The variable.
        name: String,
    },
    /// One problem a line.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is not there, or not for us to read.
    #[error("failed to read the secret file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// An empty secret would let everybody in.
    #[error("the secret file {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Nobody could present it: HTTP takes spaces off the ends of a header's value and knows no
    /// line breaks in it.
    #[error(
        "the secret file {} holds spaces at an end, or control characters within",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}

/// Loads the settings for a daemon, `named` being the argument of `--config`.
///
/// # Errors
/// See [`Error`].
pub fn load(named: Option<&Path>) -> Result<Settings, Error> {
    match file(named) {
        Some(path) => check(&path),
        None => Ok(Settings::load(None, &environment()?)?),
    }
}

/// Loads the settings in `path`, with the overrides of the environment.
///
/// # Errors
/// See [`Error`].
pub fn check(path: &Path) -> Result<Settings, Error> {
    let text = read(path, MAX_FILE).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(Settings::load(
        Some((&path.display().to_string(), &text)),
        &environment()?,
    )?)
}

/// Which file [`load`] reads; `None` where there is none and the defaults are taken.
pub fn file(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    if let Some(path) = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let path = Path::new(DEFAULT_FILE);
    path.exists().then(|| path.to_owned())
}

fn environment() -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let value = value.into_string().map_err(|_| Error::Environment {
            name: name.to_owned(),
        })?;
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

/// Where the file that `reference` names is.
pub fn path_of(reference: &FileReference) -> PathBuf {
    let folder = std::env::var_os(CREDENTIALS_VARIABLE).map(PathBuf::from);
    resolve_secret_path(reference, folder.as_deref())
}

/// Reads the secret that `reference` names, without the line break at its end. Warns when
/// everybody on the machine can read the file.
///
/// # Errors
/// See [`SecretError`].
pub fn read_secret(reference: &FileReference) -> Result<Secret, SecretError> {
    let path = path_of(reference);
    let text = read(&path, MAX_SECRET).map_err(|source| SecretError::Read {
        path: path.clone(),
        source,
    })?;
    if is_world_readable(&path) {
        tracing::warn!(path = %path.display(), "everybody on this machine can read a secret file");
    }
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.trim().is_empty() {
        return Err(SecretError::Empty { path });
    }
    if secret.trim() != secret || secret.contains(char::is_control) {
        return Err(SecretError::Unusable { path });
    }
    Ok(Secret::new(secret))
}

fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & WORLD_READABLE != 0)
}

fn read(path: &Path, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(limit + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> (tempfile::NamedTempFile, FileReference) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let reference = FileReference::Path(file.path().to_owned());
        (file, reference)
    }

    #[test]
    fn a_secret_loses_its_line_break_and_nothing_else() {
        let (_file, reference) = file("hunter 2\r\n");
        assert_eq!(read_secret(&reference).unwrap().expose(), "hunter 2");
    }

    #[test]
    fn a_secret_that_no_header_can_carry_is_an_error() {
        for text in [" key", "key ", "a\nb", "a\tb", "a\0b"] {
            let (_file, reference) = file(text);
            let refused = read_secret(&reference);
            assert!(
                matches!(refused, Err(SecretError::Unusable { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_empty_or_missing_secret_is_an_error() {
        let (_file, reference) = file("\n");
        assert!(matches!(
            read_secret(&reference),
            Err(SecretError::Empty { .. })
        ));
        let missing = FileReference::Path("/nonexistent/secret".into());
        assert!(matches!(
            read_secret(&missing),
            Err(SecretError::Read { .. })
        ));
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = read(Path::new("/dev/zero"), 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_named_file_has_to_be_there() {
        let error = load(Some(Path::new("/nonexistent/rat.yaml"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to read the settings file /nonexistent/rat.yaml"
        );
    }

    #[test]
    fn problems_are_told_all_at_once() {
        let (file, _) = file("server: {lisetn: x}\nlog: {level: loud}\n");
        let text = check(file.path()).unwrap_err().to_string();
        assert!(
            text.contains("lisetn") && text.contains("log.level"),
            "{text}"
        );
    }
}
