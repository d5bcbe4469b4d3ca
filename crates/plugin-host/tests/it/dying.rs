//! Plugins that are killed and restarted while they are asked: whoever is let in was verified,
//! and a restart behind a socket that stays open costs nothing.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rat_api::{AuthenticationError, Holder, Verification};
use rat_config::Slot;
use tokio::time::sleep;

use crate::support::plugin::{Script, Served};
use crate::support::{Rig, fast, one, wait_for};

/// Names the socket on which a process of this test program is a plugin.
const SOCKET: &str = "RAT_TEST_PLUGIN_SOCKET";

/// Not a test of anything: what the other ones start as a process of its own.
#[test]
fn a_process_of_its_own_is_a_plugin() {
    let Some(socket) = std::env::var_os(SOCKET) else {
        return;
    };
    let script = Script::new();
    // Time for a kill to come in between.
    script.delay.store(2, Ordering::SeqCst);
    let _served = Served::unix(Path::new(&socket), &script);
    loop {
        std::thread::park();
    }
}

struct Process(Child);

impl Process {
    fn start(socket: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "dying::a_process_of_its_own_is_a_plugin"])
            .env(SOCKET, socket)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Process {
    /// `kill -9`.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What became of the calls.
#[derive(Debug, Default)]
struct Tally {
    verified: AtomicUsize,
    unavailable: AtomicUsize,
}

/// Calls until told to stop, each with a token that nobody used before.
async fn call(rig: &Rig, caller: usize, stop: &AtomicBool, tally: &Tally) {
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        let token = format!("{caller}-{number}");
        number += 1;
        match rig.authenticate(&token).await {
            Ok(verified) => {
                assert_eq!(verified.identity.user_id, format!("user-of-{token}"));
                assert_eq!(verified.by, Verification::Plugin);
                tally.verified.fetch_add(1, Ordering::SeqCst);
            }
            Err(AuthenticationError::Unavailable(_)) => {
                tally.unavailable.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(1)).await;
            }
            Err(refused) => panic!("{refused:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_call_while_a_plugin_is_killed_again_and_again_none_is_let_in_unverified() {
    let rig = Rig::with(fast()).await;
    let socket = rig.socket("auth.sock");
    let mut process = Process::start(&socket);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let (stop, tally) = (AtomicBool::new(false), Tally::default());
    let calls = futures::future::join_all((0..16).map(|caller| call(&rig, caller, &stop, &tally)));
    let kills = async {
        for round in 0..8 {
            let before = tally.verified.load(Ordering::SeqCst);
            wait_for("it is asked", || {
                match tally.verified.load(Ordering::SeqCst) > before + 50 {
                    true => Ok(()),
                    false => Err(format!("round {round}: {tally:?}")),
                }
            })
            .await;
            drop(std::mem::replace(&mut process, Process::start(&socket)));
            // The old one's death may have taken the new one's socket with it: it binds anew.
            process = Process::start(&socket);
        }
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(calls, kills);
    println!("{tally:?}");
    assert!(tally.verified.load(Ordering::SeqCst) > 400);
    rig.until_row("auth-one", |row| row.last_health.is_some())
        .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_restart_behind_an_open_socket_costs_no_call() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let script = Script::new();
    script.delay.store(2, Ordering::SeqCst);
    let mut served = Served::on(listener.try_clone().unwrap(), &script);
    rig.load(&one(Slot::Auth, &socket, ", config: {a: 1}"))
        .await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let (stop, tally) = (AtomicBool::new(false), Tally::default());
    let calls = futures::future::join_all((0..16).map(|caller| call(&rig, caller, &stop, &tally)));
    let restarts = async {
        for _ in 0..10 {
            sleep(Duration::from_millis(50)).await;
            served.drain();
            sleep(Duration::from_millis(20)).await;
            let next = Served::on(listener.try_clone().unwrap(), &script);
            sleep(Duration::from_millis(50)).await;
            std::mem::replace(&mut served, next).kill();
        }
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(calls, restarts);
    println!("{tally:?}");
    assert_eq!(tally.unavailable.load(Ordering::SeqCst), 0, "{tally:?}");
    assert!(tally.verified.load(Ordering::SeqCst) > 500, "{tally:?}");
    assert_eq!(script.configurations().len(), 11);
}

#[tokio::test]
async fn a_call_whose_plugin_dies_under_way_is_told_so_and_the_slot_closes_at_once() {
    let rig = Rig::with(rat_plugin_host::Options {
        health_interval: Duration::from_secs(3600),
        ..fast()
    })
    .await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    script.delay.store(60_000, Ordering::SeqCst);
    let served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let kill = async {
        wait_for("the call arrives", || match script.calls() {
            0 => Err(String::new()),
            _ => Ok(()),
        })
        .await;
        std::fs::remove_file(&socket).unwrap();
        served.kill();
    };
    let (answer, ()) = tokio::join!(rig.authenticate("good"), kill);
    assert!(matches!(answer, Err(AuthenticationError::Unavailable(_))));
    assert_eq!(rig.slot(Slot::Auth).holder, Holder::Denied);
    let metrics = rig.host.metrics().encode();
    let counted = "method=\"Authenticate\",code=\"unreachable\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_an_ending_plugin_still_takes_cost_no_call() {
    for config in ["", ", config: {a: 1}"] {
        let rig = Rig::with(rat_plugin_host::Options {
            health_interval: Duration::from_secs(3600),
            ..fast()
        })
        .await;
        let socket = rig.socket("auth.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let script = Script::new();
        let served = Served::on(listener.try_clone().unwrap(), &script);
        rig.load(&one(Slot::Auth, &socket, config)).await;
        rig.until(Slot::Auth, Holder::Plugin).await;
        served.kill();
        let taken = listener.try_clone().unwrap();
        taken.set_nonblocking(false).unwrap();
        let successor = tokio::task::spawn_blocking(move || {
            for _ in 0..2 {
                drop(taken.accept().unwrap());
            }
            Served::on(taken, &script)
        });
        let (answer, _served) = tokio::join!(rig.authenticate("good"), successor);
        let metrics = rig.host.metrics().encode();
        let calls: Vec<_> = metrics
            .lines()
            .filter(|line| line.contains("code="))
            .collect();
        assert!(answer.is_ok(), "{config}: {answer:?}: {calls:#?}");
        assert_eq!(rig.slot(Slot::Auth).holder, Holder::Plugin);
        rig.stop().await;
    }
}
