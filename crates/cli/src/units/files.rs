//! Writing the files, and removing those that an earlier call wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// First line of every file: what bears it is ours to replace and to remove.
const MARK: &str = "# Written by `rat units`, which replaces it and removes it again.\n";
const MODE: u32 = 0o644;

/// What was done.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) files: Vec<PathBuf>,
    /// What changed, by path below `PREFIX/lib`: the text that was there before.
    pub(super) replaced: BTreeMap<PathBuf, String>,
    /// What was not there before, by path below `PREFIX/lib`.
    pub(super) added: BTreeSet<PathBuf>,
    /// Names of the units that are gone.
    pub(super) removed: Vec<String>,
}

impl Written {
    /// Whether everything is as it was.
    pub(super) fn is_nothing(&self) -> bool {
        self.replaced.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

/// Writes `texts`, by path below `PREFIX/lib`. A file that is as it should be is left alone.
pub(super) fn write(prefix: &Path, texts: &BTreeMap<PathBuf, String>) -> Result<Written> {
    let lib = prefix.join("lib");
    let files: Vec<_> = texts.keys().map(|name| lib.join(name)).collect();
    // Before anything is written: a person's own file is not replaced.
    let mut written = Written {
        files,
        replaced: BTreeMap::new(),
        added: BTreeSet::new(),
        removed: Vec::new(),
    };
    for (name, text) in texts {
        match ours(&lib.join(name))? {
            Some(before) if before == *text => {}
            Some(before) => {
                written.replaced.insert(name.clone(), before);
            }
            None => {
                written.added.insert(name.clone());
            }
        }
    }
    for name in written.replaced.keys().chain(&written.added) {
        let file = lib.join(name);
        write_one(&file, &texts[name])
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    written.removed = remove_others(&lib.join("systemd/system"), texts)?;
    Ok(written)
}

/// The text of a file that an earlier call wrote; `None` where there is none.
///
/// # Errors
/// It is somebody else's.
fn ours(file: &Path) -> Result<Option<String>> {
    let Some(text) = read(file)? else {
        return Ok(None);
    };
    let text = text.strip_prefix(MARK).with_context(|| {
        format!(
            "{} exists and was not written by `rat units`; move it away",
            file.display()
        )
    })?;
    Ok(Some(text.to_owned()))
}

/// `None` where there is no file.
fn read(file: &Path) -> Result<Option<String>> {
    match fs::read(file) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
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
        if read(&file)?.is_some_and(|text| text.starts_with(MARK)) {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            removed.push(name);
        }
    }
    removed.sort();
    Ok(removed)
}
