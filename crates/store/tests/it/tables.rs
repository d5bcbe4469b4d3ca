//! The catalog's pointers.

use std::collections::BTreeMap;

use rat_sql::{DatabaseUrl, Pool};
use rat_store::Store;
use rat_types::{Kind, Layer};

use crate::support::{ident, namespace, new_run, sixteen};

const T: &str = "default.bronze.t";

async fn location(store: &Store, table: &str) -> Option<String> {
    store
        .tables()
        .get(&ident(table))
        .await
        .unwrap()
        .map(|table| table.metadata_location)
}

pub(crate) async fn a_pointer_moves_only_from_where_it_stands(store: Store) {
    let (tables, t) = (store.tables(), ident(T));
    assert_eq!(tables.get(&t).await.unwrap(), None);
    assert!(!tables.compare_and_set(&t, "one", "two").await.unwrap());
    tables.insert(&t, "one").await.unwrap();
    assert!(tables.compare_and_set(&t, "one", "two").await.unwrap());
    assert!(!tables.compare_and_set(&t, "one", "three").await.unwrap());
    let pointer = tables.get(&t).await.unwrap().unwrap();
    assert_eq!(
        (pointer.ident, pointer.metadata_location.as_str()),
        (t.clone(), "two")
    );
    assert_eq!(pointer.previous.as_deref(), Some("one"));
    let long = "x".repeat(1001);
    let error = tables.compare_and_set(&t, "two", &long).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(tables.compare_and_set(&t, "two", &long[1..]).await.unwrap());
    tables.delete(&t).await.unwrap();
    assert_eq!(tables.delete(&t).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(location(&store, T).await, None);
}

pub(crate) async fn tables_are_listed_by_namespace_and_layer(store: Store) {
    store
        .namespaces()
        .create(&namespace("shop"), "", "anna")
        .await
        .unwrap();
    for table in [
        "shop.silver.b",
        "shop.bronze.z",
        "shop.silver.a_b",
        "shop.silver.a-b",
        T,
    ] {
        store.tables().insert(&ident(table), "x").await.unwrap();
    }
    let list = async |namespace: Option<&str>, layer| -> Vec<String> {
        let namespace = namespace.map(crate::support::namespace);
        let tables = store
            .tables()
            .list(namespace.as_ref(), layer)
            .await
            .unwrap();
        tables
            .into_iter()
            .map(|table| table.ident.to_string())
            .collect()
    };
    let silver = ["shop.silver.a-b", "shop.silver.a_b", "shop.silver.b"];
    assert_eq!(list(Some("shop"), Some(Layer::Silver)).await, silver);
    assert_eq!(list(None, Some(Layer::Bronze)).await, [T, "shop.bronze.z"]);
    assert_eq!(list(Some("shop"), None).await.len(), 4);
    assert_eq!(list(Some("sho"), None).await.len(), 0);
    assert_eq!(list(None, None).await.len(), 5);
}

pub(crate) async fn a_table_needs_its_namespace_and_a_free_name(store: Store) {
    let nowhere = store
        .tables()
        .insert(&ident("shop.bronze.t"), "x")
        .await
        .unwrap_err();
    assert_eq!(nowhere.to_string(), "namespace shop does not exist");
    store.tables().insert(&ident(T), "x").await.unwrap();
    let taken = store.tables().insert(&ident(T), "y").await.unwrap_err();
    assert_eq!(taken.kind(), Kind::AlreadyExists);
    assert_eq!(location(&store, T).await.as_deref(), Some("x"));
}

pub(crate) async fn sixteen_commits_from_one_location_have_one_winner(store: Store) {
    store.tables().insert(&ident(T), "start").await.unwrap();
    let outcomes = sixteen(|number| {
        let store = store.clone();
        async move {
            let new = format!("by {number}");
            let won = store
                .tables()
                .compare_and_set(&ident(T), "start", &new)
                .await
                .unwrap();
            won.then_some(new)
        }
    })
    .await;
    let winners: Vec<String> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(location(&store, T).await.as_ref(), winners.first());
}

pub(crate) async fn sixteen_tasks_that_retry_their_commit_lose_none(store: Store) {
    store.tables().insert(&ident(T), "0").await.unwrap();
    sixteen(|_| {
        let store = store.clone();
        async move {
            let mut left = 5;
            while left > 0 {
                let old = location(&store, T).await.unwrap();
                let new = (old.parse::<u32>().unwrap() + 1).to_string();
                if store
                    .tables()
                    .compare_and_set(&ident(T), &old, &new)
                    .await
                    .unwrap()
                {
                    left -= 1;
                }
            }
        }
    })
    .await;
    assert_eq!(location(&store, T).await.as_deref(), Some("80"));
}

pub(crate) async fn a_staged_table_is_seen_by_its_run_only(store: Store) {
    let (tables, t) = (store.tables(), ident(T));
    let (one, other) = (new_run(T).id, new_run(T).id);
    tables.stage(one, &t, "a").await.unwrap();
    let again = tables.stage(one, &t, "b").await.unwrap_err();
    assert_eq!(again.kind(), Kind::AlreadyExists);
    tables.stage(other, &t, "other").await.unwrap();
    assert_eq!(tables.get(&t).await.unwrap(), None);
    assert!(!tables.cas_staged(one, &t, "other", "b").await.unwrap());
    assert!(tables.cas_staged(one, &t, "a", "b").await.unwrap());
    let staged = tables.get_staged(one, &t).await.unwrap().unwrap();
    assert_eq!(
        (staged.run, &staged.ident, staged.metadata_location.as_str()),
        (one, &t, "b")
    );
    assert_eq!(tables.list_staged(one).await.unwrap(), [staged]);
    assert_eq!(tables.unstage(one).await.unwrap(), 1);
    assert_eq!(tables.unstage(one).await.unwrap(), 0);
    assert_eq!(tables.get_staged(one, &t).await.unwrap(), None);
    assert!(tables.get_staged(other, &t).await.unwrap().is_some());
}

pub(crate) async fn promoting_makes_a_staged_table_visible_once(store: Store) {
    let (tables, t, run) = (store.tables(), ident(T), new_run(T).id);
    let nothing = tables.promote_staged(run, &t, "final").await.unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "staged table default.bronze.t does not exist"
    );
    tables.stage(run, &t, "a").await.unwrap();
    let outcomes = sixteen(|_| {
        let store = store.clone();
        async move { store.tables().promote_staged(run, &ident(T), "final").await }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), Kind::NotFound);
    }
    let pointer = tables.get(&t).await.unwrap().unwrap();
    assert_eq!(
        (pointer.metadata_location.as_str(), pointer.previous),
        ("final", None)
    );
    assert_eq!(tables.list_staged(run).await.unwrap(), []);
}

