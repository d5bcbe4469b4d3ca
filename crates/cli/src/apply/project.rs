//! A project: pipelines and landing files in folders.
//!
//! Reading takes what the layout names and points out what lies in the wrong place; whether the
//! pipelines make sense is not its business. Hidden files and editors' backups are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rat_types::{NamespaceName, TableIdent, ZoneIdent};

use super::check::Problem;

/// Largest source file that the API takes.
const MAX_SOURCE_BYTES: u64 = 1 << 20;
/// Deepest folder that is looked into.
const MAX_DEPTH: usize = 8;

/// A landing file on this machine's disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LandingSource {
    /// Path within the zone.
    pub path: String,
    /// The file.
    pub file: PathBuf,
    /// Size in bytes.
    pub size: u64,
}

/// A project, read but not yet validated.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// Where it came from, for messages.
    pub root: PathBuf,
    /// Source files of each pipeline, by path within its folder.
    pub pipelines: BTreeMap<TableIdent, BTreeMap<String, String>>,
    /// Landing files of each zone.
    pub landing: BTreeMap<ZoneIdent, Vec<LandingSource>>,
    /// What could not be read or lies in the wrong place.
    pub problems: Vec<Problem>,
}

impl Project {
    /// Reads the folder `root`.
    pub fn read(root: &Path) -> Self {
        let mut project = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        match list(root) {
            Ok(entries) => {
                for (name, path) in entries.into_iter().filter(|(_, path)| path.is_dir()) {
                    project.read_namespace(&name, &path);
                }
                if project.is_empty() && project.problems.is_empty() {
                    let message = "no pipeline found; the layout is <namespace>/pipelines/<layer>/<name>/pipeline.sql";
                    project.problem(root, message);
                }
            }
            Err(error) => project.problem(root, format!("cannot be read: {error}")),
        }
        project
    }

    /// Builds a project from `(path, text)` pairs, where the path is the one within the project.
    pub fn from_texts<'a>(
        root: &Path,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut project = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        for (path, text) in files {
            let parts: Vec<&str> = path.splitn(5, '/').collect();
            let [namespace, "pipelines", layer, name, file] = parts[..] else {
                continue;
            };
            match format!("{namespace}.{layer}.{name}").parse::<TableIdent>() {
                Ok(ident) => {
                    let sources = project.pipelines.entry(ident).or_default();
                    sources.insert(file.to_owned(), text.to_owned());
                }
                Err(error) => project.problem(&root.join(path), error.to_string()),
            }
        }
        project
    }

    /// Whether it holds nothing at all.
    pub fn is_empty(&self) -> bool {
        self.pipelines.is_empty() && self.landing.is_empty()
    }

    /// The namespaces that it has anything in.
    pub fn namespaces(&self) -> BTreeSet<NamespaceName> {
        let pipelines = self.pipelines.keys().map(|ident| ident.namespace.clone());
        pipelines
            .chain(self.landing.keys().map(|zone| zone.namespace.clone()))
            .collect()
    }

    /// The folder of a pipeline, as it is named in messages.
    pub fn folder(&self, ident: &TableIdent) -> PathBuf {
        self.root
            .join(ident.namespace.as_str())
            .join("pipelines")
            .join(ident.layer.as_str())
            .join(ident.name.as_str())
    }

    fn problem(&mut self, file: &Path, message: impl Into<String>) {
        self.problems.push(Problem {
            file: file.to_owned(),
            line: None,
            message: message.into(),
        });
    }

    /// Entries of a folder, or a problem and nothing.
    fn entries(&mut self, folder: &Path) -> Vec<(String, PathBuf)> {
        list(folder).unwrap_or_else(|error| {
            self.problem(folder, format!("cannot be read: {error}"));
            Vec::new()
        })
    }

    fn read_namespace(&mut self, name: &str, folder: &Path) {
        let (pipelines, landing) = (folder.join("pipelines"), folder.join("landing"));
        if !pipelines.is_dir() && !landing.is_dir() {
            return; // a folder with something else, such as documentation
        }
        let namespace = match name.parse::<NamespaceName>() {
            Ok(namespace) => namespace,
            Err(error) => return self.problem(folder, error.to_string()),
        };
        if pipelines.is_dir() {
            for (layer, path) in self.entries(&pipelines) {
                self.read_layer(&namespace, &layer, &path);
            }
        }
        if landing.is_dir() {
            for (zone, path) in self.entries(&landing) {
                self.read_zone(&namespace, &zone, &path);
            }
        }
    }

    fn read_layer(&mut self, namespace: &NamespaceName, layer: &str, folder: &Path) {
        if !folder.is_dir() {
            return self.problem(folder, "is a file where bronze, silver or gold is expected");
        }
        for (name, path) in self.entries(folder) {
            if !path.is_dir() {
                self.problem(&path, "is a file where a pipeline's folder is expected");
                continue;
            }
            match format!("{namespace}.{layer}.{name}").parse::<TableIdent>() {
                Ok(ident) => {
                    let mut sources = BTreeMap::new();
                    self.read_sources(&path, "", 0, &mut sources);
                    self.pipelines.insert(ident, sources);
                }
                Err(error) => self.problem(&path, error.to_string()),
            }
        }
    }

    fn read_sources(
        &mut self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        sources: &mut BTreeMap<String, String>,
    ) {
        if depth > MAX_DEPTH {
            return self.problem(folder, "is nested too deeply");
        }
        for (name, path) in self.entries(folder) {
            let relative = format!("{prefix}{name}");
            if path.is_dir() {
                self.read_sources(&path, &format!("{relative}/"), depth + 1, sources);
                continue;
            }
            match read_source(&path) {
                Ok(text) => drop(sources.insert(relative, text)),
                Err(message) => self.problem(&path, message),
            }
        }
    }

    fn read_zone(&mut self, namespace: &NamespaceName, zone: &str, folder: &Path) {
        if !folder.is_dir() {
            return self.problem(
                folder,
                "is a file where a landing zone's folder is expected",
            );
        }
        match zone.parse() {
            Ok(name) => {
                let mut files = Vec::new();
                self.read_landing(folder, "", 0, &mut files);
                let zone = ZoneIdent {
                    namespace: namespace.clone(),
                    name,
                };
                self.landing.insert(zone, files);
            }
            Err(error) => self.problem(folder, error.to_string()),
        }
    }

    fn read_landing(
        &mut self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        files: &mut Vec<LandingSource>,
    ) {
        if depth > MAX_DEPTH {
            return self.problem(folder, "is nested too deeply");
        }
        for (name, file) in self.entries(folder) {
            let path = format!("{prefix}{name}");
            match fs::metadata(&file) {
                Ok(meta) if meta.is_dir() => {
                    self.read_landing(&file, &format!("{path}/"), depth + 1, files);
                }
                Ok(meta) => files.push(LandingSource {
                    path,
                    file,
                    size: meta.len(),
                }),
                Err(error) => self.problem(&file, format!("cannot be read: {error}")),
            }
        }
    }
}

/// Entries of a folder in order of their names, without hidden files and backups.
fn list(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !name.ends_with('~') {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

fn read_source(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path)
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    if size > MAX_SOURCE_BYTES {
        return Err(format!(
            "has {size} bytes; a source file may have {MAX_SOURCE_BYTES}"
        ));
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}
