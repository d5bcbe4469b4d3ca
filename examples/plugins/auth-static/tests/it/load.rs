//! A restart under load, with a socket that systemd holds: nobody notices.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use rat_config::Address;
use rat_plugin_sdk::Status;
use rat_plugin_sdk::auth::AuthenticateRequest;
use rat_plugin_sdk::auth::auth_service_client::AuthServiceClient;
use rat_service::grpc;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_over_grpc_is_lost_while_the_plugin_is_restarted() {
    let home = Home::new();
    let socket = UnixListener::bind(home.socket()).unwrap();
    let load = Load::default();
    let channel = grpc::channel(&Address::Unix(home.socket())).unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (load, mut client) = (load.clone(), AuthServiceClient::new(channel.clone()));
            tokio::spawn(async move {
                while load.goes_on() {
                    let token = "let-me-in".to_owned();
                    match client.authenticate(AuthenticateRequest { token }).await {
                        Ok(_) => load.answered(),
                        Err(status) if was_never_sent(&status) => {}
                        Err(status) => {
                            load.failed();
                            panic!("{status:?}");
                        }
                    }
                }
            })
        })
        .collect();
    let restarting = load.clone();
    let restarted = tokio::task::spawn_blocking(move || (restarting.restart(&home, &socket), home));
    let _last = restarted.await.unwrap();
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Whether the caller's own end turned a call away, because it had heard that the connection is
/// coming to its end: such a call is made again by whoever wants it answered.
fn was_never_sent(status: &Status) -> bool {
    let text = format!("{status:?}");
    text.contains("hyper::Error(Canceled, ") || text.contains("GoAway(b\"\", NO_ERROR, Remote)")
}
