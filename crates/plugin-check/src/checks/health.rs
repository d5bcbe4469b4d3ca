//! HealthCheck, the one method that every plugin has to have.

use std::time::{Duration, Instant};

use rat_proto::plugin::v1::{HealthCheckRequest, HealthCheckResponse};

use super::PLUGIN_PROTO;
use crate::check::{Check, Miss, Outcome, broken, not_checked};
use crate::judge::Judge;
use crate::session::{Failure, HEALTH, quote};
use crate::wire::seconds;

/// Calls of which the slowest counts.
const CALLS: usize = 10;
/// From here on a health check is slow enough to be worth a look.
const SLOW: u32 = 5;
const MAX_MESSAGE: usize = 1024;

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "connection.reachable",
        |judge| Box::pin(reachable(judge)),
        "A plugin accepts connections on its address within 5 seconds and speaks gRPC, or Connect where rat.yaml says so.",
    ),
    Check::required(
        "health.answers",
        |judge| Box::pin(answers(judge)),
        "Every plugin must implement PluginService.HealthCheck; a status of the response, not a gRPC error, says how the plugin is.",
    )
    .from(PLUGIN_PROTO),
    Check::required(
        "health.status-word",
        |judge| Box::pin(status_word(judge)),
        "The status is \"healthy\", \"degraded\" or \"down\"; anything else counts as down.",
    )
    .from(PLUGIN_PROTO),
    Check::required(
        "health.time-limit",
        |judge| Box::pin(time_limit(judge)),
        "HealthCheck is answered within 5 seconds, every time.",
    ),
    Check::advised(
        "health.message",
        |judge| Box::pin(message(judge)),
        "The message of HealthCheck is one line for people.",
    )
    .from(PLUGIN_PROTO),
];

async fn reachable(judge: &Judge) -> Outcome {
    let begin = Instant::now();
    match judge.alive().await {
        // An error that the plugin answers shows that it is there.
        Ok(_) | Err(Failure::Refused(_)) => Ok(format!("after {}", seconds(begin.elapsed()))),
        Err(error) => broken(error.to_string()),
    }
}

async fn answers(judge: &Judge) -> Outcome {
    let health = judge.alive().await?;
    Ok(match health.message.is_empty() {
        true => quote(&health.status),
        false => format!("{}: {}", quote(&health.status), quote(&health.message)),
    })
}

async fn current(judge: &Judge) -> Result<HealthCheckResponse, Miss> {
    match judge.alive().await {
        Ok(health) => Ok(health),
        Err(_) => not_checked("HealthCheck is not answered"),
    }
}

async fn status_word(judge: &Judge) -> Outcome {
    let health = current(judge).await?;
    match health.status.as_str() {
        "healthy" => Ok("healthy".to_owned()),
        "degraded" | "down" => Err(Miss::Doubt(format!(
            "it says {}, so not everything below could be seen at work",
            health.status
        ))),
        "" => broken("the status is empty"),
        other => broken(format!("the status is {:?}", quote(other))),
    }
}

async fn time_limit(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let limit = judge.options.limits.health;
    let mut slowest = Duration::ZERO;
    for number in 1..=CALLS {
        let begin = Instant::now();
        let asked = session.unary::<_, HealthCheckResponse>(HEALTH, &HealthCheckRequest {});
        match tokio::time::timeout(limit, asked).await {
            Ok(answer) => drop(answer?),
            Err(_) => {
                return broken(format!(
                    "call {number} of {CALLS} had no answer within {}",
                    seconds(limit)
                ));
            }
        }
        slowest = slowest.max(begin.elapsed());
    }
    let detail = format!("the slowest of {CALLS} took {}", seconds(slowest));
    match slowest > limit / SLOW {
        true => Err(Miss::Doubt(detail)),
        false => Ok(detail),
    }
}

async fn message(judge: &Judge) -> Outcome {
    let text = current(judge).await?.message;
    if text.len() > MAX_MESSAGE {
        return broken(format!("it has {} bytes", text.len()));
    }
    match text.contains(char::is_control) {
        true => broken("it has line breaks or other control characters"),
        false => Ok(match text.is_empty() {
            true => "empty, which is allowed".to_owned(),
            false => quote(&text),
        }),
    }
}
