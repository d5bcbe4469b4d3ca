//! The commands, one module each where there is something to it.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use rat_types::{NamespaceName, Secret, TableIdent};

use crate::arguments::{Arguments, Command, Global};
use crate::client::{Client, Credentials};
use crate::login::{self as logins, Store};
use crate::output::{Console, Settings};

mod access;
mod apply;
mod health;
mod lists;
mod login;
mod logs;
mod plugin;
mod query;
mod run;
mod tables;
mod upload;

pub(crate) use query::render_table;
pub(crate) use run::{last_successes, pipelines};

/// The command line does not make sense, which clap could not see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// What every command that talks to ratd is given.
#[derive(Debug, Clone)]
pub struct Session {
    /// Where results and notes go.
    pub console: Console,
    /// The server.
    pub client: Client,
}

/// Executes the command.
///
/// # Errors
/// What went wrong, for [`crate::exit`] to show.
pub async fn execute(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { global, command } = arguments;
    let console = Console::new(Settings::detect(global.no_progress));
    let connect = || -> Result<Session> {
        Ok(Session {
            console: console.clone(),
            client: connect(&global)?,
        })
    };
    match command {
        Command::Dev(arguments) => crate::dev::execute(&console, &arguments).await,
        Command::Login(arguments) => login::login(&console, &global, &arguments).await,
        Command::Logout(arguments) => login::logout(&console, &global, &arguments).await,
        Command::Whoami(arguments) => login::whoami(&connect()?, &arguments).await,
        Command::Apply(arguments) => apply::execute(&connect()?, &arguments).await,
        Command::Run(arguments) => run::execute(&connect()?, &arguments).await,
        Command::Runs(arguments) => lists::runs(&connect()?, &arguments).await,
        Command::Logs(arguments) => logs::show(&connect()?, &arguments).await,
        Command::Cancel(arguments) => logs::cancel(&connect()?, &arguments).await,
        Command::Query(arguments) => query::execute(&connect()?, &arguments).await,
        Command::Tables(arguments) => tables::execute(&connect()?, &arguments).await,
        Command::Pipelines(arguments) => lists::pipelines(&connect()?, &arguments).await,
        Command::Zones(arguments) => lists::zones(&connect()?, &arguments).await,
        Command::Upload(arguments) => upload::execute(&connect()?, &arguments).await,
        Command::Health(arguments) => health::execute(&connect()?, &arguments).await,
        Command::Plugins(arguments) => plugin::list(&connect()?, &arguments).await,
        Command::Plugin(arguments) => plugin::execute(&console, connect, &arguments).await,
        Command::Share(arguments) => access::share(&connect()?, &arguments).await,
        Command::Unshare(arguments) => access::unshare(&connect()?, &arguments).await,
        Command::Shares(arguments) => access::shares(&connect()?, &arguments).await,
        Command::Transfer(arguments) => access::transfer(&connect()?, &arguments).await,
        Command::Audit(arguments) => access::audit(&connect()?, &arguments).await,
        Command::Completions(arguments) => {
            console.result(&crate::completions(arguments.shell))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Units(arguments) => crate::units::execute(&console, &arguments),
        Command::Man(arguments) => {
            crate::manual(&arguments.folder)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            console.result(&format!("rat {} ({})", crate::VERSION, crate::REVISION))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn connect(global: &Global) -> Result<Client> {
    let credentials = match &global.api_key_file {
        None => login_at(global)?,
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the API key from {}", file.display()))?;
            match text.trim() {
                "" => anyhow::bail!("the API key file {} is empty", file.display()),
                key => Credentials::Key(Secret::new(key)),
            }
        }
    };
    Ok(Client::new(global.server.clone(), credentials)?)
}

/// What was kept by `rat login`, if anything.
fn login_at(global: &Global) -> Result<Credentials, logins::Error> {
    let store = match Store::of(&global.server) {
        Ok(store) => store,
        // Where nothing can be kept, nothing is.
        Err(logins::Error::NoFolder) => return Ok(Credentials::None),
        Err(error) => return Err(error),
    };
    let session = logins::Session::open(store)?;
    Ok(session.map_or(Credentials::None, |session| {
        Credentials::Login(Arc::new(session))
    }))
}

/// Ends with ratd's error where there is no namespace of that name.
async fn require_namespace(client: &Client, name: Option<&NamespaceName>) -> Result<()> {
    if let Some(name) = name {
        client
            .get(&format!("/api/v1/namespaces/{name}"), &[])
            .await?;
    }
    Ok(())
}

/// The pipeline or table that a person named, looked up in `namespace`.
fn parse_ident(namespace: Option<&NamespaceName>, text: &str) -> Result<TableIdent> {
    let default: NamespaceName = "default".parse().context("the default namespace")?;
    TableIdent::parse_in(namespace.unwrap_or(&default), text)
        .map_err(|error| Usage(format!("{error}; write layer.name or namespace.layer.name")).into())
}
