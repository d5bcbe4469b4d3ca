//! The form of an upload, and a zone to send it to.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;

use crate::support::{Answer, Api, Setup};

pub(crate) const FILES: &str = "/api/v1/landing-zones/default/raw/files";
pub(crate) const BOUNDARY: &str = "----rat";

/// One field of a form.
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    pub(crate) file_name: Option<&'a str>,
    pub(crate) content: &'a [u8],
}

pub(crate) fn file<'a>(file_name: &'a str, content: &'a [u8]) -> Part<'a> {
    Part {
        name: "file",
        file_name: Some(file_name),
        content,
    }
}

pub(crate) fn field<'a>(name: &'a str, content: &'a str) -> Part<'a> {
    Part {
        name,
        file_name: None,
        content: content.as_bytes(),
    }
}

pub(crate) fn head(part: &Part<'_>) -> String {
    let file_name = part
        .file_name
        .map(|name| format!("; filename=\"{name}\""))
        .unwrap_or_default();
    let content_type = part.file_name.map_or("", |_| "Content-Type: text/csv\r\n");
    let name = part.name;
    format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\
         {content_type}\r\n"
    )
}

pub(crate) fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(head(part).as_bytes());
        body.extend_from_slice(part.content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub(crate) fn post(path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body)
        .unwrap()
}

pub(crate) async fn upload(api: &Api, query: &str, parts: &[Part<'_>]) -> Answer {
    api.send(post(&format!("{FILES}{query}"), Body::from(form(parts))))
        .await
}

pub(crate) async fn with_zone(setup: Setup) -> Api {
    let api = setup.start().await;
    api.post(
        "/api/v1/landing-zones",
        json!({"namespace": "default", "name": "raw"}),
    )
    .await
    .expect(201);
    api
}

/// Files on disk, by their path within the zone.
pub(crate) fn on_disk(api: &Api) -> Vec<String> {
    fn walk(folder: &std::path::Path, root: &std::path::Path, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, root, found),
                false => {
                    found.push(
                        path.strip_prefix(root)
                            .unwrap()
                            .to_str()
                            .unwrap()
                            .to_owned(),
                    );
                }
            }
        }
    }
    let root = api.lake().join("default/landing/raw");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort();
    found
}
