//! `rat upload`.

use serde_json::json;

use crate::support::{Server, error, ok};

fn server() -> Server {
    Server::start(|request| match request.route() {
        ("POST", "/api/v1/landing-zones") => error(409, "ALREADY_EXISTS", "there is one"),
        ("GET", "/api/v1/landing-zones/shop/orders/files") => {
            ok(json!({"files": [{"id": "1", "filename": "a.csv", "size_bytes": 4}], "total": 1}))
        }
        _ => ok(json!({})),
    })
}

fn files() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, "x\n1\n").unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (path("a.csv"), path("b.csv"));
    (folder, a, b)
}

#[test]
fn files_that_are_there_are_named_before_anything_is_sent() {
    let (_folder, a, b) = files();
    let server = server();
    let (code, _, err) = server.rat(&["upload", "shop.orders", &b, &a]);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "error: landing zone shop.orders already has a.csv; --overwrite replaces it\n"
    );
    assert_eq!(server.changes(), ["POST /api/v1/landing-zones"]);
}

#[test]
fn overwriting_is_asked_for_and_the_file_is_sent_whole() {
    let (_folder, a, _) = files();
    let server = server();
    let (code, _, err) = server.rat(&["upload", "shop.orders", &a, "--overwrite"]);
    assert_eq!(code, 0, "{err}");
    let requests = server.requests();
    let form = &requests.last().unwrap().body;
    let field = |name: &str, value: &str| format!("name=\"{name}\"\r\n\r\n{value}\r\n");
    assert!(form.contains(&field("path", "a.csv")), "{form}");
    assert!(form.contains(&field("overwrite", "true")), "{form}");
    assert!(
        form.contains("filename=\"a.csv\"") && form.contains("x\n1\n"),
        "{form}"
    );
}

#[test]
fn a_missing_file_is_named_before_anything_is_sent() {
    let server = server();
    let (code, _, err) = server.rat(&["upload", "shop.orders", "/nonexistent/x.csv"]);
    assert_eq!(code, 1);
    assert!(
        err.starts_with("error: cannot read /nonexistent/x.csv: "),
        "{err}"
    );
    assert_eq!(server.seen(), Vec::<String>::new());
}
