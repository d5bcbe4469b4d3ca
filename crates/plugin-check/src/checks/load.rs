//! Many calls at once, calls that are given up, connections that say nothing.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rat_proto::plugin::v1::{HealthCheckRequest, HealthCheckResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::PLUGIN_PROTO;
use crate::check::{Check, Miss, Outcome, broken, not_checked};
use crate::judge::Judge;
use crate::session::{HEALTH, quote};
use crate::wire::{Code, NoAnswer, Sent, connect, seconds};

/// How an HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Half of an HTTP/1.1 request's head.
const HALF_HEAD: &[u8] = b"POST /rat.plugin.v1.PluginService/HealthCheck HTTP/1.1\r\nhost: x\r\n";
/// What silent connections have said before they fell silent.
const BEGINNINGS: [&[u8]; 4] = [b"", b"PRI * HTT", PREFACE, HALF_HEAD];
const HALF_OPEN: usize = 128;
const GIVEN_UP: usize = 50;
/// The deadline of a call whose message never ends.
const SHORT: Duration = Duration::from_millis(500);

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "load.parallel-calls",
        |judge| Box::pin(parallel_calls(judge)),
        "ratd keeps one connection to a plugin and makes many calls on it at the same time; each is answered.",
    )
    .nasty(),
    Check::required(
        "load.parallel-connections",
        |judge| Box::pin(parallel_connections(judge)),
        "A plugin answers on several connections at the same time.",
    )
    .nasty(),
    Check::required(
        "deadline.expired",
        |judge| Box::pin(expired(judge)),
        "Calls whose deadline has passed are ended, and the plugin lives on.",
    )
    .nasty(),
    Check::advised(
        "deadline.honoured",
        |judge| Box::pin(honoured(judge)),
        "A call ends when its deadline (grpc-timeout) has passed, although its client is still there.",
    )
    .nasty(),
    Check::required(
        "cancel.mid-call",
        |judge| Box::pin(cancel(judge)),
        "Calls that are given up half-way harm neither the others on their connection nor the plugin.",
    )
    .nasty(),
    Check::required(
        "connection.half-open",
        |judge| Box::pin(half_open(judge)),
        "HealthCheck is answered within 5 seconds while 128 connections say nothing, or half of something.",
    )
    .from(PLUGIN_PROTO)
    .nasty(),
    Check::advised(
        "connection.silence",
        |judge| Box::pin(silence(judge)),
        "A connection on which no request begins is closed, at the latest after 15 seconds.",
    ),
];

async fn parallel_calls(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let count = judge.options.limits.parallel;
    let begin = Instant::now();
    let calls = (0..count).map(|_| async {
        let answer = session.unary::<_, HealthCheckResponse>(HEALTH, &HealthCheckRequest {});
        answer.await.map(|answer| answer.status)
    });
    let mut words = Vec::new();
    for word in join_all(calls).await {
        words.push(word?);
    }
    words.sort();
    words.dedup();
    if words.len() > 1 {
        return broken(format!("different answers: {}", quote(&words.join(", "))));
    }
    Ok(format!("{count} answers in {}", seconds(begin.elapsed())))
}

async fn parallel_connections(judge: &Judge) -> Outcome {
    let count = judge.options.limits.parallel / 4;
    let begin = Instant::now();
    for answer in join_all((0..count).map(|_| judge.alive())).await {
        answer?;
    }
    Ok(format!("{count} answers in {}", seconds(begin.elapsed())))
}

async fn expired(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let limit = judge.options.limits.call;
    let calls = (0..GIVEN_UP).map(|_| {
        let passed = Some(Duration::from_nanos(1));
        session.raw(HEALTH, Sent::Whole(&[]), passed, limit)
    });
    let mut ended = 0;
    for reply in join_all(calls).await {
        match reply {
            Err(error @ (NoAnswer::TimedOut(_) | NoAnswer::Dial(_))) => {
                return broken(format!("a call with a deadline of 1 ns: {error}"));
            }
            Ok(reply) if reply.code == Code::OK => {}
            Ok(_) | Err(_) => ended += 1,
        }
    }
    Ok(format!(
        "{ended} of {GIVEN_UP} were ended, the others were faster"
    ))
}

