//! Writing the files, and removing those that an earlier call wrote.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// First line of every file: what bears it is ours to replace and to remove.
const MARK: &str = "# Written by `rat units`, which replaces it and removes it again.\n";
const MODE: u32 = 0o644;

/// What was done.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) files: Vec<PathBuf>,
    /// Names of the units that are gone.
    pub(super) removed: Vec<String>,
}

/// Writes `texts`, by path below `PREFIX/lib`.
pub(super) fn write(prefix: &Path, texts: &BTreeMap<PathBuf, String>) -> Result<Written> {
    let lib = prefix.join("lib");
    let files: Vec<_> = texts.keys().map(|name| lib.join(name)).collect();
    // Before anything is written: a person's own file is not replaced.
    for file in &files {
        ensure!(
            is_ours(file)?.unwrap_or(true),
            "{} exists and was not written by `rat units`; move it away",
            file.display()
        );
    }
    for (file, text) in files.iter().zip(texts.values()) {
        write_one(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let removed = remove_others(&lib.join("systemd/system"), texts)?;
    Ok(Written { files, removed })
}

/// Whether a file bears the mark; `None` where there is none.
fn is_ours(file: &Path) -> Result<Option<bool>> {
    match fs::read(file) {
        Ok(text) => Ok(Some(text.starts_with(MARK.as_bytes()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// The file appears complete or not at all.
fn write_one(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().context("it has no folder")?;
    fs::create_dir_all(folder)?;
    let name = file
        .file_name()
        .context("it has no name")?
        .to_string_lossy();
    // systemd does not look at names that begin with a dot.
    let temporary = folder.join(format!(".{name}.new"));
    let mut new = fs::File::create(&temporary)?;
    new.set_permissions(fs::Permissions::from_mode(MODE))?;
    new.write_all(MARK.as_bytes())?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    Ok(fs::rename(&temporary, file)?)
}

fn remove_others(folder: &Path, texts: &BTreeMap<PathBuf, String>) -> Result<Vec<String>> {
    let cannot = || format!("cannot look into {}", folder.display());
    let mut removed = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_unit = [".service", ".socket", ".slice"]
            .iter()
            .any(|end| name.ends_with(end));
        if !name.starts_with("rat")
            || !is_unit
            || texts.contains_key(&Path::new("systemd/system").join(&name))
        {
            continue;
        }
        let file = entry.path();
        if is_ours(&file)? == Some(true) {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            removed.push(name);
        }
    }
    removed.sort();
    Ok(removed)
}
