//! What people say about tables.

use rat_store::{Store, TableMetadataRecord};

use crate::support::{ident, is_recent};

pub(crate) async fn descriptions_are_replaced_and_listed(store: Store) {
    let (a, b) = (ident("default.bronze.a"), ident("default.gold.b"));
    assert_eq!(store.table_metadata().get(&a).await.unwrap(), None);
    let record = TableMetadataRecord {
        description: "orders".to_owned(),
        owner: "anna".to_owned(),
        column_descriptions: [("id".to_owned(), "the \"key\"".to_owned())].into(),
        updated_at: None,
    };
    store.table_metadata().put(&a, &record).await.unwrap();
    // Another one replaces it, and leaves the owner.
    store
        .table_metadata()
        .put(&a, &TableMetadataRecord::default())
        .await
        .unwrap();
    let replaced = store.table_metadata().get(&a).await.unwrap().unwrap();
    assert_eq!(
        (replaced.description.as_str(), replaced.owner.as_str()),
        ("", "anna")
    );
    store.table_metadata().put(&a, &record).await.unwrap();
    store
        .table_metadata()
        .put(&b, &TableMetadataRecord::default())
        .await
        .unwrap();
    let stored = store.table_metadata().get(&a).await.unwrap().unwrap();
    assert!(is_recent(stored.updated_at.unwrap()));
    assert_eq!(
        TableMetadataRecord {
            updated_at: None,
            ..stored.clone()
        },
        record
    );
    // Only what nobody owns can be claimed.
    store.table_metadata().claim(&a, "bert").await.unwrap();
    assert_eq!(
        store.table_metadata().get(&a).await.unwrap().as_ref(),
        Some(&stored)
    );
    let c = ident("default.gold.c");
    for table in [&b, &c] {
        store.table_metadata().claim(table, "bert").await.unwrap();
        let claimed = store.table_metadata().get(table).await.unwrap().unwrap();
        assert_eq!(claimed.owner, "bert");
    }
    let of = async |namespace: Option<&str>| {
        let namespace = namespace.map(|name| name.parse().unwrap());
        let owners = store.table_metadata().owners(namespace.as_ref()).await;
        owners.unwrap().into_iter().collect::<Vec<_>>()
    };
    let owned = |table: &rat_types::TableIdent, user: &str| (table.clone(), user.to_owned());
    let all = [owned(&a, "anna"), owned(&b, "bert"), owned(&c, "bert")];
    assert_eq!(of(None).await, all);
    assert_eq!(of(Some("default")).await, all);
    assert_eq!(of(Some("other")).await, []);
    store.table_metadata().delete(&c).await.unwrap();
    let list = store.table_metadata().list().await.unwrap();
    assert_eq!((list.len(), list.get(&a)), (2, Some(&stored)));
    for _ in 0..2 {
        store.table_metadata().delete(&a).await.unwrap();
    }
    assert_eq!(
        store
            .table_metadata()
            .list()
            .await
            .unwrap()
            .into_keys()
            .collect::<Vec<_>>(),
        [b]
    );
}
