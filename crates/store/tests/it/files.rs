//! Source files, blobs and source hashes.

use std::collections::BTreeMap;

use rat_store::{Store, source_hash};
use rat_types::Kind;

use crate::support::{ident, is_recent, pipeline, sixteen};

const A: &str = "default.bronze.a";
const SQL: &str = "default/pipelines/bronze/a/pipeline.sql";
const CONFIG: &str = "default/pipelines/bronze/a/config.yaml";
const TEST: &str = "default/pipelines/bronze/a/tests/quality/x.sql";

async fn put(store: &Store, path: &str, content: &str) -> String {
    store
        .files()
        .put(path, content.as_bytes(), "anna")
        .await
        .unwrap()
        .hash
}

async fn paths(store: &Store, prefix: &str) -> Vec<String> {
    let files = store.files().list(prefix).await.unwrap();
    files.into_iter().map(|file| file.path).collect()
}

/// The pipeline's stored hash, after checking it against its files.
async fn head(store: &Store) -> Option<String> {
    let stored = store
        .pipelines()
        .get(&ident(A))
        .await
        .unwrap()
        .unwrap()
        .source_hash;
    let sources = store.files().pipeline_sources(&ident(A)).await.unwrap();
    let files = sources
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_bytes()));
    assert_eq!(stored, (!sources.is_empty()).then(|| source_hash(files)));
    // The runner's side of the same rule.
    let theirs = rat_pipeline::source_hash(&sources);
    assert!(stored.as_ref().is_none_or(|stored| *stored == theirs));
    stored
}

pub(crate) async fn a_file_comes_back_as_it_was_put(store: Store) {
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let record = store
        .files()
        .put("default/lib/data.bin", &content, "anna")
        .await
        .unwrap();
    assert_eq!(
        (record.size, record.modified_by.as_str()),
        (100_000, "anna")
    );
    assert!(is_recent(record.modified));
    let file = store
        .files()
        .get("default/lib/data.bin")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((file.record, file.content), (record, content));
    let empty = store.files().put("empty", b"", "bert").await.unwrap();
    let sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!((empty.size, empty.hash.as_str()), (0, sha));
    assert_eq!(
        store.files().get("empty").await.unwrap().unwrap().content,
        b""
    );
    assert_eq!(store.files().get("missing").await.unwrap(), None);
    assert_eq!(
        store.files().delete("missing").await.unwrap_err().kind(),
        Kind::NotFound
    );
    let replaced = store.files().put("empty", b"full", "carl").await.unwrap();
    assert_eq!(
        store.files().get("empty").await.unwrap().unwrap().record,
        replaced
    );
}

pub(crate) async fn files_are_listed_by_prefix_and_exact_case(store: Store) {
    for path in [
        "a/b.sql",
        "a/B.sql",
        "a/b/c.sql",
        "a_/x",
        "ab/x",
        "ä/x",
        "a/\u{10fffe}",
    ] {
        put(&store, path, "x").await;
    }
    assert_eq!(
        paths(&store, "a/").await,
        ["a/B.sql", "a/b.sql", "a/b/c.sql", "a/\u{10fffe}"]
    );
    assert_eq!(paths(&store, "a/b").await, ["a/b.sql", "a/b/c.sql"]);
    assert_eq!(paths(&store, "A").await, Vec::<String>::new());
    assert_eq!(paths(&store, "a_").await, ["a_/x"]);
    assert_eq!(paths(&store, "ä").await, ["ä/x"]);
    assert_eq!(paths(&store, "").await.len(), 7);
}

pub(crate) async fn impossible_paths_and_sources_that_are_no_text_are_refused(store: Store) {
    for path in ["", "/a", "../a", "a/../b", "a\\b", "a\0b", "a//b"] {
        let error = store.files().put(path, b"x", "anna").await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{path:?}");
    }
    let error = store.files().put(SQL, b"\xff", "anna").await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(paths(&store, "").await, Vec::<String>::new());
}

