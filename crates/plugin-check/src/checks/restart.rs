//! A plugin that is stopped, killed and started again.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::check::{Check, Miss, Outcome, broken, not_checked};
use crate::judge::Judge;
use crate::process;
use crate::session::quote;
use crate::wire::seconds;

pub(crate) const CHECKS: &[Check] = &[
    Check::advised(
        "restart.graceful-stop",
        |judge| Box::pin(graceful(judge)),
        "On SIGTERM a plugin ends by itself with exit code 0 within 20 seconds.",
    ),
    Check::required(
        "restart.after-kill",
        |judge| Box::pin(after_kill(judge)),
        "A plugin that was killed starts again on the same address, whatever it left behind.",
    ),
    Check::required(
        "restart.same-answers",
        |judge| Box::pin(same_answers(judge)),
        "After a restart a plugin answers as before.",
    ),
];

const NO_WAY: &str = "the kit cannot restart this plugin (--start COMMAND or --restart COMMAND)";

async fn graceful(judge: &Judge) -> Outcome {
    let limit = judge.options.limits.stop;
    let mut process = judge.process.lock().await;
    let Some(plugin) = process.as_mut() else {
        return not_checked("the kit did not start this plugin (--start COMMAND)");
    };
    let begin = Instant::now();
    let ended = plugin.end(Signal::SIGTERM, limit).await;
    let took = seconds(begin.elapsed());
    let again = plugin.again().await;
    drop(process);
    if let Err(error) = again {
        return broken(format!("it cannot be started again: {error}"));
    }
    if judge
        .wait_until_alive(judge.options.limits.restart)
        .await
        .is_none()
    {
        return Err(Miss::Gone("it did not start again".to_owned()));
    }
    match ended {
        None => broken(format!("it was still running after {took}")),
        Some(status) if status.success() => Ok(format!("after {took}")),
        Some(status) => broken(format!("it ended with {status} after {took}")),
    }
}

async fn after_kill(judge: &Judge) -> Outcome {
    let limit = judge.options.limits.restart;
    let mut process = judge.process.lock().await;
    let Some(plugin) = process.as_mut() else {
        return not_checked("the kit did not start this plugin (--start COMMAND)");
    };
    let again = plugin.again().await;
    drop(process);
    if let Err(error) = again {
        return broken(format!("it cannot be started again: {error}"));
    }
    match judge.wait_until_alive(limit).await {
        Some(took) => Ok(format!("it answers after {}", seconds(took))),
        None => broken(format!("it does not answer within {}", seconds(limit))),
    }
}

async fn same_answers(judge: &Judge) -> Outcome {
    let limit = judge.options.limits.restart;
    if let Some(command) = &judge.options.restart {
        process::execute(command, limit)
            .await
            .map_err(Miss::Broken)?;
        if judge.wait_until_alive(limit).await.is_none() {
            return broken(format!("it does not answer within {}", seconds(limit)));
        }
    } else if judge.options.start.is_none() {
        return not_checked(NO_WAY);
    }
    let before = judge.health.as_ref().map(|health| health.status.as_str());
    let now = judge
        .wait_until_it_says(before.unwrap_or("healthy"))
        .await?;
    if let Some(before) = before.filter(|before| *before != now) {
        return broken(format!(
            "it was {:?} and is {:?}",
            quote(before),
            quote(&now)
        ));
    }
    let mut same = vec![quote(&now)];
    for check in crate::check::CHECKS
        .iter()
        .filter(|check| is_repeated(check, judge))
    {
        match (check.probe)(judge).await {
            Ok(_) => same.push(check.id.to_owned()),
            Err(Miss::NotChecked(_)) => {}
            Err(Miss::Broken(text) | Miss::Doubt(text) | Miss::Gone(text)) => {
                return broken(format!("{}: {text}", check.id));
            }
        }
    }
    Ok(same.join(", "))
}

/// Checks of the slots that say whether the plugin still knows what it knew.
fn is_repeated(check: &Check, judge: &Judge) -> bool {
    let is_telling = matches!(
        check.id,
        "slot.methods" | "auth.bad-token.garbage" | "auth.identity" | "cloud.unknown-provider"
    );
    is_telling && check.slot.is_none_or(|slot| judge.served.contains(&slot))
}
