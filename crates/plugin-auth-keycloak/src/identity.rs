//! Whom a token names.

use rat_plugin_sdk::auth::AuthenticateResponse;
use serde_json::{Map, Value};

use crate::refusal::Refusal;
use crate::rules::text;

/// The user that verified claims name. Roles are in the claim at the end of the path `roles`, and
/// are left as they are: `/admin` stays `/admin`.
pub(crate) fn read(
    claims: &Map<String, Value>,
    roles: &str,
    expires_at: i64,
) -> Result<AuthenticateResponse, Refusal> {
    let known = |name| text(claims, name).map(|text| text.filter(|text| !text.is_empty()));
    let user_id = known("sub")?.ok_or(Refusal::Missing { name: "sub" })?;
    if user_id.chars().any(char::is_control) {
        return Err(Refusal::Claim {
            name: "sub".to_owned(),
            wanted: "a name",
        });
    }
    let email = known("email")?;
    let display_name = known("name")?.or(known("preferred_username")?).or(email);
    Ok(AuthenticateResponse {
        user_id: user_id.to_owned(),
        email: email.unwrap_or_default().to_owned(),
        roles: strings(find(claims, roles), roles)?,
        display_name: display_name.unwrap_or_default().to_owned(),
        expires_at,
    })
}

/// The claim at a path as in `realm_access.roles`. A claim may have a dot in its name
/// (`https://example.org/roles`): the longest name that is there is taken.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let dots = path.rmatch_indices('.');
    dots.map(|(dot, _)| (&path[..dot], &path[dot + 1..]))
        .find_map(|(first, rest)| find(claims.get(first)?.as_object()?, rest))
}

fn strings(value: Option<&Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::Claim {
        name: name.to_owned(),
        wanted: "a list of strings",
    };
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(several)) => several
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}
