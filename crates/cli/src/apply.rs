//! `rat apply`: makes the server's pipelines equal to a project.
//!
//! Read the project, validate all of it, look at the server, make a plan, show it, carry it out.
//! Nothing is sent before everything is known to be valid. What the plan does not name is left
//! alone: pipelines of other namespaces always, those that the project lacks unless pruning.

use anyhow::Result;

use crate::client::Client;
use crate::output::{Console, Tone};

mod check;
mod execute;
mod plan;
mod project;
mod remote;

pub use check::{Checked, Problem, check};
pub use execute::execute;
pub(crate) use plan::source;
pub use plan::{Change, Plan, Step};
pub use project::{LandingSource, Project};
pub use remote::Remote;

/// What is to be done with a project.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Delete pipelines that the project does not have.
    pub prune: bool,
    /// Stop after showing the plan.
    pub dry_run: bool,
    /// Show the plan; without it only the progress is told.
    pub show_plan: bool,
}

/// The project is not valid; the problems are the message.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(.0))]
pub struct Invalid(pub Vec<Problem>);

fn describe(problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => "the project has a problem; nothing was applied".to_owned(),
        n => format!("the project has {n} problems; nothing was applied"),
    };
    for problem in problems {
        text.push_str(&format!("\n  {problem}"));
    }
    text
}

/// Validates `project`, plans and, unless it is a dry run, applies it.
///
/// # Errors
/// [`Invalid`], or whatever a request to the server ended with.
pub async fn apply(
    client: &Client,
    console: &Console,
    project: &Project,
    options: Options,
) -> Result<Plan> {
    let remote = Remote::load(client, project.namespaces()).await;
    let known = remote.as_ref().ok();
    let checked = check(project, known, options.prune);
    if !checked.problems.is_empty() {
        if let Err(error) = &remote {
            console.note(&format!(
                "note: what the project refers to could not be checked: {error}"
            ));
        }
        return Err(Invalid(checked.problems).into());
    }
    for warning in &checked.warnings {
        let word = console.paint_note(Tone::Warn, "warning:");
        console.note(&format!("{word} {warning}"));
    }
    for note in &checked.notes {
        console.note(&format!("note: {note}"));
    }
    let remote = remote?;
    let plan = Plan::make(client, project, &checked, &remote, options.prune).await?;
    if options.show_plan {
        console.result(&plan.render(console))?;
    }
    if !options.dry_run {
        execute(client, console, project, &plan).await?;
    }
    Ok(plan)
}
