//! The same RAT on PostgreSQL.

use anyhow::{Result, ensure};
use rat_acceptance::{Database, Options, Stack};

#[tokio::test]
async fn a_pipeline_runs_on_postgresql() -> Result<()> {
    let Some(url) = rat_sql::test_util::postgres_url().await else {
        return Ok(());
    };
    let options = Options {
        database: Database::Postgres(url),
        ..Options::default()
    };
    let stack = Stack::start(&options).await?;
    stack
        .upload("shop", "raw", "a.csv", b"id,price\n1,2.5\n2,3.5\n".to_vec())
        .await?;
    let sql = "SELECT id, price FROM read_csv('{{ landing_zone(\"raw\") }}')";
    stack
        .put_pipeline("shop.bronze.prices", "pipeline.sql", sql)
        .await?;
    let run = stack.run("shop.bronze.prices").await?;
    ensure!(run["status"] == "success", "{run}");
    let rows = stack
        .query("SELECT sum(price) AS total FROM shop.bronze.prices")
        .await?;
    assert_eq!(rows[0]["total"], 6.0);
    let (_, health) = stack.get("/health").await?;
    assert_eq!(health["services"]["postgres"], "healthy", "{health}");
    Ok(())
}