async fn honoured(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let limit = judge.options.limits.health;
    let begin = Instant::now();
    let unending = Sent::Unending(b"begun");
    match session.raw(HEALTH, unending, Some(SHORT), limit).await {
        Err(NoAnswer::TimedOut(_)) => broken(format!(
            "a call with a deadline of 500 ms was still open after {}",
            seconds(limit)
        )),
        Err(error @ NoAnswer::Dial(_)) => Err(error.into()),
        Ok(reply) if reply.code == Code::OK => broken("half a message was answered OK"),
        Ok(reply) => Ok(format!("{} after {}", reply.code, seconds(reply.took))),
        Err(_) => Ok(format!("ended after {}", seconds(begin.elapsed()))),
    }
}

async fn cancel(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let calls = (0..GIVEN_UP).map(|_| {
        let limit = Duration::from_millis(50);
        session.raw(HEALTH, Sent::Unending(b"begun"), None, limit)
    });
    // Each is dropped at the end of its time, which resets its stream.
    drop(join_all(calls).await);
    if !session.is_usable() {
        return broken("the plugin closed the connection because of calls that were given up");
    }
    match session
        .unary::<_, HealthCheckResponse>(HEALTH, &HealthCheckRequest {})
        .await
    {
        Ok(_) => Ok(format!(
            "{GIVEN_UP} calls given up; the next one on the connection is answered"
        )),
        Err(failure) => broken(format!("the next call on the connection: {failure}")),
    }
}

async fn half_open(judge: &Judge) -> Outcome {
    let limit = judge.options.limits.dial;
    let mut open = Vec::new();
    for number in 0..HALF_OPEN {
        let Ok(mut stream) = connect(&judge.target, b"h2", limit).await else {
            // A bound on connections is as good a defence as any, if HealthCheck is answered.
            break;
        };
        let beginning = BEGINNINGS[number % BEGINNINGS.len()];
        // One that is closed at once is no longer half open.
        let _ = stream.write_all(beginning).await;
        let _ = stream.flush().await;
        open.push(stream);
    }
    let begin = Instant::now();
    match judge.alive().await {
        Ok(_) => Ok(format!(
            "answered after {} beside {} connections",
            seconds(begin.elapsed()),
            open.len()
        )),
        Err(failure) => broken(format!("beside {} connections: {failure}", open.len())),
    }
}

/// Opens connections that say nothing, for [`silence`] to ask about at the end.
pub(crate) fn keep_silent(judge: &Judge) -> JoinSet<Result<Duration, NoAnswer>> {
    let mut tasks = JoinSet::new();
    for beginning in BEGINNINGS {
        let target = judge.target.clone();
        let (dial, limit) = (judge.options.limits.dial, judge.options.limits.silence);
        tasks.spawn(async move {
            let mut stream = connect(&target, b"h2", dial).await?;
            let begin = Instant::now();
            let read = async {
                let _ = stream.write_all(beginning).await;
                let _ = stream.flush().await;
                let mut sink = [0; 1024];
                while let Ok(count) = stream.read(&mut sink).await {
                    if count == 0 {
                        break;
                    }
                }
            };
            match tokio::time::timeout(limit, read).await {
                Ok(()) => Ok(begin.elapsed()),
                Err(_) => Err(NoAnswer::TimedOut(limit)),
            }
        });
    }
    tasks
}

async fn silence(judge: &Judge) -> Outcome {
    let mut tasks = judge.silent.lock().await;
    let mut longest = Duration::ZERO;
    let (mut closed, mut open) = (0, 0);
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(after)) => {
                closed += 1;
                longest = longest.max(after);
            }
            Ok(Err(NoAnswer::TimedOut(_))) => open += 1,
            Ok(Err(error)) => return Err(Miss::from(error)),
            Err(error) => return not_checked(error.to_string()),
        }
    }
    match (closed, open) {
        (0, 0) => not_checked("the plugin could not be reached when the checks began"),
        (_, 0) => Ok(format!(
            "the last of {closed} was closed after {}",
            seconds(longest)
        )),
        _ => broken(format!("{open} of {} were never closed", closed + open)),
    }
}
