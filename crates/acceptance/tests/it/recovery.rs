//! Processes that are killed at the worst moment.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use rat_acceptance::{Options, Process, Stack, wait_for};

/// Takes some seconds, so that something can happen meanwhile.
const SLOW: &str = "SELECT a.value AS x, count(*) AS n
FROM generate_series(1, 20000) AS a(value) CROSS JOIN generate_series(1, 20000) AS b(value)
WHERE (a.value * b.value) % 7 = 3 GROUP BY a.value";

/// Starts a run and waits until its runner has been heard of: from then on it is executing.
async fn running(stack: &Stack, pipeline: &str) -> Result<String> {
    let run = stack.start_run(pipeline).await?;
    let path = format!("/api/v1/runs/{run}/logs");
    wait_for("the run to say something", async || {
        let (_, body) = stack.get(&path).await?;
        ensure!(
            body["status"] == "pending" || body["status"] == "running",
            "too late: {body}"
        );
        Ok(body["logs"]
            .as_array()
            .is_some_and(|lines| !lines.is_empty())
            .then_some(()))
    })
    .await?;
    Ok(run)
}

#[tokio::test]
async fn a_run_outlives_a_killed_ratd() -> Result<()> {
    let mut stack = Stack::start(&Options::default()).await?;
    stack
        .put_pipeline("shop.gold.slow", "pipeline.sql", SLOW)
        .await?;
    let run = running(&stack, "shop.gold.slow").await?;
    stack.stop(Process::Ratd, Signal::SIGKILL).await?;
    stack.spawn(Process::Ratd)?;
    let body = stack.finished(&run).await?;
    assert_eq!(body["status"], "success", "{body}\n{}", stack.logs());
    let rows = stack
        .query("SELECT count(*) AS n FROM shop.gold.slow")
        .await?;
    assert!(rows[0]["n"].as_u64().unwrap_or_default() > 0, "{rows:?}");
    Ok(())
}

#[tokio::test]
async fn a_run_whose_runner_was_killed_fails_and_the_next_one_succeeds() -> Result<()> {
    let settings = "scheduler:\n  poll_interval: 500ms\n".to_owned();
    let mut stack = Stack::start(&Options {
        settings,
        ..Options::default()
    })
    .await?;
    stack
        .put_pipeline("shop.gold.slow", "pipeline.sql", SLOW)
        .await?;
    let run = running(&stack, "shop.gold.slow").await?;
    stack.stop(Process::Runner, Signal::SIGKILL).await?;
    stack.spawn(Process::Runner)?;
    let body = stack.finished(&run).await?;
    assert_eq!(
        (body["status"].as_str(), body["error"]["code"].as_str()),
        (Some("failed"), Some("RUN_LOST")),
        "{body}"
    );
    stack
        .put_pipeline("shop.gold.slow", "pipeline.sql", "SELECT 1 AS x")
        .await?;
    let body = stack.run("shop.gold.slow").await?;
    assert_eq!(body["status"], "success", "{body}");
    Ok(())
}

#[tokio::test]
async fn a_runner_that_is_killed_while_it_writes_leaves_no_file() -> Result<()> {
    let settings = "scheduler:\n  poll_interval: 500ms\n".to_owned();
    let mut stack = Stack::start(&Options {
        settings,
        ..Options::default()
    })
    .await?;
    let table = stack.path().join("lake/shop/gold/wide");
    // More rows than any machine writes in the time of a test.
    let endless = "SELECT a.value AS x, b.value AS y, random() AS z
        FROM generate_series(1, 200000) AS a(value) CROSS JOIN generate_series(1, 200000) AS b(value)";
    stack
        .put_pipeline("shop.gold.wide", "pipeline.sql", endless)
        .await?;
    let run = stack.start_run("shop.gold.wide").await?;
    wait_for("the runner to write", async || {
        Ok(table
            .join(format!("data/run-{run}"))
            .read_dir()
            .is_ok_and(|mut files| files.next().is_some())
            .then_some(()))
    })
    .await?;
    stack.stop(Process::Runner, Signal::SIGKILL).await?;
    stack.spawn(Process::Runner)?;
    let body = stack.finished(&run).await?;
    assert_eq!(body["error"]["code"], "RUN_LOST", "{body}");
    assert!(!table.exists(), "the table never was");
    Ok(())
}

#[tokio::test]
async fn a_running_run_is_cancelled_at_once_and_leaves_no_table() -> Result<()> {
    let stack = Stack::start(&Options::default()).await?;
    stack
        .put_pipeline("shop.gold.slow", "pipeline.sql", SLOW)
        .await?;
    let run = running(&stack, "shop.gold.slow").await?;
    let (status, body) = stack
        .post(
            &format!("/api/v1/runs/{run}/cancel"),
            &serde_json::json!({}),
        )
        .await?;
    assert_eq!(status, 200, "{body}");
    let body = stack.finished(&run).await?;
    assert_eq!(body["status"], "cancelled", "{body}");
    let (status, _) = stack.get("/api/v1/tables/shop/gold/slow").await?;
    assert_eq!(status, 404);
    Ok(())
}

#[tokio::test]
async fn everything_survives_a_restart_of_everything() -> Result<()> {
    let mut stack = Stack::start(&Options::default()).await?;
    stack
        .put_pipeline("shop.gold.one", "pipeline.sql", "SELECT 1 AS x")
        .await?;
    assert_eq!(stack.run("shop.gold.one").await?["status"], "success");
    for process in [Process::Ratd, Process::Runner, Process::Ratq] {
        stack.stop(process, Signal::SIGTERM).await?;
    }
    for process in [Process::Ratq, Process::Runner, Process::Ratd] {
        stack.spawn(process)?;
    }
    stack.wait_ready().await?;
    assert_eq!(stack.query("SELECT x FROM shop.gold.one").await?.len(), 1);
    assert_eq!(stack.run("shop.gold.one").await?["status"], "success");
    Ok(())
}
