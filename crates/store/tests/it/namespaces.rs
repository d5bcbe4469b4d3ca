//! Namespaces.

use rat_store::{Store, TableMetadataRecord};
use rat_types::Kind;

use crate::support::{ident, is_recent, namespace, new_zone, pipeline, run_of_new, sixteen};

async fn names(store: &Store) -> Vec<String> {
    let list = store.namespaces().list().await.unwrap();
    list.into_iter()
        .map(|namespace| namespace.name.to_string())
        .collect()
}

pub(crate) async fn default_is_always_there(store: Store) {
    let default = store
        .namespaces()
        .get(&namespace("default"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(default.owner, "anonymous");
    assert!(is_recent(default.created_at), "{}", default.created_at);
    let error = store
        .namespaces()
        .delete(&namespace("default"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::PermissionDenied, "NAMESPACE_PROTECTED")
    );
}

pub(crate) async fn a_namespace_is_created_changed_and_deleted(store: Store) {
    let shop = namespace("shop");
    assert_eq!(store.namespaces().get(&shop).await.unwrap(), None);
    let created = store
        .namespaces()
        .create(&shop, "things to sell", "anna")
        .await
        .unwrap();
    assert_eq!(store.namespaces().get(&shop).await.unwrap(), Some(created));
    assert_eq!(names(&store).await, ["default", "shop"]);
    let again = store
        .namespaces()
        .create(&shop, "", "bert")
        .await
        .unwrap_err();
    assert_eq!(again.to_string(), "namespace shop already exists");
    assert_eq!(again.kind(), Kind::AlreadyExists);
    store.namespaces().update(&shop, "sold").await.unwrap();
    let changed = store.namespaces().get(&shop).await.unwrap().unwrap();
    assert_eq!(
        (changed.description.as_str(), changed.owner.as_str()),
        ("sold", "anna")
    );
    store.namespaces().delete(&shop).await.unwrap();
    assert_eq!(names(&store).await, ["default"]);
    assert_eq!(
        store.namespaces().delete(&shop).await.unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(
        store
            .namespaces()
            .update(&shop, "")
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
}

pub(crate) async fn a_namespace_that_is_used_cannot_be_deleted(store: Store) {
    let shop = namespace("shop");
    store.namespaces().create(&shop, "", "anna").await.unwrap();
    pipeline(&store, "shop.bronze.a").await;
    pipeline(&store, "shop.gold.a").await;
    store
        .zones()
        .create(&new_zone("shop", "uploads"))
        .await
        .unwrap();
    store
        .tables()
        .insert(&ident("shop.silver.t"), "file:///a")
        .await
        .unwrap();
    let delete = async || store.namespaces().delete(&shop).await.unwrap_err();
    let error = delete().await;
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.to_string(),
        "namespace shop is still used by 2 pipelines, 1 landing zone, 1 table"
    );
    store
        .pipelines()
        .delete(&ident("shop.bronze.a"))
        .await
        .unwrap();
    store
        .pipelines()
        .delete(&ident("shop.gold.a"))
        .await
        .unwrap();
    store
        .zones()
        .delete(&new_zone("shop", "uploads").ident)
        .await
        .unwrap();
    assert_eq!(
        delete().await.to_string(),
        "namespace shop is still used by 1 table"
    );
    store
        .tables()
        .delete(&ident("shop.silver.t"))
        .await
        .unwrap();
    store.namespaces().delete(&shop).await.unwrap();
}

pub(crate) async fn deleting_a_namespace_takes_its_leftovers_along(store: Store) {
    let shop = namespace("shop");
    let table = ident("shop.bronze.a");
    store.namespaces().create(&shop, "", "anna").await.unwrap();
    store
        .namespaces()
        .create(&namespace("shop2"), "", "anna")
        .await
        .unwrap();
    let run = run_of_new(&store, "shop.bronze.a").await.id;
    store.pipelines().delete(&table).await.unwrap();
    store
        .files()
        .put("shop/readme.md", b"x", "anna")
        .await
        .unwrap();
    store
        .files()
        .put("shop2/readme.md", b"x", "anna")
        .await
        .unwrap();
    store
        .table_metadata()
        .put(&table, &TableMetadataRecord::default())
        .await
        .unwrap();
    let updates = [("a".to_owned(), "b".to_owned())].into();
    store
        .tables()
        .update_namespace_properties(&shop, None, &[], &updates)
        .await
        .unwrap();

    store.namespaces().delete(&shop).await.unwrap();
    assert_eq!(store.runs().get(run).await.unwrap(), None);
    assert_eq!(store.files().get("shop/readme.md").await.unwrap(), None);
    assert!(
        store
            .files()
            .get("shop2/readme.md")
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(store.table_metadata().get(&table).await.unwrap(), None);
    let properties = store
        .tables()
        .namespace_properties(&shop, None)
        .await
        .unwrap();
    assert!(properties.is_empty());
}

pub(crate) async fn of_sixteen_that_create_the_same_namespace_one_succeeds(store: Store) {
    let outcomes = sixteen(|_| {
        let store = store.clone();
        async move {
            store
                .namespaces()
                .create(&namespace("shop"), "", "anna")
                .await
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), Kind::AlreadyExists);
    }
}
