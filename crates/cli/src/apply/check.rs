//! Whether a project makes sense: every pipeline by itself, then all of them together and with
//! what the server already has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

use chrono::Utc;
use rat_pipeline::{Cycle, Pipeline, RenderContext};
use rat_types::{TableIdent, ZoneIdent};

use super::{Project, Remote};

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File or folder.
    pub file: PathBuf,
    /// Line from 1, where known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            None => write!(f, "{}: {}", self.file.display(), self.message),
        }
    }
}

/// What validation found out.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// What is wrong; nothing may be applied unless this is empty.
    pub problems: Vec<Problem>,
    /// What is odd.
    pub warnings: Vec<Problem>,
    /// What is wrong with the server, and not this project's doing.
    pub notes: Vec<String>,
    /// Tables that each pipeline reads.
    pub refs: BTreeMap<TableIdent, BTreeSet<TableIdent>>,
    /// Landing zones that the pipelines read.
    pub zones: BTreeSet<ZoneIdent>,
}

/// Validates `project`; without `remote`, what lies outside the project is taken to exist.
pub fn check(project: &Project, remote: Option<&Remote>, prune: bool) -> Checked {
    let mut checked = Checked {
        problems: project.problems.clone(),
        ..Checked::default()
    };
    let context = RenderContext {
        run_started_at: Utc::now(),
    };
    for (ident, sources) in &project.pipelines {
        check_pipeline(project, ident, sources, &context, &mut checked);
    }
    if let Some(remote) = remote {
        check_refs(project, remote, &mut checked);
    }
    check_order(project, remote, prune, &mut checked);
    checked.problems.sort();
    checked.problems.dedup();
    checked
}

fn check_pipeline(
    project: &Project,
    ident: &TableIdent,
    sources: &BTreeMap<String, String>,
    context: &RenderContext,
    checked: &mut Checked,
) {
    let place = |problem: rat_pipeline::Problem| located(project, ident, problem);
    let pipeline = match Pipeline::parse(ident, sources) {
        Ok(pipeline) => pipeline,
        Err(problems) => return checked.problems.extend(problems.0.into_iter().map(place)),
    };
    checked
        .warnings
        .extend(pipeline.warnings.iter().cloned().map(place));
    let query = std::iter::once(("pipeline.sql", pipeline.render(context)));
    let tests = pipeline
        .tests
        .iter()
        .map(|test| (test.file.as_str(), pipeline.render_test(test, context)));
    let mut refs = BTreeSet::new();
    for (file, rendered) in query.chain(tests) {
        match rendered {
            Ok(rendered) => {
                let mistake = pipeline.check_sql(file, &rendered);
                checked.problems.extend(mistake.map(place));
                refs.extend(rendered.refs);
                checked.zones.extend(rendered.zones);
            }
            Err(error) => checked.problems.push(place(error.into())),
        }
    }
    refs.remove(ident);
    checked.refs.insert(ident.clone(), refs);
}

fn located(project: &Project, ident: &TableIdent, problem: rat_pipeline::Problem) -> Problem {
    Problem {
        file: project.folder(ident).join(problem.file),
        line: problem.line,
        message: problem.message,
    }
}

/// A `ref` must name a table that a pipeline of the project or of the server writes, or that is in
/// the catalog without a pipeline.
fn check_refs(project: &Project, remote: &Remote, checked: &mut Checked) {
    for (ident, refs) in &checked.refs {
        for unknown in refs {
            if project.pipelines.contains_key(unknown) || remote.has_table(unknown) {
                continue;
            }
            let (file, line) = find_ref(project, ident, unknown);
            let message = format!(
                "ref to {unknown}, which neither the project nor the server has{}",
                suggestion(unknown, project, remote)
            );
            let file = project.folder(ident).join(file);
            checked.problems.push(Problem {
                file,
                line,
                message,
            });
        }
    }
}

