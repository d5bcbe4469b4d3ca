//! Landing zones.

use rat_store::{NewZoneFile, Store, ZoneUpdate};
use rat_types::Kind;

use crate::support::{is_recent, namespace, new_zone, zone};

fn file(path: &str, size_bytes: u64) -> NewZoneFile {
    NewZoneFile {
        path: path.to_owned(),
        size_bytes,
        hash: format!("{size_bytes:064x}"),
        content_type: "text/csv".to_owned(),
        uploaded_by: "anna".to_owned(),
    }
}

pub(crate) async fn a_zone_is_created_changed_and_deleted(store: Store) {
    let (zones, uploads) = (store.zones(), zone("default", "uploads"));
    assert_eq!(zones.get(&uploads).await.unwrap(), None);
    let created = zones.create(&new_zone("default", "uploads")).await.unwrap();
    assert_eq!((created.file_count, created.total_bytes), (0, 0));
    assert_eq!(
        (created.auto_purge, created.processed_max_age_days),
        (false, None)
    );
    assert!(is_recent(created.created_at));
    let update = ZoneUpdate {
        expected_schema: Some("id, name".to_owned()),
        processed_max_age_days: Some(7),
        auto_purge: Some(true),
        ..ZoneUpdate::default()
    };
    let changed = zones.update(&uploads, &update).await.unwrap();
    assert_eq!(
        (changed.owner.as_str(), changed.description.as_str()),
        ("anna", "d")
    );
    assert_eq!(
        (changed.auto_purge, changed.processed_max_age_days),
        (true, Some(7))
    );
    assert_eq!(changed.expected_schema, "id, name");
    zones
        .add_file(&uploads, &file("a.csv", 3), false)
        .await
        .unwrap();
    zones.delete(&uploads).await.unwrap();
    assert_eq!(zones.list_files(&uploads).await.unwrap(), []);
    assert_eq!(
        zones.delete(&uploads).await.unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(
        zones.update(&uploads, &update).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

pub(crate) async fn a_zone_needs_its_namespace_and_a_free_name(store: Store) {
    let zones = store.zones();
    let nowhere = zones
        .create(&new_zone("shop", "uploads"))
        .await
        .unwrap_err();
    assert_eq!(nowhere.to_string(), "namespace shop does not exist");
    store
        .namespaces()
        .create(&namespace("shop"), "", "anna")
        .await
        .unwrap();
    for (namespace, name) in [("shop", "b"), ("default", "z"), ("shop", "a")] {
        zones.create(&new_zone(namespace, name)).await.unwrap();
    }
    let taken = zones.create(&new_zone("shop", "a")).await.unwrap_err();
    assert_eq!(taken.to_string(), "landing zone shop.a already exists");
    assert_eq!(taken.kind(), Kind::AlreadyExists);
    let names = async |namespace: Option<&str>| -> Vec<String> {
        let namespace = namespace.map(crate::support::namespace);
        let list = zones.list(namespace.as_ref()).await.unwrap();
        list.into_iter()
            .map(|zone| zone.ident.to_string())
            .collect()
    };
    assert_eq!(names(None).await, ["default.z", "shop.a", "shop.b"]);
    assert_eq!(names(Some("shop")).await, ["shop.a", "shop.b"]);
}

pub(crate) async fn files_are_counted_and_found(store: Store) {
    let (zones, uploads) = (store.zones(), zone("default", "uploads"));
    let nowhere = zones
        .add_file(&uploads, &file("a.csv", 3), false)
        .await
        .unwrap_err();
    assert_eq!(
        nowhere.to_string(),
        "landing zone default.uploads does not exist"
    );
    zones.create(&new_zone("default", "uploads")).await.unwrap();
    zones.create(&new_zone("default", "other")).await.unwrap();
    let big = 1_u64 << 40;
    let b = zones
        .add_file(&uploads, &file("b.csv", big), false)
        .await
        .unwrap();
    let a = zones
        .add_file(&uploads, &file("2024/a.csv", 3), false)
        .await
        .unwrap();
    zones
        .add_file(&zone("default", "other"), &file("b.csv", 1), false)
        .await
        .unwrap();
    let odd = zones
        .add_file(&uploads, &file("../b.csv", 1), false)
        .await
        .unwrap_err();
    assert_eq!(odd.kind(), Kind::InvalidArgument);
    let record = zones.get(&uploads).await.unwrap().unwrap();
    assert_eq!((record.file_count, record.total_bytes), (2, big + 3));
    assert_eq!(
        zones.list_files(&uploads).await.unwrap(),
        [a.clone(), b.clone()]
    );
    assert_eq!(
        zones.get_file(&uploads, &b.id).await.unwrap(),
        Some(b.clone())
    );
    assert_eq!(
        zones.file_at(&uploads, &b.path).await.unwrap(),
        Some(b.clone())
    );
    assert_eq!(zones.file_at(&uploads, &b.id).await.unwrap(), None);
    assert_eq!(
        zones
            .get_file(&zone("default", "other"), &b.id)
            .await
            .unwrap(),
        None
    );
    let elsewhere = zones
        .delete_file(&zone("default", "other"), &b.id)
        .await
        .unwrap_err();
    assert_eq!(elsewhere.kind(), Kind::NotFound);
    zones.delete_file(&uploads, &b.id).await.unwrap();
    assert_eq!(zones.list_files(&uploads).await.unwrap(), [a]);
}

pub(crate) async fn the_same_path_is_replaced_only_on_request(store: Store) {
    let (zones, uploads) = (store.zones(), zone("default", "uploads"));
    zones.create(&new_zone("default", "uploads")).await.unwrap();
    let first = zones
        .add_file(&uploads, &file("a.csv", 3), false)
        .await
        .unwrap();
    let taken = zones
        .add_file(&uploads, &file("a.csv", 4), false)
        .await
        .unwrap_err();
    assert_eq!(taken.to_string(), "landing file a.csv already exists");
    assert_eq!(taken.kind(), Kind::AlreadyExists);
    let second = zones
        .add_file(&uploads, &file("a.csv", 4), true)
        .await
        .unwrap();
    assert_eq!((second.id, second.size_bytes), (first.id, 4));
    assert_eq!(second.hash, Some(format!("{:064x}", 4)));
    assert!(second.uploaded_at > first.uploaded_at);
    let new = zones
        .add_file(&uploads, &file("b.csv", 4), true)
        .await
        .unwrap();
    assert_eq!(zones.list_files(&uploads).await.unwrap().len(), 2);
    assert_eq!(new.path, "b.csv");
}
