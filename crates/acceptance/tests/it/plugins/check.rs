//! `rat plugin check` as a program.

use anyhow::{Context, Result, ensure};
use rat_acceptance::{AuthPlugin, private_folder, program, wait_for};
use serde_json::Value;

#[tokio::test]
async fn rat_plugin_check_passes_the_example_and_says_what_something_else_lacks() -> Result<()> {
    let folder = private_folder()?;
    let socket = folder.path().join("auth.sock");
    let config = folder.path().join("config.json");
    std::fs::write(
        &config,
        r#"{"tokens": {"let-me-in": {"user_id": "alice"}}}"#,
    )?;
    let address = format!("unix:{}", socket.display());
    let config = config.to_str().context("the folder has a name")?;
    let log = folder.path().join("plugin.log");
    let _plugin = AuthPlugin::listening(&address, &log, &["--config", config])?;
    wait_for("the plugin", async || Ok(socket.exists().then_some(()))).await?;
    let token = folder.path().join("token");
    std::fs::write(&token, "let-me-in")?;
    let check = async |slot: &str| -> Result<(bool, Value)> {
        let output = tokio::process::Command::new(program("rat")?)
            .args(["plugin", "check", &address, "--slot", slot, "--token"])
            .arg(&token)
            .args(["--output", "json"])
            .env("NO_COLOR", "1")
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let report = serde_json::from_str(&text)
            .with_context(|| format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))?;
        Ok((output.status.success(), report))
    };
    let (passed, report) = check("auth").await?;
    ensure!(passed, "{report:#}");
    let (passed, report) = check("cloud").await?;
    ensure!(!passed, "{report:#}");
    Ok(())
}
