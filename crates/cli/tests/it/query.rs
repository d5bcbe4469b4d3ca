//! `rat query` in its formats.

use std::io::Write;
use std::process::Stdio;

use expect_test::expect;

use crate::support::{Server, rat, text};

const ANSWER: &str = r#"{"columns":[{"name":"flag","type":"string"},{"name":"total","type":"decimal(20, 4)"},{"name":"n","type":"long"}],"rows":[{"flag":"A","total":"37734107.0000","n":14876},{"flag":null,"total":"0.0100","n":9007199254740993}],"total_rows":2,"truncated":false,"duration_ms":12}"#;

fn server() -> Server {
    Server::start(|_| (200, "", ANSWER.to_owned()))
}

#[test]
fn a_table_has_numbers_on_the_right_and_names_null() {
    let (code, out, err) = server().rat(&["query", "SELECT 1"]);
    assert_eq!((code, err.as_str()), (0, "2 rows in 12 ms\n"));
    expect![[r#"
         flag │         total │                n
        ──────┼───────────────┼──────────────────
         A    │ 37734107.0000 │            14876
         NULL │        0.0100 │ 9007199254740993
    "#]]
    .assert_eq(&out);
}

#[test]
fn csv_keeps_every_digit() {
    let (code, out, err) = server().rat(&["query", "SELECT 1", "-o", "csv"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "flag,total,n\nA,37734107.0000,14876\n,0.0100,9007199254740993\n"
    );
}

#[test]
fn json_is_what_the_api_said() {
    let (code, out, _) = server().rat(&["query", "SELECT 1", "-o", "json"]);
    assert_eq!((code, out.trim_end()), (0, ANSWER));
}

#[test]
fn the_statement_can_come_from_standard_input() {
    let server = server();
    let mut command = rat();
    command.args([
        "--server",
        &server.url,
        "query",
        "-",
        "--namespace",
        "shop",
        "--limit",
        "7",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"SELECT 42\n")
        .unwrap();
    let (code, _, err) = text(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    let body = server.requests()[0].json();
    assert_eq!(
        body,
        serde_json::json!({"sql": "SELECT 42\n", "namespace": "shop", "limit": 7})
    );
}

#[test]
fn an_empty_statement_is_not_sent() {
    let server = server();
    assert_eq!(server.rat(&["query", " "]).0, 2);
    assert_eq!(server.seen(), Vec::<String>::new());
}
