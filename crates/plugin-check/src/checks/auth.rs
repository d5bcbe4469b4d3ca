//! The auth slot: who is let in, and above all who is not.

use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use rat_config::Slot;
use rat_proto::auth::v1::{
    AuthenticateRequest, AuthenticateResponse, AuthorizeRequest, AuthorizeResponse,
};

use super::AUTH_PROTO;
use crate::check::{Check, Miss, Outcome, broken, not_checked};
use crate::judge::Judge;
use crate::session::{Failure, Refusal, Session, quote};
use crate::wire::Code;

const AUTHENTICATE: &str = "/rat.auth.v1.AuthService/Authenticate";
const AUTHORIZE: &str = "/rat.auth.v1.AuthService/Authorize";
const LONG: usize = 1_000_000;
/// A time further ahead than this is none in seconds.
const FAR: i64 = 100 * 365 * 24 * 3600;
const ONE_REFUSAL: &str =
    "If Authenticate returns an error, ratd rejects the request; anything else lets the caller in.";

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "auth.bad-token.empty",
        |judge| Box::pin(bad(judge, String::new())),
        ONE_REFUSAL,
    )
    .of(Slot::Auth),
    Check::required(
        "auth.bad-token.garbage",
        |judge| Box::pin(bad(judge, judge.marker.clone())),
        ONE_REFUSAL,
    )
    .of(Slot::Auth),
    Check::required(
        "auth.bad-token.jwt",
        |judge| Box::pin(bad(judge, unsigned())),
        ONE_REFUSAL,
    )
    .of(Slot::Auth),
    Check::required(
        "auth.bad-token.unicode",
        |judge| Box::pin(bad(judge, strange(&judge.marker))),
        ONE_REFUSAL,
    )
    .of(Slot::Auth)
    .nasty(),
    Check::required(
        "auth.bad-token.long",
        |judge| Box::pin(bad(judge, long(&judge.marker))),
        ONE_REFUSAL,
    )
    .of(Slot::Auth)
    .nasty(),
    Check::advised(
        "auth.refusal-code",
        |judge| Box::pin(refusal_code(judge)),
        "A token that is not valid is answered UNAUTHENTICATED.",
    )
    .of(Slot::Auth)
    .from(AUTH_PROTO),
    Check::required(
        "auth.no-secret-echo",
        |judge| Box::pin(no_echo(judge)),
        "A token is secret: no error message repeats it.",
    )
    .of(Slot::Auth)
    .from(AUTH_PROTO),
    Check::required(
        "auth.idempotent",
        |judge| Box::pin(idempotent(judge)),
        "Validating the same token twice has no effect.",
    )
    .of(Slot::Auth)
    .from(AUTH_PROTO),
    Check::required(
        "auth.identity",
        |judge| Box::pin(identity(judge)),
        "The answer to a valid token names its user: user_id is never empty.",
    )
    .of(Slot::Auth)
    .from(AUTH_PROTO),
    Check::required(
        "auth.expires-at",
        |judge| Box::pin(expires_at(judge)),
        "expires_at is in Unix seconds and lies ahead, or is 0.",
    )
    .of(Slot::Auth)
    .from(AUTH_PROTO),
    Check::required(
        "auth.near-miss",
        |judge| Box::pin(near_miss(judge)),
        "A token that is almost valid is not valid.",
    )
    .of(Slot::Auth),
    Check::required(
        "auth.parallel",
        |judge| Box::pin(parallel(judge)),
        "Calls at the same time do not get each other's answers.",
    )
    .of(Slot::Auth)
    .nasty(),
    Check::required(
        "auth.authorize-nobody",
        |judge| Box::pin(authorize(judge)),
        "Authorize gives no permission to a user whom nobody knows; it may be UNIMPLEMENTED.",
    )
    .of(Slot::Auth)
    .from(AUTH_PROTO),
];

async fn authenticate(session: &Session, token: &str) -> Result<AuthenticateResponse, Failure> {
    let request = AuthenticateRequest {
        token: token.to_owned(),
    };
    session.unary(AUTHENTICATE, &request).await
}

/// The refusal of a token that is not valid.
async fn refused(judge: &Judge, session: &Session, token: &str) -> Result<Refusal, Miss> {
    match authenticate(session, token).await {
        Ok(answer) => broken(format!(
            "it was accepted, as user {:?}",
            quote(&answer.user_id)
        )),
        Err(Failure::Refused(refusal)) if refusal.code.means_no_answer() => {
            match judge.was_down() {
                true => not_checked(format!("the plugin is down, and {refusal}")),
                false => broken(format!(
                    "{refusal}, which ratd takes for no answer: callers get 503 instead of 401"
                )),
            }
        }
        Err(Failure::Refused(refusal)) => Ok(refusal),
        Err(Failure::None(error)) => broken(error.to_string()),
    }
}

async fn bad(judge: &Judge, token: String) -> Outcome {
    let session = judge.connect().await?;
    Ok(refused(judge, &session, &token).await?.to_string())
}

/// A token that claims to be somebody and is signed by nobody (`alg: none`).
fn unsigned() -> String {
    // {"alg":"none","typ":"JWT"} . {"sub":"admin","roles":["admin"],"exp":4102444800}
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZG1pbiIsInJvbGVzIjpbImFkbWluIl0sImV4cCI6NDEwMjQ0NDgwMH0.".to_owned()
}

fn strange(marker: &str) -> String {
    format!("{marker}\0\r\n\u{1b}[31m\u{202e}Ünïcödé\u{1f400}' OR 1=1; --\\../../%00")
}

