//! Opening and closing.

use rat_store::Store;
use rat_types::Kind;

pub(crate) async fn a_store_tells_its_database_and_answers(store: Store) {
    assert!(["sqlite", "postgres"].contains(&store.backend().as_str()));
    store.ping().await.unwrap();
}

pub(crate) async fn a_closed_store_is_unavailable(store: Store) {
    store.close().await;
    assert_eq!(store.ping().await.unwrap_err().kind(), Kind::Unavailable);
    let error = store.namespaces().list().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unavailable, "DATABASE_UNAVAILABLE")
    );
}
