//! Who owns what.

use rat_store::{Owned, Store};
use rat_types::Kind;

use crate::support::{ident, namespace, new_zone, pipeline, zone};

pub(crate) async fn what_somebody_owns_is_found_and_given_away(store: Store) {
    let (shop, daily, orders) = (
        namespace("shop"),
        ident("shop.gold.daily"),
        zone("shop", "orders"),
    );
    store.namespaces().create(&shop, "", "anna").await.unwrap();
    pipeline(&store, "shop.gold.daily").await;
    pipeline(&store, "shop.gold.gone").await;
    let gone = ident("shop.gold.gone");
    store.pipelines().delete(&gone).await.unwrap();
    store
        .zones()
        .create(&new_zone("shop", "orders"))
        .await
        .unwrap();
    store.owners().give_table(&daily, "", "anna").await.unwrap();

    let everything = Owned {
        namespaces: vec![shop.clone()],
        pipelines: vec![daily.clone()],
        zones: vec![orders.clone()],
        tables: vec![daily.clone()],
    };
    assert_eq!(store.owners().of("anna").await.unwrap(), everything);
    assert_eq!(store.owners().of("bert").await.unwrap(), Owned::default());

    let owners = store.owners();
    let others = [
        owners.give_namespace(&shop, "carl", "bert").await,
        owners.give_pipeline(&daily, "carl", "bert").await,
        owners.give_zone(&orders, "carl", "bert").await,
        owners.give_table(&daily, "carl", "bert").await,
        owners.give_table(&daily, "", "bert").await,
    ];
    for error in others {
        assert_eq!(error.unwrap_err().reason(), "OWNER_CHANGED");
    }
    assert_eq!(owners.of("anna").await.unwrap(), everything);
    owners.give_namespace(&shop, "anna", "bert").await.unwrap();
    owners.give_pipeline(&daily, "anna", "bert").await.unwrap();
    owners.give_zone(&orders, "anna", "bert").await.unwrap();
    owners.give_table(&daily, "anna", "bert").await.unwrap();
    assert_eq!(owners.of("anna").await.unwrap(), Owned::default());
    assert_eq!(owners.of("bert").await.unwrap(), everything);

    let missing = [
        owners
            .give_namespace(&namespace("no"), "anna", "bert")
            .await,
        owners.give_pipeline(&gone, "anna", "bert").await,
        owners.give_zone(&zone("shop", "no"), "anna", "bert").await,
    ];
    for error in missing {
        assert_eq!(error.unwrap_err().kind(), Kind::NotFound);
    }

    owners.forget_table(&daily).await.unwrap();
    owners.forget_table(&gone).await.unwrap();
    assert_eq!(owners.of("bert").await.unwrap().tables, []);
    let said = store.table_metadata().get(&daily).await.unwrap().unwrap();
    assert_eq!(said.owner, "");
}
