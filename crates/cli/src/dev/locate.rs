//! Where the programs are that `rat dev` starts.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::{AccessFlags, access};

/// The programs, by what they are called.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) rat: PathBuf,
    pub(super) ratd: PathBuf,
    pub(super) runner: PathBuf,
    pub(super) ratq: PathBuf,
}

/// Looks beside this program, then along PATH; names everything that is missing at once.
pub(super) fn programs() -> Result<Programs> {
    let rat = env::current_exe().context("cannot find out where this program is")?;
    let beside = rat.parent().map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = beside
        .into_iter()
        .chain(env::split_paths(&path))
        .filter(|p| p.is_absolute())
        .collect();
    let mut missing = Vec::new();
    let mut find = |name: &'static str| {
        let found = find(name, &folders);
        if found.is_none() {
            missing.push(name);
        }
        found.unwrap_or_default()
    };
    let programs = Programs {
        ratd: find("ratd"),
        runner: find("rat-runner"),
        ratq: find("ratq"),
        rat: rat.clone(),
    };
    if !missing.is_empty() {
        bail!(
            "cannot find {} beside {} or in PATH; install all programs of RAT together, or build them with: cargo build --workspace",
            missing.join(", "),
            rat.display()
        );
    }
    Ok(programs)
}

/// How a person calls this program: `rat` where the shell finds this one under that name, its path
/// otherwise.
pub(super) fn own_name() -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    env::current_exe().map_or_else(|_| "rat".to_owned(), |rat| name_in(&rat, &path))
}

fn name_in(rat: &Path, path: &OsStr) -> String {
    let folders: Vec<PathBuf> = env::split_paths(path).collect();
    let real = |file: &Path| file.canonicalize().ok();
    let found = find("rat", &folders).and_then(|found| real(&found));
    if found.is_some() && found == real(rat) {
        return "rat".to_owned();
    }
    let shown = rat.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    match shown.chars().all(is_plain) {
        true => shown,
        false => format!("'{}'", shown.replace('\'', "'\\''")),
    }
}

fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|file| file.is_file() && access(file.as_path(), AccessFlags::X_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_is_an_executable_file_in_the_first_folder_that_has_one() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let paths: Vec<PathBuf> = folders
            .iter()
            .map(|folder| folder.path().to_owned())
            .collect();
        assert_eq!(find("ratd", &paths), None);
        for path in &paths {
            std::fs::write(path.join("ratd"), "").unwrap();
        }
        assert_eq!(find("ratd", &paths), None, "not executable");
        let second = paths[1].join("ratd");
        std::fs::set_permissions(&second, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("ratd", &paths), Some(second));
    }

    #[test]
    fn this_program_is_called_by_its_path_unless_the_shell_finds_it_as_rat() {
        let (built, installed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let executable = |path: &Path| {
            std::fs::write(path, "").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let rat = built.path().join("rat");
        executable(&rat);
        let path = env::join_paths([installed.path()]).unwrap();
        assert_eq!(name_in(&rat, &path), rat.display().to_string());
        executable(&installed.path().join("rat"));
        assert_eq!(
            name_in(&rat, &path),
            rat.display().to_string(),
            "another program"
        );
        std::fs::remove_file(installed.path().join("rat")).unwrap();
        std::os::unix::fs::symlink(&rat, installed.path().join("rat")).unwrap();
        assert_eq!(name_in(&rat, &path), "rat");
        assert_eq!(
            name_in(Path::new("/no where/rat"), &path),
            "'/no where/rat'"
        );
    }
}
