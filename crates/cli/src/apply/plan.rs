//! The difference between a project and the server, as a list of steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use rat_pipeline::source_hash;
use rat_types::{NamespaceName, TableIdent, ZoneIdent};
use reqwest::StatusCode;
use sha2::{Digest, Sha256};

use super::{Checked, LandingSource, Project, Remote};
use crate::client::{Client, FileContent, FileList, ZoneFile};
use crate::landing::{self, Upload};
use crate::output::{Console, Tone, bytes};

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is as it should be.
    Keep,
    /// It goes.
    Delete,
}

impl Change {
    fn sign(self) -> (char, Tone) {
        match self {
            Self::Create => ('+', Tone::Good),
            Self::Update => ('~', Tone::Warn),
            Self::Keep => ('=', Tone::Dim),
            Self::Delete => ('-', Tone::Bad),
        }
    }
}

/// One step, in the order in which they are carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A namespace.
    Namespace(NamespaceName, Change),
    /// A landing zone.
    Zone {
        /// The zone.
        zone: ZoneIdent,
        /// What happens to it.
        change: Change,
        /// Whether the project has files for it.
        has_files: bool,
    },
    /// A landing file.
    Landing {
        /// Its zone.
        zone: ZoneIdent,
        /// The file.
        upload: Upload,
        /// What happens to it.
        change: Change,
        /// It has the size of the uploaded one, and other content.
        is_same_size: bool,
    },
    /// A pipeline: files to write and paths, within its folder, to remove.
    Pipeline {
        /// The pipeline.
        ident: TableIdent,
        /// What happens to it.
        change: Change,
        /// Source files that are new or different.
        write: BTreeMap<String, String>,
        /// Source files that the project does not have.
        remove: BTreeSet<String>,
    },
}

impl Step {
    /// What the step does.
    pub fn change(&self) -> Change {
        match self {
            Self::Namespace(_, change)
            | Self::Zone { change, .. }
            | Self::Landing { change, .. }
            | Self::Pipeline { change, .. } => *change,
        }
    }

    /// What the step is about, and a remark.
    fn describe(&self) -> (&'static str, String, String) {
        match self {
            Self::Namespace(name, _) => ("namespace", name.to_string(), String::new()),
            Self::Zone {
                zone,
                change,
                has_files,
            } => {
                let is_empty = *change == Change::Create && !has_files;
                let remark = if is_empty { "new, empty" } else { "" };
                ("zone", zone.to_string(), remark.to_owned())
            }
            Self::Landing {
                zone,
                upload,
                is_same_size,
                ..
            } => {
                let same = if *is_same_size {
                    ", same size, other content"
                } else {
                    ""
                };
                (
                    "file",
                    format!("{zone}/{}", upload.path),
                    format!("{}{same}", bytes(upload.size)),
                )
            }
            Self::Pipeline {
                ident,
                change: Change::Update,
                write,
                remove,
            } => {
                let written = write.keys().map(|path| format!("~{path}"));
                let removed = remove.iter().map(|path| format!("-{path}"));
                let files: Vec<String> = written.chain(removed).collect();
                ("pipeline", ident.to_string(), files.join(" "))
            }
            Self::Pipeline {
                ident,
                change: Change::Create,
                write,
                ..
            } => {
                let remark = match write.len() {
                    1 => "1 file".to_owned(),
                    n => format!("{n} files"),
                };
                ("pipeline", ident.to_string(), remark)
            }
            Self::Pipeline { ident, .. } => ("pipeline", ident.to_string(), String::new()),
        }
    }
}

/// Everything that has to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps, those that change nothing among them.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Compares `project`, which has been validated, with the server.
    ///
    /// # Errors
    /// Whatever a request ended with.
    pub async fn make(
        client: &Client,
        project: &Project,
        checked: &Checked,
        remote: &Remote,
        prune: bool,
    ) -> Result<Self> {
        let mut steps = Vec::new();
        let zones: BTreeSet<&ZoneIdent> =
            checked.zones.iter().chain(project.landing.keys()).collect();
        let mut namespaces = project.namespaces();
        namespaces.extend(zones.iter().map(|zone| zone.namespace.clone()));
        for name in namespaces {
            let change = kept_if(remote.has_namespace(&name));
            steps.push(Step::Namespace(name, change));
        }
        for zone in zones {
            steps.push(Step::Zone {
                zone: zone.clone(),
                change: kept_if(remote.has_zone(zone)),
                has_files: project.landing.get(zone).is_some_and(|f| !f.is_empty()),
            });
        }
        for (zone, sources) in &project.landing {
            let present = landing::files(client, zone).await?;
            for source in sources {
                let present = present.get(&source.path);
                steps.push(plan_landing(zone, source, present).await?);
            }
        }
        for (ident, sources) in &project.pipelines {
            steps.push(plan_pipeline(client, remote, ident, sources).await?);
        }
        if prune {
            steps.extend(surplus(project, remote));
        }
        Ok(Self { steps })
    }

    /// Number of steps that do this.
    pub fn count(&self, change: Change) -> usize {
        self.steps
            .iter()
            .filter(|step| step.change() == change)
            .count()
    }

    /// The plan as lines, with a summary below.
    pub fn render(&self, console: &Console) -> String {
        let described: Vec<_> = self
            .steps
            .iter()
            .map(|step| (step.change(), step.describe()))
            .collect();
        let width = described
            .iter()
            .map(|(_, (_, name, _))| name.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (change, (what, name, remark)) in &described {
            let (sign, tone) = change.sign();
            let line = format!("{sign} {what:<9} {name:<width$}  {remark}");
            text.push_str(&console.paint(tone, line.trim_end()));
            text.push('\n');
        }
        text.push_str(&format!("Plan: {}\n", self.summary("to ")));
        text
    }

    /// `3 to create, 1 to update, 0 to delete, 7 unchanged`.
    pub fn summary(&self, word: &str) -> String {
        let suffix = if word.is_empty() { "d" } else { "" };
        format!(
            "{} {word}create{suffix}, {} {word}update{suffix}, {} {word}delete{suffix}, {} unchanged",
            self.count(Change::Create),
            self.count(Change::Update),
            self.count(Change::Delete),
            self.count(Change::Keep)
        )
    }
}

