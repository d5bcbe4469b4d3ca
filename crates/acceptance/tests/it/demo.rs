//! `rat dev --demo tpch`: the first thing that a new user sees.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result};
use rat_acceptance::{binaries, private_folder};

/// Runs the demo on `folder` to its end.
pub(crate) async fn demo(folder: &Path, scale: &str) -> Result<Output> {
    let listen = format!("unix:{}/public.sock", folder.display());
    let output = tokio::process::Command::new(binaries()?.join("rat"))
        .args([
            "dev", "--demo", "tpch", "--scale", scale, "--once", "--listen", &listen, "--dir",
        ])
        .arg(folder)
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_secs(300), output)
        .await
        .context("too slow")?
        .context("rat")
}

/// What a program printed.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn the_second_start_finds_its_data_again() -> Result<()> {
    let folder = private_folder()?;
    let first = demo(folder.path(), "0.01").await?;
    let shown = text(&first);
    assert!(first.status.success(), "{shown}");
    for expected in [
        "q1_pricing_summary",
        "q3_shipping_priority",
        "q5_local",
        "q6_forecast",
        "INDIA",
    ] {
        assert!(
            shown.contains(expected),
            "{expected} is missing in:\n{shown}"
        );
    }
    let second = demo(folder.path(), "0.01").await?;
    let shown = text(&second);
    assert!(second.status.success(), "{shown}");
    assert!(
        shown.contains("up to date"),
        "nothing had to be run again:\n{shown}"
    );
    assert!(shown.contains("INDIA"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_broken_start_ends_with_its_reason() -> Result<()> {
    let folder = private_folder()?;
    std::fs::write(
        folder.path().join("lake"),
        "a file where the lake should be",
    )?;
    let output = demo(folder.path(), "0.01").await?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    Ok(())
}
