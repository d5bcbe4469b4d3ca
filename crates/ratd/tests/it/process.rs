use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

use std::fs::{self, File};
use std::process::Stdio;

use crate::support::{Daemon, Home, get};

#[test]
fn a_signal_ends_ratd_in_good_order_and_it_starts_again() {
    let home = Home::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let daemon = home.start();
        assert!(get(&home.public(), "/api/v1/namespaces").contains("\"default\""));
        daemon.signal(signal);
        assert_eq!(daemon.ended().code(), Some(0), "{signal}");
        assert!(!home.public().exists() && !home.internal().exists());
    }
}

#[test]
fn a_second_signal_ends_ratd_at_once() {
    let home = Home::new();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let daemon = home.start();
        // A request that never ends holds the drain up for its five seconds.
        let mut stream = UnixStream::connect(home.public()).unwrap();
        let head = "POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\n\
                    Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
        daemon.wait_for("the request is under way", || {
            get(&home.public(), "/health/live").starts_with("HTTP/1.1 200")
        });
        daemon.signal(signal);
        daemon.wait_for("ratd drains", || {
            UnixStream::connect(home.public()).is_err()
        });
        daemon.signal(signal);
        let status = daemon.ended();
        assert_eq!(
            (status.code(), status.signal()),
            (Some(code), None),
            "{signal}"
        );
    }
}

#[test]
fn a_second_ratd_does_not_take_the_sockets_of_the_first() {
    let home = Home::new();
    let daemon = home.start();
    let output = home.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("another process listens"), "{stderr}");
    assert!(get(&home.public(), "/health/live").starts_with("HTTP/1.1 200"));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn a_killed_ratd_leaves_nothing_that_keeps_the_next_from_starting() {
    let home = Home::new();
    let daemon = home.start();
    daemon.signal(Signal::SIGKILL);
    assert_eq!(daemon.ended().signal(), Some(9));
    assert!(home.public().exists());
    let daemon = home.start();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn sighup_takes_the_level_of_the_log_over() {
    let home = Home::new();
    let log = home.path().join("log");
    let mut command = home.command();
    command
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap());
    let daemon = Daemon::of(command.spawn().unwrap());
    let logged = |text: &str| fs::read_to_string(&log).unwrap().contains(text);
    daemon.wait_for("ratd serves", || logged("\"serving\""));
    let settings = fs::read_to_string(home.config()).unwrap();

    fs::write(
        home.config(),
        settings.replace("{format: json}", "{level: loud}"),
    )
    .unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for("ratd says what is wrong", || logged("nothing changed"));
    assert!(!logged("\"DEBUG\""));
    fs::write(
        home.config(),
        settings.replace("{format: json}", "{level: debug, format: json}"),
    )
    .unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for("the log is reloaded", || logged("log reloaded"));
    get(&home.public(), "/api/v1/namespaces");
    daemon.wait_for("there are debug lines", || logged("\"DEBUG\""));
}
