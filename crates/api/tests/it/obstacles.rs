//! Uploads where something else stands in the lake's folder.

use crate::form::{file, on_disk, upload, with_zone};
use crate::support::Setup;

#[tokio::test]
async fn what_stands_in_the_way_of_an_upload_is_told() {
    let api = with_zone(Setup::default()).await;
    upload(&api, "", &[file("a.csv", b"1")]).await.expect(201);
    upload(&api, "?path=b.csv/c.csv", &[file("x", b"1")])
        .await
        .expect(201);
    for (path, rule) in [
        ("a.csv/x.csv", "default/landing/raw/a.csv is a file"),
        ("b.csv", "default/landing/raw/b.csv is a folder"),
    ] {
        for overwrite in ["false", "true"] {
            let query = format!("?path={path}&overwrite={overwrite}");
            let message = upload(&api, &query, &[file("x", b"1")])
                .await
                .refused(409, "CONFLICT");
            assert!(message.starts_with(rule), "{message}");
        }
    }
    assert_eq!(on_disk(&api), ["a.csv", "b.csv/c.csv"]);
}

#[tokio::test]
async fn no_link_leads_an_upload_out_of_its_zone() {
    let api = with_zone(Setup::default()).await;
    let record = upload(&api, "", &[file("a.csv", b"1")]).await.expect(201);
    let zone = api.lake().join("default/landing/raw");
    let outside = api.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("a.csv"), "theirs").unwrap();
    std::os::unix::fs::symlink(&outside, zone.join("sub")).unwrap();
    let message = upload(&api, "?path=sub/a.csv&overwrite=true", &[file("x", b"1")])
        .await
        .refused(409, "CONFLICT");
    assert!(message.contains("raw/sub is a link"), "{message}");

    // Nor does a link in the place of the zone lead a deletion.
    std::fs::rename(&zone, api.folder.path().join("moved")).unwrap();
    std::os::unix::fs::symlink(&outside, &zone).unwrap();
    let id = record["id"].as_str().unwrap();
    let path = format!("/api/v1/landing-zones/default/raw/files/{id}");
    api.delete(&path).await.expect(204);
    assert_eq!(std::fs::read(outside.join("a.csv")).unwrap(), b"theirs");
}
