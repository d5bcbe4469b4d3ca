//! PyIceberg and DuckDB against a RAT with the example project in it.

use anyhow::{Result, ensure};
use rat_acceptance::{Options, Stack, private_folder, skip};

use crate::demo::{demo, text};

#[tokio::test]
async fn pyiceberg_and_duckdb_agree_with_rat() -> Result<()> {
    if std::env::var_os("RAT_TEST_PYTHON").is_none() {
        return skip(
            "interoperability with PyIceberg and DuckDB",
            "RAT_TEST_PYTHON is not set",
        );
    }
    let folder = private_folder()?;
    let filled = demo(folder.path(), "0.02").await?;
    ensure!(filled.status.success(), "{}", text(&filled));
    let data = folder
        .path()
        .join("lake/tpch/landing")
        .display()
        .to_string();
    let stack = Stack::start_in(folder, &Options::default()).await?;
    for command in [
        vec!["gold", stack.url(), &data],
        vec!["read", stack.url()],
        vec!["write", stack.url()],
        vec!["evolve", stack.url()],
    ] {
        let claims = stack.python(&command).await?.unwrap_or_default();
        print!("{claims}");
        ensure!(claims.contains("ok:"), "{command:?} made no claim");
    }
    Ok(())
}