pub(crate) async fn promoting_over_an_existing_table_changes_nothing(store: Store) {
    let (tables, t, run) = (store.tables(), ident(T), new_run(T).id);
    tables.stage(run, &t, "a").await.unwrap();
    tables.insert(&t, "theirs").await.unwrap();
    let error = tables.promote_staged(run, &t, "ours").await.unwrap_err();
    assert_eq!(error.kind(), Kind::AlreadyExists);
    assert_eq!(location(&store, T).await.as_deref(), Some("theirs"));
    assert_eq!(
        tables.list_staged(run).await.unwrap().len(),
        1,
        "the transaction was undone"
    );
}

pub(crate) async fn namespace_properties_are_set_and_removed_together(store: Store) {
    let (tables, default) = (store.tables(), namespace("default"));
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let update = async |removals: &[&str], updates: &[(&str, &str)]| {
        let removals: Vec<String> = removals.iter().map(|key| (*key).to_owned()).collect();
        tables
            .update_namespace_properties(&default, Some(Layer::Gold), &removals, &map(updates))
            .await
    };
    assert_eq!(
        update(&["x"], &[("a", "1"), ("b", "2")]).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(update(&["x", "a"], &[("b", "3")]).await.unwrap(), ["a"]);
    let long = "x".repeat(256);
    assert_eq!(
        update(&["b"], &[(&long, "")]).await.unwrap_err().kind(),
        Kind::InvalidArgument
    );
    let gold = tables
        .namespace_properties(&default, Some(Layer::Gold))
        .await
        .unwrap();
    assert_eq!(gold, map(&[("b", "3")]));
    assert_eq!(
        tables.namespace_properties(&default, None).await.unwrap(),
        map(&[])
    );
}

async fn rows_of_other_programs_are_left_alone(url: &DatabaseUrl) {
    let store = Store::open(url).await.unwrap();
    let pool = Pool::open(url).await.unwrap();
    for (catalog, namespace, name) in [
        ("other", "default.bronze", "t"),
        ("rat", "Somewhere", "T"),
        ("rat", "default.bronze", "A b"),
    ] {
        let insert = rat_sql::sql!(
            "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name)
             VALUES ($1, $2, $3)",
            catalog,
            namespace,
            name,
        );
        pool.execute(insert).await.unwrap();
    }
    assert_eq!(store.tables().list(None, None).await.unwrap(), []);
    assert_eq!(store.tables().get(&ident(T)).await.unwrap(), None);
}

#[tokio::test]
async fn rows_of_other_programs_are_left_alone_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    rows_of_other_programs_are_left_alone(&DatabaseUrl::sqlite(folder.path().join("rat.db"))).await;
}

#[tokio::test]
async fn rows_of_other_programs_are_left_alone_on_postgres() {
    if let Some(url) = rat_sql::test_util::postgres().await {
        rows_of_other_programs_are_left_alone(&url).await;
    }
}
