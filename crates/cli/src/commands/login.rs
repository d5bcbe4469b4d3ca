//! `rat login`, `rat logout`, `rat whoami`.

mod browser;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use reqwest::StatusCode;
use serde_json::json;
use url::Url;

use super::{Session, Usage};
use crate::arguments::{Global, LoginArguments, LogoutArguments, WhoamiArguments};
use crate::client::{Client, Credentials, Error, Features, Me};
use crate::login::{self, Login, Provider, Store, Terms, Token};
use crate::output::printable::printable;
use crate::output::{Align, Console, Format, Grid, Tone, to_csv};

/// What `rat` is called by a provider unless something else is said.
const CLIENT_ID: &str = "rat-cli";
/// What is asked for besides `openid` unless something else is said.
const SCOPES: [&str; 2] = ["profile", "email"];
const ME: &str = "/api/v1/me";

pub(super) async fn login(
    console: &Console,
    global: &Global,
    arguments: &LoginArguments,
) -> Result<ExitCode> {
    let store = Store::of(&global.server)?;
    let terms = terms(console, global, arguments, &store).await?;
    let provider = Provider::discover(&terms).await?;
    if provider.is_in_the_clear() {
        warn(console, "the login provider is asked without encryption");
    }
    if !global.server.is_encrypted() {
        warn(
            console,
            "requests to ratd, and the token in them, are not encrypted",
        );
    }
    let granted = match arguments.device {
        true => login::log_in_with_code(&provider, |invitation| invite(console, invitation)).await,
        false => {
            let show = |url: &Url| browser::show(console, url, arguments.no_browser);
            login::log_in_with_browser(&provider, show).await
        }
    }?;
    let login = Login::new(global.server.to_string(), terms, granted, None);
    let me = ask_who(console, global, &login).await?;
    let lock = store.lock().await?;
    let before = store.read_to_end();
    lock.write(&login)?;
    drop(lock);
    if let Ok(Some(before)) = before {
        give_back(&before).await;
    }
    if global.api_key_file.is_some() {
        warn(console, "the API key file goes before this login");
    }
    report(console, arguments.output.output, &login, me.as_ref())
}

/// With whom to log in, and as what: what was said, what ratd says, what was said the last time.
async fn terms(
    console: &Console,
    global: &Global,
    arguments: &LoginArguments,
    store: &Store,
) -> Result<Terms> {
    let wrong = |text: &str| {
        text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    let given = arguments.issuer.iter().chain(&arguments.client_id);
    if given.chain(&arguments.scopes).any(|text| wrong(text)) {
        let message = "--issuer, --client-id and --scope take one word each";
        return Err(Usage(message.to_owned()).into());
    }
    let known = match &arguments.issuer {
        Some(issuer) => Some(Terms {
            issuer: issuer.clone(),
            client_id: CLIENT_ID.to_owned(),
            scopes: SCOPES.map(str::to_owned).into(),
        }),
        None => match of_server(global).await {
            Ok(Some(terms)) => Some(terms),
            Ok(None) => of_last_time(console, store),
            Err(error) => match of_last_time(console, store) {
                Some(terms) => Some(terms),
                None => return Err(error).context("ratd cannot be asked where to log in"),
            },
        },
    };
    let Some(mut terms) = known else {
        let server = &global.server;
        bail!(
            "ratd at {server} does not say where to log in (auth.login_issuer in rat.yaml); name the provider with --issuer"
        );
    };
    if let Some(client_id) = &arguments.client_id {
        terms.client_id.clone_from(client_id);
    }
    if !arguments.scopes.is_empty() {
        terms.scopes.clone_from(&arguments.scopes);
    }
    Ok(terms)
}

async fn of_server(global: &Global) -> Result<Option<Terms>, Error> {
    let client = Client::new(global.server.clone(), Credentials::None)?;
    let features: Features = client.get("/features", &[]).await?.parse()?;
    Ok(features.login.map(|place| Terms {
        issuer: place.issuer,
        client_id: place.client_id,
        scopes: place.scopes,
    }))
}

fn of_last_time(console: &Console, store: &Store) -> Option<Terms> {
    match store.read() {
        Ok(login) => login.map(|login| login.terms),
        Err(error) => {
            warn(console, &error.to_string());
            None
        }
    }
}

fn invite(console: &Console, invitation: &login::Invitation) {
    let code = console.paint_note(Tone::Bold, &invitation.code);
    console.note(&format!(
        "Open {} and enter the code {code}",
        invitation.url
    ));
    if let Some(url) = &invitation.complete {
        console.note(&format!("or open {url}"));
    }
    console.note("Waiting for the login …");
}

/// Whom ratd takes the login for. A login that it refuses is given back; that nobody can say it
/// now is no reason to log in again later.
async fn ask_who(console: &Console, global: &Global, login: &Login) -> Result<Option<Me>> {
    let credentials = Credentials::Key(login.access_token.clone());
    let client = Client::new(global.server.clone(), credentials)?;
    let answer = client.get(ME, &[]).await.and_then(|answer| answer.parse());
    match answer {
        Ok(me) => Ok(Some(me)),
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
            give_back(login).await;
            Err(error).context("the login provider let you in, but ratd does not accept its token")
        }
        Err(error) => {
            warn(
                console,
                &format!("ratd cannot say yet who you are: {error}"),
            );
            Ok(None)
        }
    }
}

