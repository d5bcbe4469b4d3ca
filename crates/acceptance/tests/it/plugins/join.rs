//! The proof that nobody was let in whom the plugin did not verify: the logs of ratd and of the
//! plugin, joined with what the callers got.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use rat_acceptance::{Answer, log_lines};
use serde_json::Value;

/// Ages are written in whole milliseconds.
const ROUNDING: TimeDelta = TimeDelta::milliseconds(2);

/// What ratd says about how it knew a caller.
pub(crate) struct Recognised {
    pub(crate) user: String,
    pub(crate) by: String,
    pub(crate) age: TimeDelta,
    pub(crate) at: DateTime<Utc>,
}

/// What the plugin says it has verified.
pub(crate) struct Verified {
    pub(crate) user: String,
    pub(crate) request: String,
    pub(crate) at: DateTime<Utc>,
}

/// An attempt to ask the plugin that failed.
pub(crate) struct Attempt {
    pub(crate) cause: String,
    pub(crate) at: DateTime<Utc>,
}

/// Both logs.
pub(crate) struct Logs {
    pub(crate) recognised: HashMap<String, Vec<Recognised>>,
    pub(crate) verified: Vec<Verified>,
    pub(crate) attempts: Vec<Attempt>,
}

/// How those who were let in were known.
#[derive(Debug, Default)]
pub(crate) struct Proven {
    pub(crate) by_plugin: usize,
    pub(crate) by_cache: usize,
    pub(crate) oldest: TimeDelta,
}

fn text(line: &Value, field: &str) -> Result<String> {
    let text = line[field].as_str();
    Ok(text
        .with_context(|| format!("no {field}: {line}"))?
        .to_owned())
}

fn request(line: &Value) -> Option<String> {
    Some(line["span"]["request_id"].as_str()?.to_owned())
}

fn at(line: &Value) -> Result<DateTime<Utc>> {
    Ok(DateTime::parse_from_rfc3339(&text(line, "timestamp")?)?.to_utc())
}

impl Logs {
    pub(crate) fn read(ratd: &Path, plugin: &Path) -> Result<Self> {
        let mut recognised: HashMap<_, Vec<_>> = HashMap::new();
        for line in log_lines(ratd, "authenticated")? {
            let of = request(&line).with_context(|| format!("without a request: {line}"))?;
            recognised.entry(of).or_default().push(Recognised {
                user: text(&line, "user")?,
                by: text(&line, "by")?,
                age: TimeDelta::milliseconds(line["age_ms"].as_i64().context("no age")?),
                at: at(&line)?,
            });
        }
        let verified = log_lines(plugin, "verified")?.into_iter().map(|line| {
            Ok(Verified {
                user: text(&line, "user")?,
                request: request(&line).unwrap_or_default(),
                at: at(&line)?,
            })
        });
        let attempts = log_lines(ratd, "an attempt failed")?.into_iter();
        // Those of health checks belong to no request.
        let attempts = attempts.filter(|line| request(line).is_some()).map(|line| {
            let (cause, at) = (text(&line, "cause")?, at(&line)?);
            Ok(Attempt { cause, at })
        });
        Ok(Self {
            recognised,
            verified: verified.collect::<Result<_>>()?,
            attempts: attempts.collect::<Result<_>>()?,
        })
    }

    /// When the plugin has verified this very request.
    pub(crate) fn verified(&self) -> HashMap<&str, &Verified> {
        let verified = self.verified.iter();
        verified.map(|line| (line.request.as_str(), line)).collect()
    }

    /// Proves for every request that was let in that the plugin has verified its caller, now or
    /// less than `limit` ago.
    pub(crate) fn prove(&self, answers: &[Answer], limit: TimeDelta) -> Result<Proven> {
        let asked = self.verified();
        let mut earlier: HashMap<&str, Vec<DateTime<Utc>>> = HashMap::new();
        for line in &self.verified {
            earlier.entry(&line.user).or_default().push(line.at);
        }
        let mut proven = Proven::default();
        for answer in answers {
            let Ok((status, body)) = &answer.outcome else {
                continue;
            };
            if !(200..300).contains(status) {
                continue;
            }
            let user = answer.caller.user.as_deref();
            let user = user.with_context(|| format!("a stranger was let in: {answer:?}"))?;
            ensure!(body["user_id"] == user, "somebody else: {answer:?}");
            let known = self.recognised.get(&answer.id).map(Vec::as_slice);
            let [known] = known.unwrap_or_default() else {
                anyhow::bail!("not recognised exactly once: {answer:?}")
            };
            ensure!(
                known.user == user,
                "recognised as {}: {answer:?}",
                known.user
            );
            match known.by.as_str() {
                "plugin" => {
                    let line = asked.get(answer.id.as_str());
                    let line = line.with_context(|| format!("not verified: {answer:?}"))?;
                    ensure!(line.user == user && line.at <= known.at, "{answer:?}");
                    proven.by_plugin += 1;
                }
                "cache" => {
                    ensure!(known.age < limit, "after {}: {answer:?}", known.age);
                    let since = known.at - known.age - ROUNDING;
                    let times = earlier.get(user).map(Vec::as_slice).unwrap_or_default();
                    let is_true = times.iter().any(|at| (since..=known.at).contains(at));
                    ensure!(is_true, "no such verification: {answer:?}");
                    proven.by_cache += 1;
                    proven.oldest = proven.oldest.max(known.age);
                }
                other => anyhow::bail!("let in by {other}: {answer:?}"),
            }
        }
        Ok(proven)
    }
}
