//! A RAT whose tables are in another catalog: that of a second RAT.
//!
//! With `RAT_TEST_REST_CATALOG` also in the one at that address, which reaches the machine's folders,
//! wants no credentials and was not written by us.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rat_acceptance::{Options, Process, Stack, wait_for};
use serde_json::{Value, json};

/// Takes some seconds, so that something can happen meanwhile, and replaces the table.
const SLOW: &str = "SELECT count(*) AS id, 1.0 AS price
FROM generate_series(1, 20000) AS a(value) CROSS JOIN generate_series(1, 20000) AS b(value)
WHERE (a.value * b.value) % 7 = 3";

/// A catalog as its other users see it.
struct Catalog {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Catalog {
    async fn table(&self, namespace: &str, layer: &str, name: &str) -> Result<Option<Value>> {
        let path = format!("v1/namespaces/{namespace}%1F{layer}/tables/{name}");
        let request = self.http.get(format!("{}/{path}", self.url));
        let answer = self.authorized(request).send().await?;
        if answer.status() == 404 {
            return Ok(None);
        }
        let body: Value = answer.error_for_status()?.json().await?;
        Ok(Some(body["metadata"].clone()))
    }

    /// Moves `main` of a table back to its parent, behind the back of the RAT in front.
    async fn set_back(&self, namespace: &str, layer: &str, name: &str) -> Result<()> {
        let table = self.table(namespace, layer, name).await?;
        let table = table.context("no table")?;
        let head = &table["current-snapshot-id"];
        let snapshots = table["snapshots"].as_array().context("no snapshots")?;
        let head = snapshots.iter().find(|one| one["snapshot-id"] == *head);
        let parent = &head.context("no head")?["parent-snapshot-id"];
        let update = json!({"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
                            "snapshot-id": parent});
        let body = json!({"requirements": [], "updates": [update]});
        let path = format!("v1/namespaces/{namespace}%1F{layer}/tables/{name}");
        let request = self.http.post(format!("{}/{path}", self.url)).json(&body);
        self.authorized(request).send().await?.error_for_status()?;
        Ok(())
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// Everything that a table goes through, in a namespace that nobody else uses.
async fn a_table_goes_through_its_life(
    stack: &Stack,
    lake: &Path,
    catalog: &Catalog,
    namespace: &str,
) -> Result<()> {
    let table = format!("{namespace}.bronze.prices");
    stack
        .upload(
            namespace,
            "raw",
            "a.csv",
            b"id,price\n1,2.5\n2,3.5\n".to_vec(),
        )
        .await?;
    let good = "SELECT id, price FROM read_csv('{{ landing_zone(\"raw\") }}')";
    stack.put_pipeline(&table, "pipeline.sql", good).await?;
    ensure!(
        catalog
            .table(namespace, "bronze", "prices")
            .await?
            .is_none(),
        "nothing is there before the first run"
    );

    // A first run creates the table there, a second one replaces its rows.
    for _ in 0..2 {
        let run = stack.run(&table).await?;
        ensure!(run["status"] == "success", "{run}\n{}", stack.logs());
    }
    let total = format!("SELECT sum(price) AS total FROM {table}");
    ensure!(stack.query(&total).await?[0]["total"] == 6.0, "the rows");
    let published = catalog.table(namespace, "bronze", "prices").await?;
    let published = published.context("the table is there")?;
    ensure!(
        published["refs"]
            .as_object()
            .is_some_and(|refs| refs.len() == 1),
        "{published}"
    );

    // A run that fails its test leaves no branch there and no file here.
    let before = files(&lake.join(namespace).join("bronze/prices"));
    let test = "-- @severity: error\nSELECT * FROM {{ this }} WHERE price < 0";
    stack
        .put_pipeline(&table, "tests/quality/positive.sql", test)
        .await?;
    let bad = "SELECT 1 AS id, -1.0 AS price, 'new' AS column";
    stack.put_pipeline(&table, "pipeline.sql", bad).await?;
    let run = stack.run(&table).await?;
    ensure!(run["error"]["code"] == "QUALITY_FAILED", "{run}");
    ensure!(
        files(&lake.join(namespace).join("bronze/prices")) == before,
        "files are left"
    );
    let after = catalog.table(namespace, "bronze", "prices").await?;
    let after = after.context("the table is there")?;
    for field in [
        "refs",
        "snapshots",
        "current-snapshot-id",
        "current-schema-id",
    ] {
        ensure!(after[field] == published[field], "{field}: {after}");
    }

    // Somebody else moves the table while a run replaces it: the run is executed again.
    stack.put_pipeline(&table, "pipeline.sql", SLOW).await?;
    let run = stack.start_run(&table).await?;
    wait_for("the run to say something", async || {
        let (_, body) = stack.get(&format!("/api/v1/runs/{run}/logs")).await?;
        let heard = body["logs"]
            .as_array()
            .is_some_and(|lines| !lines.is_empty());
        Ok(heard.then_some(()))
    })
    .await?;
    catalog.set_back(namespace, "bronze", "prices").await?;
    let run = stack.finished(&run).await?;
    ensure!(run["status"] == "success", "{run}\n{}", stack.logs());
    ensure!(run["attempt"] == 2, "{run}");
    let count = format!("SELECT count(*) AS n FROM {table}");
    ensure!(stack.query(&count).await?[0]["n"] == 1, "one row");

    let (status, body) = stack
        .get(&format!("/api/v1/tables?namespace={namespace}"))
        .await?;
    ensure!(status == 200 && body["total"] == 1, "{status} {body}");
    Ok(())
}

/// Files of a table that are not its history.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found.retain(|file| !file.ends_with(".metadata.json") && !file.ends_with(".crc"));
    found.sort();
    found
}

fn in_front_of(url: &str, more: &str) -> String {
    format!("catalog:\n  type: rest\n  uri: {url}\n{more}scheduler:\n  poll_interval: 500ms\n")
}

#[tokio::test]
async fn the_tables_of_one_rat_are_in_the_catalog_of_another() -> Result<()> {
    const KEY: &str = "the-key-of-the-other";
    let secrets = tempfile::tempdir()?;
    let key = secrets.path().join("key");
    std::fs::write(&key, KEY)?;
    let key = key.display();
    let mut other = Stack::start(&Options {
        settings: format!("auth:\n  api_key_file: {key}\n"),
        ..Options::default()
    })
    .await?;
    let lake = other.path().join("lake");
    let catalog = Catalog {
        http: reqwest::Client::new(),
        url: format!("{}/iceberg", other.url()),
        token: Some(KEY.to_owned()),
    };
    let stack = Stack::start(&Options {
        settings: in_front_of(&catalog.url, &format!("  token_file: {key}\n")),
        lake: Some(lake.clone()),
        ..Options::default()
    })
    .await?;
    a_table_goes_through_its_life(&stack, &lake, &catalog, "shop").await?;
    if let Some(claims) = stack.python(&["write", stack.url()]).await? {
        print!("{claims}");
    }

    // It goes away, which is said, and comes back, which is enough.
    other.stop(Process::Ratd, Signal::SIGTERM).await?;
    let (_, health) = stack.get("/health").await?;
    ensure!(health["services"]["catalog"] == "down", "{health}");
    ensure!(health["services"]["sqlite"] == "healthy", "{health}");
    other.spawn(Process::Ratd)?;
    wait_for("the catalog to be back", async || {
        let (_, health) = stack.get("/health").await?;
        Ok((health["services"]["catalog"] == "healthy").then_some(()))
    })
    .await?;
    let run = stack.run("shop.bronze.prices").await?;
    ensure!(run["status"] == "success", "{run}");
    if let Some(claims) = on_a_catalog_of_somebody_else_s().await? {
        print!("{claims}");
    }
    Ok(())
}

/// The same on a catalog that was not written by us, if the developer has named one.
async fn on_a_catalog_of_somebody_else_s() -> Result<Option<String>> {
    let Ok(url) = std::env::var("RAT_TEST_REST_CATALOG") else {
        return Ok(None);
    };
    let catalog = Catalog {
        http: reqwest::Client::new(),
        url: url.trim_end_matches('/').to_owned(),
        token: None,
    };
    let stack = Stack::start(&Options {
        settings: in_front_of(&catalog.url, ""),
        ..Options::default()
    })
    .await?;
    let lake = stack.path().join("lake");
    let namespace = format!("shop_{}", std::process::id());
    a_table_goes_through_its_life(&stack, &lake, &catalog, &namespace).await?;
    let claims = stack.python(&["write", stack.url()]).await?;
    let claims = claims.unwrap_or_default();
    Ok(Some(format!(
        "{claims}ok: {url} is as good an external catalog as one of ours\n"
    )))
}
