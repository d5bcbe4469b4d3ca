//! Showing an address to somebody: always as text, and in a browser where one can be expected.

use std::process::{Command, Stdio};

use url::Url;

use crate::output::Console;

/// What opens an address on a desktop.
const OPENER: &str = match cfg!(target_os = "macos") {
    true => "open",
    false => "xdg-open",
};

pub(super) fn show(console: &Console, url: &Url, only_text: bool) {
    console.note(&format!("Open this address to log in:\n\n  {url}\n"));
    if !only_text && is_desktop() && open(url) {
        console.note("A browser was asked to open it.");
    }
    console.note("Waiting for the login …");
}

/// Whether there is a screen, and somebody before it.
fn is_desktop() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_screen = cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    has_screen && !is_set("SSH_CONNECTION")
}

/// Whether the address was handed over. It holds nothing secret: without the verifier, which stays
/// here, its answer is worth nothing.
fn open(url: &Url) -> bool {
    let child = Command::new(OPENER)
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match child {
        // It lives as long as it likes: init reaps it after us.
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%error, "{OPENER} cannot be started");
            false
        }
    }
}