fn report(console: &Console, format: Format, login: &Login, me: Option<&Me>) -> Result<ExitCode> {
    let issuer = &login.terms.issuer;
    match format {
        Format::Json => {
            let user = me.map(|me| {
                json!({
                    "user_id": me.user_id, "email": me.email,
                    "display_name": me.display_name, "roles": me.roles,
                })
            });
            let result = json!({
                "server": login.server, "issuer": issuer, "client_id": login.terms.client_id,
                "expires_at": login.expires_at, "user": user,
            });
            console.result(&result.to_string())?;
        }
        Format::Csv => {
            let header = ["server", "issuer", "client_id", "user_id"].map(str::to_owned);
            let user = me.map(|me| me.user_id.clone());
            let row =
                [&login.server, issuer, &login.terms.client_id].map(|text| Some(text.clone()));
            let row = row.into_iter().chain([user]).collect();
            console.result(&to_csv(&header, &[row]))?;
        }
        Format::Table => {
            let server = &login.server;
            let name = me.map_or_else(String::new, |me| format!(" as {}", name_of(me)));
            let text = format!("Logged in at {server}{name}.");
            console.note(&console.paint_note(Tone::Good, &text));
        }
    }
    if me.is_some_and(|me| me.user_id == "anonymous") {
        warn(
            console,
            "ratd lets everybody in: it has no auth plugin and no API key",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// As whom somebody is known best.
fn name_of(me: &Me) -> &str {
    let names = [&me.display_name, &me.email, &me.user_id];
    names
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or("", String::as_str)
}

fn warn(console: &Console, text: &str) {
    let word = console.paint_note(Tone::Warn, "warning:");
    console.note(&format!("{word} {}", printable(text.to_owned())));
}

pub(super) async fn logout(
    console: &Console,
    global: &Global,
    arguments: &LogoutArguments,
) -> Result<ExitCode> {
    let store = Store::of(&global.server)?;
    let lock = store.lock().await?;
    // A login that cannot be read is removed all the same.
    let login = store.read_to_end();
    let was_logged_in = lock.remove()?;
    drop(lock);
    let revoked = match login {
        Ok(Some(login)) => revoke(&login).await,
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    let server = store.server();
    match arguments.output.output {
        Format::Json => {
            let done = *revoked.as_ref().unwrap_or(&false);
            let result = json!({"server": server, "was_logged_in": was_logged_in, "revoked": done});
            console.result(&result.to_string())?;
        }
        Format::Csv => {
            let header = ["server", "was_logged_in", "revoked"].map(str::to_owned);
            let done = *revoked.as_ref().unwrap_or(&false);
            let row = vec![
                Some(server.to_owned()),
                Some(was_logged_in.to_string()),
                Some(done.to_string()),
            ];
            console.result(&to_csv(&header, &[row]))?;
        }
        Format::Table => console.note(&match was_logged_in {
            true => format!("Logged out at {server}."),
            false => format!("Nobody was logged in at {server}."),
        }),
    }
    match revoked {
        Ok(true) => {}
        Ok(false) if was_logged_in => warn(console, "the login provider has no way to end a login"),
        Ok(false) => {}
        Err(error) => {
            return Err(error).context(
                "the login is gone here, but the login provider may still take it for good",
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the provider forget a login that nobody will use any more. That it cannot is no reason to
/// bother anybody: it forgets by itself.
async fn give_back(login: &Login) {
    if let Err(error) = revoke(login).await {
        tracing::debug!(%error, "a login could not be given back");
    }
}

async fn revoke(login: &Login) -> Result<bool, login::Error> {
    let token = match &login.refresh_token {
        Some(token) => Token::Refresh(token),
        None => Token::Access(&login.access_token),
    };
    Provider::discover(&login.terms).await?.revoke(&token).await
}

pub(super) async fn whoami(session: &Session, arguments: &WhoamiArguments) -> Result<ExitCode> {
    let answer = session.client.get(ME, &[]).await?;
    let me: Me = answer.parse()?;
    let console = &session.console;
    let row = [
        me.user_id.clone(),
        me.display_name.clone(),
        me.email.clone(),
        me.roles.join(" "),
    ];
    let names = ["user_id", "display_name", "email", "roles"];
    match arguments.output.output {
        Format::Json => console.result(answer.text())?,
        Format::Csv => {
            let row = row.map(Some).into();
            console.result(&to_csv(&names.map(str::to_owned), &[row]))?;
        }
        Format::Table => {
            let mut grid = Grid::new(names.map(|name| (name, Align::Left)));
            grid.push(row);
            console.result(&grid.render(console.width()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
