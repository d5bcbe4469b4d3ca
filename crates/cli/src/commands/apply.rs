//! `rat apply`.

use std::process::ExitCode;

use anyhow::Result;

use super::Session;
use crate::apply::{Options, Project, apply};
use crate::arguments::ApplyArguments;

pub(super) async fn execute(session: &Session, arguments: &ApplyArguments) -> Result<ExitCode> {
    let project = Project::read(&arguments.folder);
    let options = Options {
        prune: arguments.prune,
        dry_run: arguments.dry_run,
        show_plan: true,
    };
    apply(&session.client, &session.console, &project, options).await?;
    Ok(ExitCode::SUCCESS)
}
