//! A restart under load, with a socket that systemd holds: nobody notices.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use nix::sys::signal::Signal;

use crate::support::{AUTHENTICATE, Home, Process, post, wait_for};

const CALLERS: usize = 8;
const RESTARTS: u64 = 5;
/// Answers between two restarts.
const BETWEEN: u64 = 300;

/// What callers and the one who restarts tell each other.
#[derive(Clone, Default)]
struct Load {
    answered: Arc<AtomicU64>,
    has_failed: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed) && !self.has_failed.load(Ordering::Relaxed)
    }

    fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn failed(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Restarts the plugin again and again while it is called; the last one goes on.
    fn restart(&self, home: &Home, socket: &UnixListener) -> Process {
        let mut plugin = home.activated(socket, "");
        for _ in 0..RESTARTS {
            let before = self.answered.load(Ordering::Relaxed);
            wait_for("calls are answered", || {
                !self.goes_on() || self.answered.load(Ordering::Relaxed) >= before + BETWEEN
            });
            plugin.signal(Signal::SIGTERM);
            let ended = plugin.ended();
            assert!(ended.success(), "{ended:?}");
            plugin = home.activated(socket, "");
        }
        let before = self.answered.load(Ordering::Relaxed);
        wait_for("the last one answers", || {
            !self.goes_on() || self.answered.load(Ordering::Relaxed) > before
        });
        self.is_over.store(true, Ordering::Relaxed);
        plugin
    }
}

#[test]
fn no_call_over_http_fails_while_the_plugin_is_restarted() {
    let home = Home::new();
    let socket = UnixListener::bind(home.socket()).unwrap();
    let load = Load::default();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (load, path) = (load.clone(), home.socket());
            thread::spawn(move || {
                while load.goes_on() {
                    match post(&path, AUTHENTICATE, r#"{"token": "let-me-in"}"#) {
                        Ok((200, _)) => load.answered(),
                        other => {
                            load.failed();
                            panic!("{other:?}");
                        }
                    }
                }
            })
        })
        .collect();
    let _last = load.restart(&home, &socket);
    for caller in callers {
        caller.join().unwrap();
    }
}
