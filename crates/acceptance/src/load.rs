//! Requests at a steady rate, whether earlier ones have been answered or not, as long as ratd takes
//! their connections: it closes those that one address has beyond its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

/// Requests that wait for their answer at a time, each on a connection of its own: fewer than ratd's
/// share for one address.
const MOST_OPEN: usize = 200;

/// Somebody who asks who they are.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The credential.
    pub token: Option<String>,
    /// Who they are; `None` for those who must not be let in.
    pub user: Option<String>,
}

/// A request and what became of it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The id that it was sent with.
    pub id: String,
    /// Who asked.
    pub caller: Caller,
    /// When it was sent.
    pub sent: DateTime<Utc>,
    /// When it was answered.
    pub done: DateTime<Utc>,
    /// Status and body, or why there is none.
    pub outcome: Result<(u16, Value), String>,
}

impl Answer {
    /// The status; 0 without an answer.
    pub fn status(&self) -> u16 {
        self.outcome.as_ref().map_or(0, |(status, _)| *status)
    }
}

/// Requests that are being made.
pub struct Load {
    stop: Arc<AtomicBool>,
    made: JoinHandle<Result<Vec<Answer>>>,
}

impl Load {
    /// `GET /api/v1/me` so many times per second, of one caller after the other.
    ///
    /// # Errors
    /// There is no client.
    pub fn start(url: &str, callers: Vec<Caller>, per_second: u32) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let url = format!("{url}/api/v1/me");
        let made = make(http, url, callers, per_second, Arc::clone(&stop));
        let made = tokio::spawn(made);
        Ok(Self { stop, made })
    }

    /// No more requests: waits for the answers to those that were sent.
    ///
    /// # Errors
    /// The requests were not made.
    pub async fn stop(self) -> Result<Vec<Answer>> {
        self.stop.store(true, Ordering::Relaxed);
        self.made.await.context("the requests ended in a panic")?
    }
}

async fn make(
    http: reqwest::Client,
    url: String,
    callers: Vec<Caller>,
    per_second: u32,
    stop: Arc<AtomicBool>,
) -> Result<Vec<Answer>> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    let mut answers = Vec::new();
    for (number, caller) in callers.into_iter().cycle().enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        ticks.tick().await;
        while requests.len() >= MOST_OPEN {
            match requests.join_next().await {
                Some(answer) => answers.push(answer?),
                None => break,
            }
        }
        requests.spawn(one(
            http.clone(),
            url.clone(),
            format!("load-{number}"),
            caller,
        ));
        while let Some(answer) = requests.try_join_next() {
            answers.push(answer?);
        }
    }
    while let Some(answer) = requests.join_next().await {
        answers.push(answer?);
    }
    Ok(answers)
}

async fn one(http: reqwest::Client, url: String, id: String, caller: Caller) -> Answer {
    let mut request = http.get(url).header("x-request-id", &id);
    if let Some(token) = &caller.token {
        request = request.bearer_auth(token);
    }
    let sent = Utc::now();
    let answered = async {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok::<_, reqwest::Error>((status, answer.json().await?))
    };
    let outcome = answered.await.map_err(|error| format!("{error:?}"));
    Answer {
        id,
        caller,
        sent,
        done: Utc::now(),
        outcome,
    }
}
