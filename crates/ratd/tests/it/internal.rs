use nix::sys::signal::Signal;

use crate::support::{Home, send};

/// A text with the form of a run's token.
fn token() -> String {
    format!("rat_run_{}", "0".repeat(64))
}

#[test]
fn without_a_good_token_nothing_is_answered() {
    let home = Home::new();
    let daemon = home.start();
    let outcome = "/internal/v1/runs/0190a000-0000-7000-8000-000000000001/outcome";
    let token = token();
    for token in [None, Some("nonsense"), Some(token.as_str())] {
        for (method, path) in [
            ("GET", "/iceberg/v1/config"),
            ("GET", "/iceberg/v1/namespaces"),
        ] {
            let answer = send(&home.internal(), method, path, token, "");
            assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
            // The words of the catalog's protocol.
            assert!(answer.contains("\"code\":401"), "{path}: {answer}");
        }
        let answer = send(&home.internal(), "POST", outcome, token, "{}");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("\"type\":\"AUTHENTICATION\""), "{answer}");
    }
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn the_two_listeners_serve_different_things() {
    let home = Home::new();
    let _daemon = home.start();
    for path in ["/api/v1/namespaces", "/health", "/features"] {
        let answer = send(&home.internal(), "GET", path, None, "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let path = "/internal/v1/runs/0190a000-0000-7000-8000-000000000001/outcome";
    let answer = send(&home.public(), "POST", path, Some(&token()), "{}");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}
