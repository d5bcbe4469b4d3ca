use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::Method;
use serde_json::json;

use crate::form::{BOUNDARY, FILES, field, file, form, head, on_disk, post, upload, with_zone};
use crate::support::{Setup, wait_for};

#[tokio::test]
async fn a_file_is_uploaded_listed_and_deleted() {
    let api = with_zone(Setup::default()).await;
    let record = upload(&api, "", &[file("orders.csv", b"a,b\n1,2\n")])
        .await
        .expect(201);
    assert_eq!(record["filename"], "orders.csv");
    assert_eq!(record["size_bytes"], 8);
    // What `printf 'a,b\n1,2\n' | sha256sum` says.
    let hash = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470";
    assert_eq!(record["hash"], hash);
    assert_eq!(record["content_type"], "text/csv");
    assert_eq!(record["uploaded_by"], "anonymous");
    assert_eq!(record["s3_path"], "default/landing/raw/orders.csv");
    let on_disk_path = api.lake().join("default/landing/raw/orders.csv");
    assert_eq!(std::fs::read(&on_disk_path).unwrap(), b"a,b\n1,2\n");

    let list = api.get(FILES).await.expect(200);
    assert_eq!(list["total"], 1);
    assert_eq!(list["files"][0], record);
    let one = format!("{FILES}/{}", record["id"].as_str().unwrap());
    assert_eq!(api.get(&one).await.expect(200), record);
    let zone = api
        .get("/api/v1/landing-zones/default/raw")
        .await
        .expect(200);
    assert_eq!(
        (&zone["file_count"], &zone["total_bytes"]),
        (&json!(1), &json!(8))
    );

    api.delete(&one).await.expect(204);
    api.get(&one).await.refused(404, "NOT_FOUND");
    assert!(!on_disk_path.exists());
}

#[tokio::test]
async fn the_path_comes_from_the_query_the_form_or_the_name() {
    let api = with_zone(Setup::default()).await;
    for (query, parts, expected) in [
        ("?path=2026/a.csv", vec![file("x.csv", b"1")], "2026/a.csv"),
        ("?path=2026/", vec![file("x.csv", b"1")], "2026/x.csv"),
        (
            "",
            vec![field("path", "day=1/b.csv"), file("x.csv", b"1")],
            "day=1/b.csv",
        ),
        ("", vec![file("../../evil.csv", b"1")], "evil.csv"),
        ("", vec![file("C:\\\\temp\\\\w.csv", b"1")], "w.csv"),
    ] {
        let record = upload(&api, query, &parts).await.expect(201);
        assert_eq!(record["filename"], expected);
    }
    assert_eq!(
        on_disk(&api),
        [
            "2026/a.csv",
            "2026/x.csv",
            "day=1/b.csv",
            "evil.csv",
            "w.csv"
        ]
    );
}

#[tokio::test]
async fn an_existing_file_is_replaced_only_on_request() {
    let api = with_zone(Setup::default()).await;
    let first = upload(&api, "", &[file("a.csv", b"old")]).await.expect(201);
    let message = upload(&api, "", &[file("a.csv", b"new")])
        .await
        .refused(409, "ALREADY_EXISTS");
    assert!(message.contains("overwrite"), "{message}");
    let path = api.lake().join("default/landing/raw/a.csv");
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let second = upload(&api, "?overwrite=true", &[file("a.csv", b"newer")])
        .await
        .expect(201);
    assert_eq!(second["id"], first["id"]);
    assert_eq!(second["size_bytes"], 5);
    assert_ne!(second["hash"], first["hash"]);
    let third = [field("overwrite", "true"), file("a.csv", b"newest")];
    upload(&api, "", &third).await.expect(201);
    assert_eq!(std::fs::read(&path).unwrap(), b"newest");
    assert_eq!(on_disk(&api), ["a.csv"]);
}

#[tokio::test]
async fn a_file_without_a_record_is_replaced_by_the_next_upload() {
    let api = with_zone(Setup::default()).await;
    let folder = api.lake().join("default/landing/raw");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.csv"), "left by a crash").unwrap();
    upload(&api, "", &[file("a.csv", b"whole")])
        .await
        .expect(201);
    assert_eq!(std::fs::read(folder.join("a.csv")).unwrap(), b"whole");
}