fn kept_if(exists: bool) -> Change {
    if exists { Change::Keep } else { Change::Create }
}

/// Folder of a pipeline's sources in the API, with a final slash.
pub(super) fn source_prefix(ident: &TableIdent) -> String {
    format!(
        "{}/pipelines/{}/{}/",
        ident.namespace, ident.layer, ident.name
    )
}

/// A file is left alone when its content is the same. One of another size is not read for that.
async fn plan_landing(
    zone: &ZoneIdent,
    source: &LandingSource,
    present: Option<&ZoneFile>,
) -> Result<Step> {
    let is_same_size = present.is_some_and(|file| file.size_bytes == source.size);
    let uploaded = present.and_then(|file| file.hash.as_deref());
    let change = match (present, uploaded) {
        (None, _) => Change::Create,
        (Some(_), Some(hash)) if is_same_size && hash == content_hash(&source.file).await? => {
            Change::Keep
        }
        (Some(_), _) => Change::Update,
    };
    Ok(Step::Landing {
        zone: zone.clone(),
        upload: Upload {
            path: source.path.clone(),
            file: source.file.clone(),
            size: source.size,
        },
        change,
        is_same_size: is_same_size && change == Change::Update,
    })
}

/// SHA-256 in lower-case hex, as the API tells it.
async fn content_hash(path: &Path) -> Result<String> {
    let path = path.to_owned();
    let hash = tokio::task::spawn_blocking(move || {
        let mut hasher = Sha256::new();
        File::open(&path)
            .and_then(|mut file| io::copy(&mut file, &mut hasher))
            .with_context(|| format!("failed to read {}", path.display()))?;
        Ok(format!("{:x}", hasher.finalize()))
    });
    hash.await?
}

async fn plan_pipeline(
    client: &Client,
    remote: &Remote,
    ident: &TableIdent,
    sources: &BTreeMap<String, String>,
) -> Result<Step> {
    let known = remote.pipelines().get(ident);
    let same = known.and_then(|pipeline| pipeline.source_hash.as_deref())
        == Some(source_hash(sources).as_str());
    if same {
        return Ok(Step::Pipeline {
            ident: ident.clone(),
            change: Change::Keep,
            write: BTreeMap::new(),
            remove: BTreeSet::new(),
        });
    }
    let prefix = source_prefix(ident);
    let listed = client
        .list::<FileList>("/api/v1/files", &[("prefix", prefix.clone())])
        .await?;
    let mut remove = BTreeSet::new();
    let mut write = sources.clone();
    for entry in listed {
        let Some(path) = entry.path.strip_prefix(&prefix) else {
            continue;
        };
        match sources.get(path) {
            None => drop(remove.insert(path.to_owned())),
            Some(text) if text.len() as u64 == entry.size => {
                if content(client, &entry.path).await?.as_ref() == Some(text) {
                    write.remove(path);
                }
            }
            Some(_) => {}
        }
    }
    let change = match (known, write.is_empty() && remove.is_empty()) {
        (None, _) => Change::Create,
        (Some(_), true) => Change::Keep,
        (Some(_), false) => Change::Update,
    };
    Ok(Step::Pipeline {
        ident: ident.clone(),
        change,
        write,
        remove,
    })
}

/// One of a pipeline's source files as the server has it.
pub(crate) async fn source(
    client: &Client,
    ident: &TableIdent,
    file: &str,
) -> Result<Option<String>> {
    content(client, &format!("{}{file}", source_prefix(ident))).await
}

async fn content(client: &Client, path: &str) -> Result<Option<String>> {
    match client.get(&super::execute::file_path(path), &[]).await {
        Ok(answer) => Ok(Some(answer.parse::<FileContent>()?.content)),
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Pipelines of the project's namespaces that the project does not have.
fn surplus(project: &Project, remote: &Remote) -> Vec<Step> {
    let namespaces = project.namespaces();
    let all = remote.pipelines().keys();
    all.filter(|ident| namespaces.contains(&ident.namespace))
        .filter(|ident| !project.pipelines.contains_key(*ident))
        .map(|ident| Step::Pipeline {
            ident: ident.clone(),
            change: Change::Delete,
            write: BTreeMap::new(),
            remove: BTreeSet::new(),
        })
        .collect()
}