fn long(marker: &str) -> String {
    let mut token = marker.repeat(LONG / marker.len() + 1);
    token.truncate(LONG);
    token
}

async fn refusal_code(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let refusal = refused(judge, &session, &judge.marker).await?;
    match refusal.code {
        Code::UNAUTHENTICATED => Ok(refusal.to_string()),
        _ => broken(refusal.to_string()),
    }
}

async fn no_echo(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let tokens = [
        judge.marker.clone(),
        format!("{}.{}.{}", judge.marker, judge.marker, judge.marker),
        strange(&judge.marker),
    ];
    for token in tokens {
        let refusal = refused(judge, &session, &token).await?;
        if refusal.message.contains(&judge.marker) || refusal.metadata.contains(&judge.marker) {
            return broken("the answer repeats the token");
        }
    }
    Ok("three refusals without the token".to_owned())
}

/// The accepted token, or that there is none.
fn token(judge: &Judge) -> Result<&str, Miss> {
    match &judge.options.token {
        Some(token) => Ok(token.expose()),
        None => not_checked("no valid token was given (--token FILE)"),
    }
}

async fn accepted(judge: &Judge, session: &Session) -> Result<AuthenticateResponse, Miss> {
    match authenticate(session, token(judge)?).await {
        Ok(answer) => Ok(answer),
        Err(Failure::Refused(refusal)) => broken(format!("the given token: {refusal}")),
        Err(Failure::None(error)) => broken(format!("the given token: {error}")),
    }
}

async fn idempotent(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let first = refused(judge, &session, &judge.marker).await?.code;
    for _ in 0..5 {
        let again = refused(judge, &session, &judge.marker).await?.code;
        if again != first {
            return broken(format!("a bad token was answered {first}, then {again}"));
        }
    }
    if judge.options.token.is_none() {
        return Ok(format!("a bad token is always answered {first}"));
    }
    let first = accepted(judge, &session).await?;
    for _ in 0..5 {
        let again = accepted(judge, &session).await?;
        if (&again.user_id, &again.email, &again.roles)
            != (&first.user_id, &first.email, &first.roles)
        {
            return broken("the same token gave two identities");
        }
    }
    Ok("the same answers each time, to a bad token and to the given one".to_owned())
}

async fn identity(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let answer = accepted(judge, &session).await?;
    match answer.user_id.trim().is_empty() {
        true => broken("user_id is empty"),
        false => Ok(format!(
            "user {:?}, roles [{}]",
            quote(&answer.user_id),
            quote(&answer.roles.join(", "))
        )),
    }
}

async fn expires_at(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let expires_at = accepted(judge, &session).await?.expires_at;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.map_or(0, |now| now.as_secs())).unwrap_or(i64::MAX);
    match expires_at {
        0 => Ok("0: ratd asks each time".to_owned()),
        at if at <= now => broken(format!("{at} is not ahead: now is {now}")),
        at if at - now > FAR => broken(format!("{at} is no time in seconds: now is {now}")),
        at => Ok(format!("in {} s", at - now)),
    }
}

async fn near_miss(judge: &Judge) -> Outcome {
    let token = token(judge)?;
    let session = judge.connect().await?;
    accepted(judge, &session).await?;
    let shorter: String = {
        let mut characters = token.chars();
        characters.next_back();
        characters.collect()
    };
    let variants = [
        ("without its last character", shorter),
        ("with a character more", format!("{token}x")),
        ("twice", format!("{token}{token}")),
    ];
    for (how, variant) in variants {
        match refused(judge, &session, &variant).await {
            Ok(_) => {}
            Err(Miss::Broken(text)) => return broken(format!("the token {how}: {text}")),
            Err(other) => return Err(other),
        }
    }
    Ok("three variants of the token are refused".to_owned())
}

async fn parallel(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let count = judge.options.limits.parallel;
    let expected = match judge.options.token {
        Some(_) => Some(accepted(judge, &session).await?.user_id),
        None => None,
    };
    let calls = (0..count).map(|number| {
        let (session, expected) = (&session, &expected);
        async move {
            match expected {
                Some(user) if number % 2 == 0 => {
                    let answer = accepted(judge, session).await?;
                    match answer.user_id == *user {
                        true => Ok(()),
                        false => broken(format!(
                            "the token of {user:?} was answered with {:?}",
                            quote(&answer.user_id)
                        )),
                    }
                }
                _ => {
                    let token = format!("{}-{number}", judge.marker);
                    refused(judge, session, &token).await.map(drop)
                }
            }
        }
    });
    join_all(calls)
        .await
        .into_iter()
        .collect::<Result<(), Miss>>()?;
    Ok(match expected {
        Some(_) => format!("{count} calls, half of them with the given token"),
        None => format!("{count} calls with bad tokens"),
    })
}

async fn authorize(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let request = AuthorizeRequest {
        user_id: judge.marker.clone(),
        permission: "plugins.reload".to_owned(),
        ..Default::default()
    };
    let answer = session
        .unary::<_, AuthorizeResponse>(AUTHORIZE, &request)
        .await;
    match answer {
        Ok(answer) if answer.allowed => broken("plugins.reload is allowed"),
        Ok(_) => Ok("not allowed".to_owned()),
        Err(failure) if failure.is_unimplemented() => {
            Ok("UNIMPLEMENTED: the role \"admin\" decides".to_owned())
        }
        Err(Failure::Refused(refusal)) => Ok(refusal.to_string()),
        Err(Failure::None(error)) => broken(error.to_string()),
    }
}