/// The file and line that name a table, as far as looking at the text can tell.
fn find_ref<'a>(
    project: &'a Project,
    ident: &TableIdent,
    wanted: &TableIdent,
) -> (&'a str, Option<usize>) {
    let full = wanted.to_string();
    let short = format!("{}.{}", wanted.layer, wanted.name);
    let sources = project.pipelines.get(ident);
    for (file, text) in sources.into_iter().flatten() {
        for (index, line) in text.lines().enumerate() {
            let is_named = |name: &str| {
                ['\'', '"']
                    .iter()
                    .any(|quote| line.contains(&format!("{quote}{name}{quote}")))
            };
            if is_named(&full) || (wanted.namespace == ident.namespace && is_named(&short)) {
                return (file, Some(index + 1));
            }
        }
    }
    ("pipeline.sql", None)
}

/// `; did you mean …?` where a table of nearly this name is there, or one in another layer.
fn suggestion(unknown: &TableIdent, project: &Project, remote: &Remote) -> String {
    let all: BTreeSet<&TableIdent> = project.pipelines.keys().chain(remote.tables()).collect();
    let elsewhere = all
        .iter()
        .find(|known| known.name == unknown.name)
        .map(ToString::to_string);
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    let near = rat_pipeline::nearest(&unknown.to_string(), names.iter().map(String::as_str));
    match elsewhere.or(near.map(str::to_owned)) {
        Some(name) => format!("; did you mean {name}?"),
        None => String::new(),
    }
}

/// No pipeline of the project may wait for itself, also not by way of pipelines that only the
/// server has. Cycles that the project has no part in are somebody else's: they are only noted.
fn check_order(project: &Project, remote: Option<&Remote>, prune: bool, checked: &mut Checked) {
    let mut graph = checked.refs.clone();
    for (ident, depends) in remote.into_iter().flat_map(Remote::dependencies) {
        let gone = prune && project.namespaces().contains(&ident.namespace);
        if !gone && !project.pipelines.contains_key(ident) {
            graph
                .entry(ident.clone())
                .or_insert_with(|| depends.clone());
        }
    }
    let mut reported: BTreeSet<TableIdent> = BTreeSet::new();
    for ident in project.pipelines.keys() {
        if reported.contains(ident) {
            continue;
        }
        if let Some(cycle) = cycle_through(ident, &graph) {
            reported.extend(cycle.path.iter().cloned());
            checked.problems.push(located_cycle(project, &cycle));
        }
    }
    graph.retain(|ident, _| !project.pipelines.contains_key(ident));
    if let Err(cycle) = rat_pipeline::order(graph) {
        checked.notes.push(format!(
            "pipelines of the server that are not of this project depend on each other, and cannot run: {cycle}"
        ));
    }
}

/// The shortest way from a pipeline over what it reads back to itself, told from its smallest name.
fn cycle_through(
    start: &TableIdent,
    graph: &BTreeMap<TableIdent, BTreeSet<TableIdent>>,
) -> Option<Cycle> {
    let mut reader: BTreeMap<&TableIdent, &TableIdent> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(ident) = open.pop_front() {
        for next in graph.get(ident).into_iter().flatten() {
            // Reading its own table is no cycle.
            if next == ident || reader.contains_key(next) {
                continue;
            }
            reader.insert(next, ident);
            if next == start {
                return Some(walk_back(start, &reader));
            }
            open.push_back(next);
        }
    }
    None
}

fn walk_back(start: &TableIdent, reader: &BTreeMap<&TableIdent, &TableIdent>) -> Cycle {
    let mut path = vec![start.clone()];
    let mut at = start;
    while let Some(previous) = reader.get(at).filter(|previous| **previous != start) {
        path.push((*previous).clone());
        at = previous;
    }
    path.reverse();
    let smallest = (0..path.len()).min_by_key(|index| &path[*index]);
    path.rotate_left(smallest.unwrap_or(0));
    path.extend(path.first().cloned());
    Cycle { path }
}

fn located_cycle(project: &Project, cycle: &Cycle) -> Problem {
    let own = cycle
        .path
        .windows(2)
        .find(|pair| project.pipelines.contains_key(&pair[0]));
    let (file, line) = match own {
        Some([from, to]) => {
            let (file, line) = find_ref(project, from, to);
            (project.folder(from).join(file), line)
        }
        _ => (project.root.clone(), None),
    };
    Problem {
        file,
        line,
        message: cycle.to_string(),
    }
}
