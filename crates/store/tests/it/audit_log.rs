//! The audit log.

use rat_store::{AuditFilter, AuditRecord, Paging, Store};

use crate::support::at;

fn entry(seconds: i64, user: &str, action: &str, resource: &str) -> AuditRecord {
    AuditRecord {
        id: AuditRecord::new_id(),
        at: at(seconds),
        user_id: user.to_owned(),
        action: action.to_owned(),
        resource: resource.to_owned(),
        detail: "PUT /api/v1/…".to_owned(),
        ip: "10.0.0.1".to_owned(),
        request_id: format!("request-{seconds}"),
        status: 403,
        outcome: "denied".to_owned(),
    }
}

async fn seconds(store: &Store, filter: AuditFilter) -> (Vec<i64>, u64) {
    let page = store.audit_log().list(&filter).await.unwrap();
    let seconds = |record: &AuditRecord| (record.at - at(0)).num_seconds();
    (page.items.iter().map(seconds).collect(), page.total)
}

pub(crate) async fn entries_are_listed_newest_first_and_filtered(store: Store) {
    let entries = [
        entry(2, "ana", "pipeline.write", "shop.gold.daily"),
        entry(1, "ana", "pipeline.run", "shop.gold.daily"),
        entry(4, "ben", "pipeline.write", "shop.gold.other"),
        entry(3, "ben", "table.delete", "shop.gold.daily"),
    ];
    store.audit_log().append(&entries).await.unwrap();
    let all = store.audit_log().list(&AuditFilter::default()).await;
    assert!(all.unwrap().items.contains(&entries[0]));

    let some = |text: &str| Some(text.to_owned());
    let of = AuditFilter::default;
    let user_id = some("ana");
    assert_eq!(seconds(&store, of()).await, (vec![4, 3, 2, 1], 4));
    assert_eq!(
        seconds(&store, AuditFilter { user_id, ..of() }).await,
        (vec![2, 1], 2)
    );
    let action = some("pipeline.write");
    assert_eq!(
        seconds(&store, AuditFilter { action, ..of() }).await,
        (vec![4, 2], 2)
    );
    let resource = some("shop.gold.daily");
    assert_eq!(
        seconds(&store, AuditFilter { resource, ..of() }).await,
        (vec![3, 2, 1], 3)
    );
    let since = Some(at(3));
    assert_eq!(
        seconds(&store, AuditFilter { since, ..of() }).await,
        (vec![4, 3], 2)
    );
    let paging = Paging {
        limit: Some(2),
        offset: 1,
        sort: Some("user_id".to_owned()),
    };
    assert_eq!(
        seconds(&store, AuditFilter { paging, ..of() }).await,
        (vec![3, 2], 4)
    );
}

pub(crate) async fn an_entry_is_stored_once(store: Store) {
    let one = [entry(1, "ana", "namespace.create", "shop")];
    for _ in 0..2 {
        store.audit_log().append(&one).await.unwrap();
    }
    store.audit_log().append(&[]).await.unwrap();
    assert_eq!(seconds(&store, AuditFilter::default()).await, (vec![1], 1));
}

pub(crate) async fn old_and_surplus_entries_are_removed(store: Store) {
    let entries: Vec<AuditRecord> = (0..10).map(|n| entry(n, "ana", "a", "b")).collect();
    store.audit_log().append(&entries).await.unwrap();
    assert_eq!(store.audit_log().prune(at(0), 10).await.unwrap(), 0);
    assert_eq!(store.audit_log().prune(at(2), 5).await.unwrap(), 5);
    assert_eq!(
        seconds(&store, AuditFilter::default()).await,
        (vec![9, 8, 7, 6, 5], 5)
    );
    assert_eq!(store.audit_log().prune(at(100), 5).await.unwrap(), 5);
}
