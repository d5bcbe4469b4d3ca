//! What machines are made of: Debian's root file system, and QEMU with a kernel. Both are built
//! once and kept in the user's cache folder, under a key of the recipe that made them.

use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::cargo::{root, say};

/// The parts that every scenario shares.
pub(crate) struct Guest {
    /// The root file system; nobody writes into it.
    pub root: PathBuf,
    emulator: OnceCell<Emulator>,
}

/// QEMU, and the kernel that it boots.
pub(crate) struct Emulator {
    pub kernel: PathBuf,
    /// How QEMU is called.
    pub command: Vec<String>,
}

impl Guest {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            root: built("guest")?,
            emulator: OnceCell::new(),
        })
    }

    /// Only scenarios on virtual machines need it, so it is made when the first of them runs.
    pub(crate) fn emulator(&self) -> Result<&Emulator> {
        if let Some(found) = self.emulator.get() {
            return Ok(found);
        }
        let folder = built("emulator")?;
        let libraries = folder.join("usr/lib/x86_64-linux-gnu");
        // It is of another release than the host, and brings its own libraries.
        let mut command = vec![
            libraries.join("ld-linux-x86-64.so.2"),
            "--library-path".into(),
            libraries,
            folder.join("usr/bin/qemu-system-x86_64"),
        ];
        for data in ["usr/share/qemu", "usr/share/seabios"] {
            command.extend(["-L".into(), folder.join(data)]);
        }
        Ok(self.emulator.get_or_init(|| Emulator {
            kernel: folder.join("vmlinuz"),
            command: command
                .iter()
                .map(|word| word.display().to_string())
                .collect(),
        }))
    }
}

/// The folder that `vm-tests/lib/<name>.sh` makes: from the cache, or made now.
fn built(name: &str) -> Result<PathBuf> {
    let recipe = root().join(format!("vm-tests/lib/{name}.sh"));
    let text = std::fs::read_to_string(&recipe)
        .with_context(|| format!("failed to read {}", recipe.display()))?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let cache = cache();
    let folder = cache.join(format!("{name}-{:016x}", hasher.finish()));
    if folder.is_dir() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&cache)
        .with_context(|| format!("failed to make {}", cache.display()))?;
    forget_others(&cache, name)?;
    say(&format!("making {}", folder.display()));
    let began = Instant::now();
    let partial = cache.join(format!("{name}.partial-{}", std::process::id()));
    let status = Command::new("bash").arg(&recipe).arg(&partial).status();
    let status = status.context("failed to start bash")?;
    ensure!(status.success(), "{} ended with {status}", recipe.display());
    std::fs::rename(&partial, &folder)
        .with_context(|| format!("failed to rename {}", partial.display()))?;
    say(&format!("made in {:.0} s", began.elapsed().as_secs_f64()));
    Ok(folder)
}

/// Removes what older recipes made, and what was not finished by a process that is gone.
fn forget_others(cache: &Path, name: &str) -> Result<()> {
    let entries = std::fs::read_dir(cache).context("failed to list the cache")?;
    for entry in entries {
        let path = entry.context("failed to list the cache")?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let process = file.strip_prefix(&format!("{name}.partial-"));
        let is_abandoned = process.is_some_and(|id| !Path::new("/proc").join(id).exists());
        if is_abandoned || file.starts_with(&format!("{name}-")) {
            std::fs::remove_dir_all(&path)
                .with_context(|| format!("failed to remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    cache.join("rat-vm")
}
