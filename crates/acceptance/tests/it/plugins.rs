//! Plugins as processes: killed, restarted, absent and wrong.

mod check;
mod failing;
mod join;
mod kill;
mod restart;

use std::io::Write as _;
use std::time::Duration;

use rat_acceptance::Caller;

/// Requests per second.
const RATE: u32 = 500;

/// How long to insist: a minute where everything is required, as in the gate.
fn duration() -> Duration {
    match std::env::var_os("RAT_REQUIRE_ALL") {
        Some(_) => Duration::from_secs(60),
        None => Duration::from_secs(10),
    }
}

/// Eight in ten are users; one has a token that nearly is one, and one has none.
fn callers(users: usize) -> Vec<Caller> {
    let mut callers = Vec::new();
    for number in 0..users {
        callers.push(Caller {
            token: Some(format!("token-{number}")),
            user: Some(format!("user-{number}")),
        });
        let token = match number % 8 {
            3 => Some(format!("token-{number}x")),
            7 => None,
            _ => continue,
        };
        callers.push(Caller { token, user: None });
    }
    callers
}

/// Prints for whoever reads the output, also of tests that pass.
fn say(text: &str) {
    // Nothing useful can be done when stdout is closed.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The settings of ratd for the auth plugin at `address`.
fn settings(address: &str, token_cache: &str, config: &str) -> String {
    format!(
        "log:\n  level: debug\n  format: json\nauth:\n  token_cache: {token_cache}\n\
         plugins:\n  auth:\n    name: auth-static\n    image: local/auth-static\n    \
         address: {address}\n    on_down: deny\n    config:\n{config}"
    )
}