#[tokio::test]
async fn of_many_uploads_of_one_path_exactly_one_wins() {
    let api = with_zone(Setup::default()).await;
    let contents: Vec<Vec<u8>> = (0..8_u8).map(|n| vec![b'a' + n; 100_000]).collect();
    let uploads = contents.iter().map(|content| {
        let api = &api;
        async move {
            upload(api, "", &[file("a.csv", content)])
                .await
                .status
                .as_u16()
        }
    });
    let mut statuses = futures::future::join_all(uploads).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    let stored = std::fs::read(api.lake().join("default/landing/raw/a.csv")).unwrap();
    assert!(contents.contains(&stored));
    assert_eq!(on_disk(&api), ["a.csv"]);
}

#[tokio::test]
async fn forms_that_are_none_leave_nothing() {
    let api = with_zone(Setup::default()).await;
    let long = "x".repeat(5000);
    for (parts, named) in [
        (vec![], "file"),
        (vec![field("path", "a.csv")], "file"),
        (vec![file("a.csv", b"1"), file("b.csv", b"2")], "file"),
        (vec![file("a.csv", b"1"), field("path", "b.csv")], "path"),
        (
            vec![field("overwrite", "maybe"), file("a.csv", b"1")],
            "overwrite",
        ),
        (vec![field("colour", "red"), file("a.csv", b"1")], "colour"),
        (vec![field("path", "../a.csv"), file("a.csv", b"1")], "path"),
        (
            vec![field("path", "/etc/passwd"), file("a.csv", b"1")],
            "path",
        ),
        (
            vec![field("path", "_samples/a.csv"), file("a.csv", b"1")],
            "_samples",
        ),
        (
            vec![field("path", "_processed/a.csv"), file("a.csv", b"1")],
            "_processed",
        ),
        (vec![field("path", "a%2e.csv"), file("a.csv", b"1")], "path"),
        (vec![field("path", ".hidden"), file("a.csv", b"1")], "path"),
        (vec![field("path", &long), file("a.csv", b"1")], "path"),
        (vec![file("", b"1")], "name"),
        (vec![file("..", b"1")], "name"),
    ] {
        let message = upload(&api, "", &parts)
            .await
            .refused(400, "INVALID_ARGUMENT");
        assert!(message.contains(named), "{named}: {message}");
    }
    for query in [
        "?path=../a",
        "?path=%2Fetc%2Fpasswd",
        "?overwrite=1x",
        "?colour=red",
    ] {
        upload(&api, query, &[file("a.csv", b"1")])
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
    let cut = &form(&[file("a.csv", b"1234567890")])[..100];
    api.send(post(FILES, Body::from(cut.to_vec())))
        .await
        .refused(400, "INVALID_ARGUMENT");
    let json = crate::support::json(Method::POST, FILES, &json!({}));
    api.send(json).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let none = post(
        "/api/v1/landing-zones/default/none/files",
        Body::from(form(&[file("a", b"1")])),
    );
    api.send(none).await.refused(404, "NOT_FOUND");
    assert_eq!(on_disk(&api), Vec::<String>::new());
    assert_eq!(api.get(FILES).await.expect(200)["total"], 0);
}

#[tokio::test]
async fn an_upload_above_the_limit_is_refused_and_leaves_nothing() {
    let api = with_zone(Setup {
        configure: |config| config.upload_limit = 300_000,
        ..Setup::default()
    })
    .await;
    // Just within the form's limit, but not the file's; and beyond both without saying so.
    for size in [330_000, 2_000_000] {
        let body = form(&[file("a.csv", &vec![b'x'; size])]);
        let chunks: Vec<Result<Bytes, std::io::Error>> = body
            .chunks(10_000)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let streamed = Body::from_stream(stream::iter(chunks));
        api.send(post(FILES, streamed))
            .await
            .refused(413, "INVALID_ARGUMENT");
        // With its length announced.
        let mut announced = post(FILES, Body::from(body.clone()));
        announced
            .headers_mut()
            .insert("content-length", body.len().into());
        api.send(announced).await.refused(413, "INVALID_ARGUMENT");
    }
    assert_eq!(on_disk(&api), Vec::<String>::new());
    upload(&api, "", &[file("a.csv", &vec![b'x'; 300_000])])
        .await
        .expect(201);
}

#[tokio::test]
async fn a_connection_that_breaks_or_stalls_leaves_nothing() {
    let api = with_zone(Setup {
        configure: |config| config.upload_idle_timeout = Duration::from_millis(200),
        ..Setup::default()
    })
    .await;
    let start = Bytes::from([head(&file("a.csv", b"")).into_bytes(), vec![b'x'; 600_000]].concat());
    let broken = stream::iter([Ok(start.clone()), Err(std::io::Error::other("gone"))]);
    api.send(post(FILES, Body::from_stream(broken)))
        .await
        .refused(400, "INVALID_ARGUMENT");
    let stalled = stream::iter([Ok::<_, std::io::Error>(start)]).chain(stream::pending());
    let answer = api.send(post(FILES, Body::from_stream(stalled))).await;
    assert_eq!(answer.status, 408);
    wait_for("the temporary file is gone", || async {
        on_disk(&api).is_empty()
    })
    .await;
}

/// Set in the process that has a test for itself.
const ALONE: &str = "RAT_TEST_ALONE";

/// The peak is the whole process's, so that the tests beside this one would be measured too: it
/// has a process for itself.
#[test]
fn a_large_upload_takes_little_memory() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        return runtime.unwrap().block_on(upload_and_measure());
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "uploads::a_large_upload_takes_little_memory"])
        .args(["--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}");
    assert!(said.contains("1 passed"), "{said}");
}