pub(crate) async fn the_source_hash_follows_the_files_of_a_pipeline(store: Store) {
    let created = pipeline(&store, A).await;
    assert_eq!(head(&store).await, None);
    put(&store, SQL, "SELECT 1").await;
    let one = head(&store).await;
    assert!(one.is_some());
    put(&store, TEST, "SELECT 2").await;
    let two = head(&store).await;
    assert_ne!(one, two);
    // Files of others do not count, however similar their path.
    pipeline(&store, "default.bronze.a2").await;
    pipeline(&store, "default.silver.a").await;
    put(&store, "default/pipelines/bronze/a2/pipeline.sql", "x").await;
    put(&store, "default/pipelines/silver/a/pipeline.sql", "x").await;
    put(&store, "default/pipelines/bronze/a", "x").await;
    assert_eq!(head(&store).await, two);
    store.files().delete(TEST).await.unwrap();
    assert_eq!(head(&store).await, one);
    store.files().delete(SQL).await.unwrap();
    assert_eq!(head(&store).await, None);
    let now = store.pipelines().get(&ident(A)).await.unwrap().unwrap();
    assert!(now.updated_at > created.updated_at);
}

pub(crate) async fn sources_lie_beside_a_pipeline_that_there_is(store: Store) {
    let too_early = store.files().put(SQL, b"SELECT 1", "anna").await;
    assert_eq!(too_early.unwrap_err().kind(), Kind::NotFound);
    pipeline(&store, A).await;
    put(&store, SQL, "SELECT 1").await;
    put(&store, CONFIG, "description: x\n").await;
    assert!(head(&store).await.is_some());
    let sources = store.files().pipeline_sources(&ident(A)).await.unwrap();
    let expected: BTreeMap<String, String> = [
        ("config.yaml".to_owned(), "description: x\n".to_owned()),
        ("pipeline.sql".to_owned(), "SELECT 1".to_owned()),
    ]
    .into();
    assert_eq!(sources, expected);
    let none = store
        .files()
        .pipeline_sources(&ident("default.bronze.b"))
        .await
        .unwrap();
    assert_eq!(none, BTreeMap::new());
}

pub(crate) async fn a_blob_lives_as_long_as_a_path_names_it(store: Store) {
    let hash = put(&store, "a", "same").await;
    assert_eq!(put(&store, "b", "same").await, hash);
    let content = async |path: &str| store.files().get(path).await.unwrap().map(|f| f.content);
    store.files().delete("a").await.unwrap();
    assert_eq!(content("b").await.as_deref(), Some(b"same".as_slice()));
    put(&store, "b", "same").await;
    assert_eq!(content("b").await.as_deref(), Some(b"same".as_slice()));
    assert_eq!(store.files().blob_count().await.unwrap(), 1);
    put(&store, "b", "other").await;
    assert_eq!(store.files().blob_count().await.unwrap(), 1);
    store.files().delete("b").await.unwrap();
    assert_eq!(store.files().blob_count().await.unwrap(), 0);
    pipeline(&store, A).await;
    put(&store, SQL, "SELECT 1").await;
    put(&store, CONFIG, "a: 1").await;
    store.pipelines().delete(&ident(A)).await.unwrap();
    assert_eq!(store.files().blob_count().await.unwrap(), 0);
}

pub(crate) async fn sixteen_tasks_that_write_one_pipeline_agree_on_its_hash(store: Store) {
    pipeline(&store, A).await;
    sixteen(|number| {
        let store = store.clone();
        async move {
            let path = format!(
                "default/pipelines/bronze/a/tests/quality/t{}.sql",
                number % 8
            );
            for round in 0..3 {
                put(&store, &path, &format!("SELECT {number}, {round}")).await;
            }
        }
    })
    .await;
    assert!(head(&store).await.is_some());
    assert_eq!(paths(&store, "default/pipelines/bronze/a/").await.len(), 8);
    assert!(store.files().blob_count().await.unwrap() <= 8);
}

pub(crate) async fn tasks_that_write_and_delete_one_content_lose_no_blob(store: Store) {
    // Different first folders, so that no namespace's lock keeps them apart.
    sixteen(|number| {
        let store = store.clone();
        async move {
            let path = format!("x{number}/file");
            for _ in 0..5 {
                put(&store, &path, "same").await;
                store.files().delete(&path).await.unwrap();
            }
            put(&store, &path, "same").await;
        }
    })
    .await;
    assert_eq!(store.files().blob_count().await.unwrap(), 1);
    for number in 0..16 {
        let file = store
            .files()
            .get(&format!("x{number}/file"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(file.content, b"same");
    }
}
