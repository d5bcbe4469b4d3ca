//! Every constant query of the crate, as both databases see it.

use std::path::{Path, PathBuf};

use rat_sql::{Pool, parameters};
use rat_store::migrations;

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The texts of all `sql!` in a source file: a plain literal without escapes comes first in each.
fn queries(source: &str) -> Vec<&str> {
    let mut queries = Vec::new();
    for call in source.split("sql!(").skip(1) {
        let literal = call
            .trim_start()
            .strip_prefix('"')
            .expect("sql! begins with a literal");
        let text = &literal[..literal.find('"').expect("the literal ends")];
        assert!(!text.contains('\\'), "{text}");
        queries.push(text);
    }
    queries
}

fn every_query() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for file in sources(&folder) {
        let source = std::fs::read_to_string(&file).unwrap();
        assert!(
            !source.contains("Query::new"),
            "{}: use sql! or Builder",
            file.display()
        );
        found.extend(queries(&source).into_iter().map(str::to_owned));
    }
    assert!(found.len() > 60, "only {} queries were found", found.len());
    found
}

async fn agree(pool: &Pool) {
    pool.migrate(migrations()).await.unwrap();
    for query in every_query() {
        let seen = rat_sql::test_util::prepare(pool, &query).await;
        let seen = seen.unwrap_or_else(|error| {
            panic!(
                "{query}: {error}: {}",
                std::error::Error::source(&error).unwrap()
            )
        });
        assert_eq!(parameters(&query), Some(seen), "{query}");
    }
}

#[tokio::test]
async fn sqlite_sees_the_parameters_that_we_count() {
    agree(
        &Pool::open(&"sqlite::memory:".parse().unwrap())
            .await
            .unwrap(),
    )
    .await;
}

#[tokio::test]
async fn postgres_sees_the_parameters_that_we_count() {
    if let Some(url) = rat_sql::test_util::postgres().await {
        agree(&Pool::open(&url).await.unwrap()).await;
    }
}