async fn upload_and_measure() {
    const CHUNK: usize = 1024 * 1024;
    const CHUNKS: usize = 200;
    let api = with_zone(Setup::default()).await;
    let before = peak_memory();
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let start = Bytes::from(head(&file("big.csv", b"")));
    let end = Bytes::from(format!("\r\n--{BOUNDARY}--\r\n"));
    let pieces = stream::iter([start])
        .chain(stream::repeat(chunk).take(CHUNKS))
        .chain(stream::iter([end]))
        .map(Ok::<_, std::io::Error>);
    let record = api
        .send(post(FILES, Body::from_stream(pieces)))
        .await
        .expect(201);
    assert_eq!(record["size_bytes"], CHUNK * CHUNKS);
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 100 * 1024, "the process grew by {grown} KiB");
}

/// The most memory that this process ever had, in KiB.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_file_without_a_media_type_has_that_of_its_suffix() {
    let api = with_zone(Setup::default()).await;
    for (name, sent, stored) in [
        ("a.csv", "", "text/csv"),
        ("a.CSV", "application/octet-stream", "text/csv"),
        ("a.parquet", "", "application/vnd.apache.parquet"),
        ("a.json", "", "application/json"),
        ("a.ndjson", "", "application/x-ndjson"),
        ("a.csv.gz", "", "application/gzip"),
        ("b.csv", "text/plain", "text/plain"),
        (
            "a.odd",
            "application/octet-stream",
            "application/octet-stream",
        ),
        ("a", "", ""),
    ] {
        let media_type = match sent {
            "" => String::new(),
            sent => format!("Content-Type: {sent}\r\n"),
        };
        let body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"{name}\"\r\n{media_type}\r\n1\r\n--{BOUNDARY}--\r\n"
        );
        let record = api.send(post(FILES, Body::from(body))).await.expect(201);
        assert_eq!(record["content_type"], stored, "{name} {sent}");
    }
}

#[tokio::test]
async fn a_deleted_zone_takes_its_files_with_it() {
    let api = with_zone(Setup::default()).await;
    upload(&api, "?path=a/b.csv", &[file("x", b"1")])
        .await
        .expect(201);
    api.delete("/api/v1/landing-zones/default/raw")
        .await
        .expect(204);
    assert_eq!(on_disk(&api), Vec::<String>::new());
    api.post(
        "/api/v1/landing-zones",
        json!({"namespace": "default", "name": "raw"}),
    )
    .await
    .expect(201);
    assert_eq!(api.get(FILES).await.expect(200)["total"], 0);
}

#[tokio::test]
async fn a_field_header_that_does_not_end_is_refused_early() {
    let api = with_zone(Setup::default()).await;
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for beginning in [
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\""),
        // Before the first boundary, and after a field.
        "preamble".to_owned(),
        format!("{}1\r\n--{BOUNDARY}\r\nX: ", head(&file("a.csv", b""))),
    ] {
        taken.store(0, std::sync::atomic::Ordering::Relaxed);
        let count = std::sync::Arc::clone(&taken);
        // Endless: an answer comes before its end or never.
        let endless =
            stream::iter([Bytes::from(beginning)]).chain(stream::repeat_with(move || {
                count.fetch_add(8192, std::sync::atomic::Ordering::Relaxed);
                Bytes::from(vec![b'x'; 8192])
            }));
        let body = Body::from_stream(endless.map(Ok::<_, std::io::Error>));
        let message = api
            .send(post(FILES, body))
            .await
            .refused(400, "INVALID_ARGUMENT");
        assert!(message.contains("header"), "{message}");
        let taken = taken.load(std::sync::atomic::Ordering::Relaxed);
        assert!(taken < 256 * 1024, "{taken} bytes were taken");
    }
    assert_eq!(on_disk(&api), Vec::<String>::new());
}
