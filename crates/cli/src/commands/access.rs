//! `rat share`, `rat unshare`, `rat shares`, `rat transfer`, `rat audit`: who may do what, and who
//! did what.

use std::process::ExitCode;

use anyhow::Result;
use chrono::Utc;
use serde_json::json;

use super::lists::{Listing, some};
use super::{Session, Usage};
use crate::arguments::{
    AuditArguments, ResourceArguments, ResourceKind, ShareArguments, SharesArguments,
    TransferArguments, UnshareArguments,
};
use crate::client::{AuditEntry, AuditList, Grant, GrantList, Moved, TransferList};
use crate::output::{Align, ago, shorten};

const SHARING: &str = "/api/v1/sharing";

pub(super) async fn share(session: &Session, arguments: &ShareArguments) -> Result<ExitCode> {
    let ResourceArguments { kind, name } = &arguments.resource;
    refuse_zone(*kind)?;
    let (grantee_type, grantee) = match (&arguments.user, &arguments.role) {
        (Some(user), _) => ("user", user),
        (None, Some(role)) => ("role", role),
        (None, None) => return Err(Usage("--user or --role is needed".to_owned()).into()),
    };
    let permission = arguments.allow.as_str();
    let body = json!({
        "grantee_id": grantee, "grantee_type": grantee_type,
        "resource_type": kind.as_str(), "resource_id": name, "permission": permission,
    });
    let grant: Grant = session.client.post(SHARING, &body).await?.parse()?;
    let console = &session.console;
    console.result(&grant.grant_id)?;
    let kind = kind.as_str();
    console.note(&format!(
        "The {grantee_type} {grantee} may {permission} {kind} {name}."
    ));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn unshare(session: &Session, arguments: &UnshareArguments) -> Result<ExitCode> {
    let grant = &arguments.grant;
    let is_id = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if grant.is_empty() || !grant.chars().all(is_id) || grant.trim_matches('.').is_empty() {
        return Err(Usage(format!(
            "{grant:?} is no id of a grant; rat shares lists them"
        ))
        .into());
    }
    let path = format!("{SHARING}/{grant}");
    let method = reqwest::Method::DELETE;
    session.client.send_json(method, &path, &json!({})).await?;
    session.console.note(&format!("Took back grant {grant}."));
    Ok(ExitCode::SUCCESS)
}

/// What cannot be shared has no grants.
fn refuse_zone(kind: ResourceKind) -> Result<()> {
    match kind {
        ResourceKind::Zone => {
            Err(Usage("a landing zone cannot be shared; share its namespace".to_owned()).into())
        }
        ResourceKind::Namespace | ResourceKind::Pipeline | ResourceKind::Table => Ok(()),
    }
}

pub(super) async fn shares(session: &Session, arguments: &SharesArguments) -> Result<ExitCode> {
    let mut query = Vec::new();
    if let (Some(kind), Some(name)) = (arguments.kind, &arguments.name) {
        refuse_zone(kind)?;
        query.push(("resource_type", kind.as_str().to_owned()));
        query.push(("resource_id", name.clone()));
    }
    query.extend(arguments.grantee.clone().map(|name| ("grantee_id", name)));
    let page = session.client.get(SHARING, &query).await?;
    let listing = Listing {
        what: "grants",
        columns: &[
            ("grant", Align::Left),
            ("kind", Align::Left),
            ("name", Align::Left),
            ("to", Align::Left),
            ("allows", Align::Left),
            ("by", Align::Left),
            ("given", Align::Left),
        ],
        spare: &["given", "by"],
        people: |grant: &Grant, _| {
            let mut row: Vec<String> = grant_texts(grant).into();
            let given = grant.granted_at.map(|at| ago(at, Utc::now()));
            row.push(given.unwrap_or_default());
            row
        },
        csv: |grant: &Grant| {
            let mut row: Vec<_> = grant_texts(grant).into_iter().map(some).collect();
            row.push(grant.granted_at.map(time));
            row
        },
    };
    listing
        .show::<GrantList>(session, &[page], arguments.output.output, None)
        .await
}

fn grant_texts(grant: &Grant) -> [String; 6] {
    [
        grant.grant_id.to_string(),
        grant.resource_type.to_string(),
        grant.resource_id.to_string(),
        format!("{} {}", grant.grantee_type, grant.grantee_id),
        grant.permission.to_string(),
        grant.granted_by.to_string(),
    ]
}

pub(super) async fn transfer(session: &Session, arguments: &TransferArguments) -> Result<ExitCode> {
    let to = &arguments.to;
    let body = match (arguments.kind, &arguments.name, &arguments.from) {
        (Some(kind), Some(name), None) => {
            json!({"resource_type": kind.as_str(), "resource_id": name, "to": to})
        }
        (None, None, Some(from)) => json!({"from": from, "to": to}),
        _ => return Err(Usage("either KIND and NAME or --from is needed".to_owned()).into()),
    };
    let path = format!("{SHARING}/transfer");
    let page = session.client.post(&path, &body).await?;
    let listing = Listing {
        what: "transfers",
        columns: &[("kind", Align::Left), ("name", Align::Left)],
        spare: &[],
        people: |moved: &Moved, _| {
            vec![
                moved.resource_type.to_string(),
                moved.resource_id.to_string(),
            ]
        },
        csv: |moved: &Moved| {
            vec![
                some(moved.resource_type.as_str()),
                some(moved.resource_id.as_str()),
            ]
        },
    };
    listing
        .show::<TransferList>(session, &[page], arguments.output.output, None)
        .await
}

pub(super) async fn audit(session: &Session, arguments: &AuditArguments) -> Result<ExitCode> {
    let mut query = vec![("limit", arguments.limit.to_string())];
    for (name, value) in [
        ("user", &arguments.user),
        ("action", &arguments.action),
        ("resource", &arguments.resource),
    ] {
        query.extend(value.clone().map(|value| (name, value)));
    }
    query.extend(arguments.since.map(|since| ("since", time(since))));
    let page = session.client.get("/api/v1/audit", &query).await?;
    let listing = Listing {
        what: "audit entries",
        columns: &[
            ("when", Align::Left),
            ("user", Align::Left),
            ("action", Align::Left),
            ("resource", Align::Left),
            ("outcome", Align::Left),
            ("status", Align::Right),
            ("ip", Align::Left),
            ("request", Align::Left),
            ("detail", Align::Left),
        ],
        spare: &["request", "ip", "status", "detail"],
        people: |entry: &AuditEntry, width| {
            let mut row = audit_texts(entry);
            row.insert(0, ago(entry.created_at, Utc::now()));
            row.push(shorten(&entry.detail, width));
            row
        },
        csv: |entry: &AuditEntry| {
            let mut row: Vec<_> = audit_texts(entry).into_iter().map(some).collect();
            row.insert(0, some(time(entry.created_at)));
            row.push(some(entry.detail.as_str()));
            row
        },
    };
    listing
        .show::<AuditList>(session, &[page], arguments.output.output, None)
        .await
}

fn audit_texts(entry: &AuditEntry) -> Vec<String> {
    vec![
        entry.user_id.to_string(),
        entry.action.to_string(),
        entry.resource.to_string(),
        entry.outcome.to_string(),
        entry.status.to_string(),
        entry.ip.to_string(),
        entry.request_id.to_string(),
    ]
}

fn time(at: chrono::DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
