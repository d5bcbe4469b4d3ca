use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{AUTHENTICATE, Home, Notified, Process, head, post, read_answer, wait_for};

const TOKEN: &str = r#"{"token": "let-me-in"}"#;
const HEALTH: &str = "/rat.plugin.v1.PluginService/HealthCheck";

#[test]
fn a_plugin_answers_and_ends_when_asked_to() {
    let home = Home::new();
    let plugin = home.start();
    let (status, answer) = post(&home.socket(), AUTHENTICATE, TOKEN).unwrap();
    assert_eq!(status, 200);
    let alice = json!({"userId": "alice", "email": "a@example.com", "roles": ["admin"]});
    assert_eq!(answer, alice);
    let (status, answer) = post(&home.socket(), AUTHENTICATE, r#"{"token": "x"}"#).unwrap();
    let refusal = json!({"code": "unauthenticated", "message": "no such token"});
    assert_eq!((status, answer), (401, refusal));
    let (_, answer) = post(&home.socket(), HEALTH, "{}").unwrap();
    assert_eq!(answer, json!({"status": "healthy", "message": "1 tokens"}));
    plugin.signal(Signal::SIGTERM);
    assert!(plugin.ended().success());
    assert!(!home.socket().exists());
}

/// A connection whose request has begun and waits for the rest of its body.
fn begin(home: &Home) -> UnixStream {
    let mut stream = UnixStream::connect(home.socket()).unwrap();
    let (first, _) = TOKEN.split_at(5);
    stream
        .write_all((head(AUTHENTICATE, TOKEN.len()) + first).as_bytes())
        .unwrap();
    stream
}

fn finish(stream: &mut UnixStream) -> u16 {
    let (_, rest) = TOKEN.split_at(5);
    stream.write_all(rest.as_bytes()).unwrap();
    read_answer(stream).unwrap().0
}

#[test]
fn a_call_under_way_is_answered_after_sigterm() {
    let home = Home::new();
    let mut plugin = home.start();
    let mut stream = begin(&home);
    // Taken in order: this one's answer says that the other has been taken.
    post(&home.socket(), HEALTH, "{}").unwrap();
    plugin.signal(Signal::SIGTERM);
    wait_for("the socket is closed", || !home.socket().exists());
    assert!(plugin.is_running());
    assert_eq!(finish(&mut stream), 200);
    assert!(plugin.ended().success());
}

#[test]
fn the_second_signal_ends_at_once() {
    let home = Home::new();
    let plugin = home.start();
    let _open = begin(&home);
    post(&home.socket(), HEALTH, "{}").unwrap();
    plugin.signal(Signal::SIGTERM);
    wait_for("the socket is closed", || !home.socket().exists());
    plugin.signal(Signal::SIGTERM);
    let ended = plugin.ended();
    assert_eq!((ended.code(), ended.signal()), (Some(128 + 15), None));
}

#[test]
fn systemd_is_told() {
    let home = Home::new();
    let mut told = Notified::new(&home.path("notify.sock"));
    let mut command = home.listening();
    command
        .env("NOTIFY_SOCKET", home.path("notify.sock"))
        .env("WATCHDOG_USEC", "300000");
    let plugin = Process::spawn(&mut command);
    told.hear("READY=1");
    told.hear("STATUS=healthy: 1 tokens");
    let config = r#"{"tokens": {"another": {"user_id": "bob"}}}"#;
    let request = json!({ "config": config }).to_string();
    let configure = "/rat.plugin.v1.PluginService/Configure";
    assert_eq!(post(&home.socket(), configure, &request).unwrap().0, 200);
    told.hear("STATUS=healthy: 2 tokens");
    for _ in 0..3 {
        told.hear("WATCHDOG=1");
    }
    plugin.signal(Signal::SIGTERM);
    told.hear("STOPPING=1");
    assert!(plugin.ended().success());
}

#[test]
fn a_plugin_that_cannot_be_reached_gives_no_sign_of_life() {
    let home = Home::new();
    let mut told = Notified::new(&home.path("notify.sock"));
    let mut command = home.listening();
    command
        .env("NOTIFY_SOCKET", home.path("notify.sock"))
        .env("WATCHDOG_USEC", "300000");
    let _plugin = Process::spawn(&mut command);
    told.hear("WATCHDOG=1");
    // Somebody else takes its place; the process itself is as alive as before.
    std::fs::remove_file(home.socket()).unwrap();
    let _other = UnixListener::bind(home.socket()).unwrap();
    told.is_silent_about("WATCHDOG=1");
}

#[test]
fn a_socket_of_systemd_outlives_the_plugin() {
    let home = Home::new();
    let socket = UnixListener::bind(home.socket()).unwrap();
    let plugin = home.activated(&socket, "");
    assert_eq!(post(&home.socket(), AUTHENTICATE, TOKEN).unwrap().0, 200);
    plugin.signal(Signal::SIGTERM);
    assert!(plugin.ended().success());
    // Nobody serves; the call waits for the successor.
    let path = home.socket();
    let waiting = std::thread::spawn(move || post(&path, AUTHENTICATE, TOKEN));
    let _successor = home.activated(&socket, "");
    assert_eq!(waiting.join().unwrap().unwrap().0, 200);
}

#[test]
fn a_plugin_that_nobody_calls_ends_until_the_next_call() {
    let home = Home::new();
    let socket = UnixListener::bind(home.socket()).unwrap();
    let plugin = home.activated(&socket, "--idle-stop 1s");
    let begun = Instant::now();
    assert_eq!(post(&home.socket(), AUTHENTICATE, TOKEN).unwrap().0, 200);
    // Health checks do not keep it awake.
    wait_for("it ends", || post_in_time(&home) == Answered::No);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(plugin.ended().success());
}

#[derive(PartialEq)]
enum Answered {
    Yes,
    No,
}

/// Whether a health check is answered within a moment.
fn post_in_time(home: &Home) -> Answered {
    let mut stream = UnixStream::connect(home.socket()).unwrap();
    stream
        .write_all((head(HEALTH, 2) + "{}").as_bytes())
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    match std::io::Read::read(&mut stream, &mut [0; 16]) {
        Ok(length) if length > 0 => Answered::Yes,
        Ok(_) | Err(_) => Answered::No,
    }
}

#[test]
fn systemds_own_activation_works() {
    let home = Home::new();
    let mut command = Command::new("systemd-socket-activate");
    command
        .arg("--listen")
        .arg(home.socket())
        .arg(env!("CARGO_BIN_EXE_rat-plugin-auth-static"))
        .args(["--config", "tokens.yaml"])
        .current_dir(home.path(""))
        .stderr(Stdio::null());
    let started = match command.spawn() {
        Ok(child) => Process::from(child),
        Err(error) => {
            assert!(std::env::var_os("RAT_REQUIRE_ALL").is_none(), "{error}");
            eprintln!("SKIPPED: systemd-socket-activate: {error}");
            return;
        }
    };
    wait_for("the socket is there", || home.socket().exists());
    assert_eq!(post(&home.socket(), AUTHENTICATE, TOKEN).unwrap().0, 200);
    started.signal(Signal::SIGTERM);
    assert!(started.ended().success());
}
