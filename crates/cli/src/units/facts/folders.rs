//! Folders that a setting cannot name.
//!
//! A folder of the settings is opened for writing, and that of the lake is handed to ratd
//! (`systemd-tmpfiles` makes it, with owner and mode). With a folder of the system that would break
//! the machine; with one that the services do not see, or that does not last, data would be lost.

use std::path::{Component, Path};

use anyhow::{Result, bail, ensure};

use super::STATE;

/// Why a folder cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It holds more than RAT's data; a folder within it is fine.
    System,
    /// The system's, with all that is in it.
    Programs,
    /// The sandbox of the units hides it, and all that is in it.
    Hidden,
    /// What is in it is not kept.
    Passing,
    /// Something else keeps its state there.
    Foreign,
}

const FOLDERS: &[(&str, Fault)] = &[
    ("/", Fault::System),
    ("/bin", Fault::Programs),
    ("/boot", Fault::Programs),
    ("/dev", Fault::Hidden),
    ("/etc", Fault::System),
    ("/home", Fault::Hidden),
    ("/lib", Fault::Programs),
    ("/lib32", Fault::Programs),
    ("/lib64", Fault::Programs),
    ("/lost+found", Fault::Programs),
    ("/media", Fault::System),
    ("/mnt", Fault::System),
    ("/nix", Fault::System),
    ("/nix/store", Fault::Programs),
    ("/opt", Fault::System),
    ("/proc", Fault::Passing),
    ("/root", Fault::Hidden),
    ("/run", Fault::Passing),
    ("/run/user", Fault::Hidden),
    ("/sbin", Fault::Programs),
    ("/srv", Fault::System),
    ("/sys", Fault::Passing),
    ("/tmp", Fault::Hidden),
    ("/usr", Fault::System),
    ("/usr/bin", Fault::Programs),
    ("/usr/lib", Fault::Programs),
    ("/usr/lib32", Fault::Programs),
    ("/usr/lib64", Fault::Programs),
    ("/usr/local", Fault::System),
    ("/usr/local/bin", Fault::Programs),
    ("/usr/local/lib", Fault::System),
    ("/usr/local/lib/systemd", Fault::Programs),
    ("/usr/local/sbin", Fault::Programs),
    ("/usr/local/share", Fault::System),
    ("/usr/sbin", Fault::Programs),
    ("/usr/share", Fault::System),
    ("/var", Fault::System),
    ("/var/cache", Fault::System),
    ("/var/lib", Fault::System),
    ("/var/lib/dpkg", Fault::Foreign),
    ("/var/lib/postgresql", Fault::Foreign),
    ("/var/lib/private", Fault::Foreign),
    ("/var/lib/rat-plugins", Fault::Foreign),
    ("/var/lib/systemd", Fault::Foreign),
    ("/var/lock", Fault::Passing),
    ("/var/log", Fault::System),
    ("/var/mail", Fault::System),
    ("/var/opt", Fault::System),
    ("/var/run", Fault::Passing),
    ("/var/spool", Fault::System),
    ("/var/tmp", Fault::Hidden),
];

impl Fault {
    /// Whether a folder within is none, too.
    fn is_of_all_within(self) -> bool {
        self != Self::System
    }

    fn reason(self) -> &'static str {
        match self {
            Self::System => "a folder of the system that holds more than RAT's data",
            Self::Programs => "a folder of the system's own files",
            Self::Hidden => "which the units do not see",
            Self::Passing => "where nothing is kept",
            Self::Foreign => "where something else keeps its state",
        }
    }
}

/// The innermost folder of the table that `path` is in, or is.
fn fault_of(path: &Path) -> Option<(&'static str, Fault)> {
    FOLDERS
        .iter()
        .filter(|(folder, fault)| match fault.is_of_all_within() {
            true => path.starts_with(folder),
            false => path == Path::new(folder),
        })
        .max_by_key(|(folder, _)| folder.len())
        .copied()
}

/// Refuses a folder of `setting` that cannot be one; `instead` says what can.
pub(super) fn check(setting: &str, path: &Path, instead: &str) -> Result<()> {
    let shown = path.display();
    ensure!(
        path.is_absolute(),
        "{setting}: must have an absolute path, and not one from where ratd is started; {instead}"
    );
    ensure!(
        !path.components().any(|part| part == Component::ParentDir),
        "{setting}: {shown} leads back out of a folder; write it without `..`"
    );
    ensure!(
        path != Path::new(STATE),
        "{setting}: {STATE} is ratd's own folder; {instead}"
    );
    match fault_of(path) {
        None => Ok(()),
        Some((folder, fault)) if path == Path::new(folder) => {
            bail!("{setting}: {shown} is {}; {instead}", itself(fault))
        }
        Some((folder, fault)) => {
            bail!(
                "{setting}: {shown} is in {folder}, {}; {instead}",
                fault.reason()
            )
        }
    }
}

fn itself(fault: Fault) -> &'static str {
    match fault {
        Fault::System | Fault::Programs => fault.reason(),
        Fault::Hidden => "a folder that the units do not see",
        Fault::Passing => "a folder in which nothing is kept",
        Fault::Foreign => "a folder in which something else keeps its state",
    }
}

/// The folder, hidden by the sandbox, that `path` is in.
pub(super) fn hidden_in(path: &Path) -> Option<&'static str> {
    fault_of(path)
        .filter(|(_, fault)| *fault == Fault::Hidden)
        .map(|(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &str) -> Option<String> {
        let checked = check("a.b", Path::new(path), "take another");
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn every_folder_of_the_table_is_refused_and_some_with_all_that_is_in_them() {
        for (folder, fault) in FOLDERS {
            for path in [
                (*folder).to_owned(),
                format!("{folder}/"),
                format!("/{folder}/."),
            ] {
                let message = refusal(&path).unwrap_or_default();
                assert!(
                    message.starts_with("a.b: ") && message.ends_with("; take another"),
                    "{path}: {message}"
                );
            }
            let within = Path::new(folder).join("rat/lake");
            let is_refused = refusal(within.to_str().unwrap()).is_some();
            assert_eq!(is_refused, fault.is_of_all_within(), "{}", within.display());
        }
    }

    #[test]
    fn folders_of_ones_own_are_taken() {
        for path in [
            "/data",
            "/srv/lake",
            "/var/lib/rat/lake",
            "/var/lib/rat-lake",
            "/var/lib/postgresql-lake",
            "/mnt/disk",
            "/homes/lake",
            "/var/cache/rat",
        ] {
            assert_eq!(refusal(path), None, "{path}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        for (path, message) in [
            (
                "/var/lib",
                "a.b: /var/lib is a folder of the system that holds more",
            ),
            (
                "/dev/shm",
                "a.b: /dev/shm is in /dev, which the units do not see; ",
            ),
            (
                "/run/user/1",
                "a.b: /run/user/1 is in /run/user, which the units",
            ),
            ("/run/x", "a.b: /run/x is in /run, where nothing is kept; "),
            (
                "/var/lib/private/x",
                "is in /var/lib/private, where something else keeps",
            ),
            (
                "/srv/../etc",
                "a.b: /srv/../etc leads back out of a folder; ",
            ),
            (
                "rat",
                "a.b: must have an absolute path, and not one from where ratd is started; take",
            ),
            (
                "/var/lib/rat/",
                "a.b: /var/lib/rat is ratd's own folder; take another",
            ),
        ] {
            let refusal = refusal(path).unwrap_or_default();
            assert!(refusal.contains(message), "{path}: {refusal}");
        }
    }
}
