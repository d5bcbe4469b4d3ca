//! The executor slot, as far as it can be judged without a run.

use std::collections::BTreeSet;

use rat_config::Slot;
use rat_proto::executor::v1::{ListRunsRequest, ListRunsResponse};

use super::{EXECUTOR_PROTO, slot};
use crate::check::{Check, Outcome, broken};
use crate::judge::Judge;
use crate::session::Failure;
use crate::wire::Code;

const LIST: &str = "/rat.executor.v1.ExecutorService/ListRuns";
const PAGE: u32 = 2;
const MAX_PAGES: usize = 50;

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "executor.unknown-run.status",
        |judge| Box::pin(unknown(judge, "GetRunStatus")),
        "GetRunStatus answers NOT_FOUND for a run that the executor does not know.",
    )
    .of(Slot::Executor)
    .from(EXECUTOR_PROTO),
    Check::required(
        "executor.unknown-run.cancel",
        |judge| Box::pin(unknown(judge, "Cancel")),
        "Cancel answers NOT_FOUND for a run that the executor does not know.",
    )
    .of(Slot::Executor)
    .from(EXECUTOR_PROTO),
    Check::required(
        "executor.unknown-run.logs",
        |judge| Box::pin(unknown(judge, "StreamLogs")),
        "StreamLogs answers NOT_FOUND for a run that the executor does not know, and does not wait for it.",
    )
    .of(Slot::Executor)
    .from(EXECUTOR_PROTO),
    Check::required(
        "executor.empty-submit",
        |judge| Box::pin(empty_submit(judge)),
        "Submit refuses a request without a run.",
    )
    .of(Slot::Executor),
    Check::required(
        "executor.list-runs",
        |judge| Box::pin(list(judge)),
        "ListRuns answers with each run once and with no more than page_size of them at a time.",
    )
    .of(Slot::Executor)
    .from(EXECUTOR_PROTO),
];

async fn unknown(judge: &Judge, method: &str) -> Outcome {
    let session = judge.connect().await?;
    let Some((path, request)) = slot::probes(Slot::Executor, &judge.marker)
        .into_iter()
        .find(|(path, _)| path.ends_with(method))
    else {
        return broken(format!("{method} is not known"));
    };
    match session.bytes(&path, &request).await {
        Ok(_) => broken("it answered as if it knew the run"),
        Err(failure) if failure.code() == Some(Code::NOT_FOUND) => Ok(failure.to_string()),
        Err(failure) => broken(failure.to_string()),
    }
}

async fn empty_submit(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let answer = session
        .bytes("/rat.executor.v1.ExecutorService/Submit", &[])
        .await;
    match answer {
        Ok(_) => broken("it was accepted"),
        Err(Failure::Refused(refusal)) => Ok(refusal.to_string()),
        Err(Failure::None(error)) => broken(error.to_string()),
    }
}

async fn list(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let mut seen = BTreeSet::new();
    let mut token = String::new();
    for _ in 0..MAX_PAGES {
        let request = ListRunsRequest {
            page_size: PAGE,
            page_token: token,
            active_only: false,
        };
        let page: ListRunsResponse = session.unary(LIST, &request).await?;
        if page.runs.len() > PAGE as usize {
            return broken(format!(
                "{} runs where {PAGE} were asked for",
                page.runs.len()
            ));
        }
        for run in page.runs {
            if run.run_id.is_empty() {
                return broken("a run has no id");
            }
            if !seen.insert(run.run_id) {
                // A run that was submitted meanwhile moves the pages; that is not seen on an idle plugin.
                return broken("a run was listed twice");
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(format!("{} runs", seen.len()));
        }
        token = page.next_page_token;
    }
    Ok(format!("the first {} runs", seen.len()))
}
