//! systemd from ratd's side: sockets it holds, what it is told. No systemd is needed for that.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Daemon, Home, LIMIT, get_tcp, send};

/// `ratd --config …` as systemd starts it, with sockets at descriptor 3 and 4 named `names`.
///
/// `LISTEN_PID` is the id of the started process, which only that process knows: a shell sets it
/// and becomes ratd.
fn activated(home: &Home, names: &str, sockets: [OwnedFd; 2]) -> Command {
    let [first, second] = sockets;
    let mut command = Command::new("/bin/sh");
    command
        .current_dir(home.path())
        .args([
            "-c",
            "exec 3<&0 4<&1 </dev/null >/dev/null; export LISTEN_PID=$$; exec \"$@\"",
            "sh",
        ])
        .arg(env!("CARGO_BIN_EXE_ratd"))
        .arg("--config")
        .arg(home.config())
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", names)
        .stdin(Stdio::from(first))
        .stdout(Stdio::from(second))
        .stderr(Stdio::null());
    command
}

/// Unlike [`Daemon::spawn`], leaves the standard streams as they are.
fn spawn(command: &mut Command) -> Daemon {
    Daemon::of(command.spawn().unwrap())
}

#[test]
fn sockets_from_systemd_are_used_in_place_of_the_configured_ones() {
    let home = Home::new();
    let public = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = public.local_addr().unwrap();
    let path = home.path().join("activated.sock");
    let internal = UnixListener::bind(&path).unwrap();
    for _ in 0..2 {
        let sockets = [
            public.try_clone().unwrap().into(),
            internal.try_clone().unwrap().into(),
        ];
        let daemon = spawn(&mut activated(&home, "ratd:ratd-internal", sockets));
        // Connections wait in the sockets of systemd until ratd takes them: no need to wait here.
        assert!(get_tcp(address, "/health/live").starts_with("HTTP/1.1 200"));
        let answer = send(&path, "GET", "/iceberg/v1/config", None, "");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(!home.public().exists() && !home.internal().exists());
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.ended().code(), Some(0));
        // The sockets are systemd's to remove.
        assert!(path.exists());
    }
}

#[test]
fn variables_that_contradict_each_other_are_an_error() {
    let home = Home::new();
    let socket = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let daemon = spawn(&mut activated(&home, "one:two:three", [socket(), socket()]));
    assert_eq!(daemon.ended().code(), Some(1));
}

#[test]
fn variables_for_another_process_are_ignored() {
    let home = Home::new();
    let daemon = Daemon::spawn(home.command().env("LISTEN_PID", "1").env("LISTEN_FDS", "5"));
    daemon.wait_for("the configured socket is there", || home.public().exists());
}

#[test]
fn systemd_is_told_about_the_life_of_ratd() {
    let home = Home::new();
    let path = home.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let receive = || {
        let mut message = [0; 4096];
        let length = socket
            .recv(&mut message)
            .expect("ratd says something in time");
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let until = |wanted: &str| {
        let mut heard = Vec::new();
        while !heard
            .iter()
            .any(|message: &String| message.contains(wanted))
        {
            heard.push(receive());
        }
        heard
    };
    let watchdog = Duration::from_millis(200);
    let mut command = home.command();
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
    let daemon = Daemon::spawn(&mut command);

    let starting = until("READY=1");
    assert!(home.public().exists() && home.internal().exists());
    let extended = |message: &String| message.contains("EXTEND_TIMEOUT_USEC=");
    assert!(starting.iter().any(extended), "{starting:?}");
    for _ in 0..3 {
        until("WATCHDOG=1");
    }
    daemon.signal(Signal::SIGTERM);
    until("STOPPING=1");
    assert_eq!(daemon.ended().code(), Some(0));
}
