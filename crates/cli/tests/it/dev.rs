//! `rat dev` with programs of the test's own in place of ratd, rat-runner and ratq.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{rat, text, wait_for};

/// A program that says that it lives and notes in `$OUT/order` when it is asked to end.
const WELL: &str = "trap 'echo $(basename $0) >> $OUT/order; exit 0' TERM\n\
    echo $$ > $OUT/$(basename $0).pid; echo hello from $(basename $0)\n\
    while :; do sleep 0.05; done\n";

/// Where this machine has what scripts call, which is not /usr/bin everywhere; a RAT that somebody
/// installed is none of it.
fn tools() -> OsString {
    let path = std::env::var_os("PATH").unwrap();
    let has_rat = |folder: &PathBuf| {
        let mut programs = ["ratd", "rat-runner", "ratq"].iter();
        programs.any(|name| folder.join(name).exists())
    };
    std::env::join_paths(std::env::split_paths(&path).filter(|folder| !has_rat(folder))).unwrap()
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::hard_link(env!("CARGO_BIN_EXE_rat"), folder.path().join("rat")).unwrap();
        let place = Self { folder };
        for name in ["ratd", "rat-runner", "ratq"] {
            place.program(name, WELL);
        }
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.path().join("rat"));
        command
            .env("NO_COLOR", "1")
            .env("PATH", tools())
            .env("OUT", self.path());
        command
            .env("RAT_LOG_LEVEL", "must not reach the programs")
            .stdin(Stdio::null());
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--dir"])
            .arg(self.dir());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn dir(&self) -> PathBuf {
        self.path().join("state")
    }

    fn pid_of(&self, name: &str) -> Pid {
        let file = self.path().join(format!("{name}.pid"));
        let text = wait_for(name, || {
            fs::read_to_string(&file)
                .ok()
                .filter(|text| text.ends_with('\n'))
        });
        Pid::from_raw(text.trim().parse().unwrap())
    }

    fn wait_all(&self) -> [Pid; 3] {
        ["ratd", "rat-runner", "ratq"].map(|name| self.pid_of(name))
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

fn is_gone(pid: Pid) -> bool {
    // A zombie that nobody waits for still has its entry.
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn the_programs_are_stopped_in_order_and_their_output_is_kept() {
    let place = Place::new();
    let child = place.command().spawn().unwrap();
    place.wait_all();
    kill(pid(&child), Signal::SIGINT).unwrap();
    let (code, out, err) = text(&child.wait_with_output().unwrap());
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    let order = fs::read_to_string(place.path().join("order")).unwrap();
    assert_eq!(order, "ratd\nrat-runner\nratq\n");
    assert!(err.contains("rat-runner │ hello from rat-runner"), "{err}");
    let log = fs::read_to_string(place.dir().join("log/ratq.log")).unwrap();
    assert_eq!(log, "hello from ratq\n");
    let settings = fs::read_to_string(place.dir().join("rat.yaml")).unwrap();
    assert!(settings.contains("rate_limit: \"off\""), "{settings}");
}

#[test]
fn a_crashed_program_is_started_again() {
    let place = Place::new();
    place.program(
        "ratq",
        &format!("if [ ! -e $OUT/crashed ]; then touch $OUT/crashed; kill -9 $$; fi\n{WELL}"),
    );
    let child = place.command().spawn().unwrap();
    place.wait_all();
    kill(pid(&child), Signal::SIGTERM).unwrap();
    let (code, _, err) = text(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("ratq: ended with signal SIGKILL; starting again in 0.5 s"),
        "{err}"
    );
}

#[test]
fn a_program_with_a_bad_configuration_ends_everything_with_78() {
    let place = Place::new();
    place.program(
        "rat-runner",
        "echo 'rat.yaml:3: unknown key' >&2; exit 78\n",
    );
    let (code, _, err) = text(&place.command().output().unwrap());
    assert_eq!(code, 78, "{err}");
    assert!(
        err.contains(
            "rat-runner ended with exit code 78; its last lines:\n  rat.yaml:3: unknown key"
        ),
        "{err}"
    );
}

#[test]
fn the_programs_die_with_rat_dev() {
    let place = Place::new();
    let mut child = place.command().spawn().unwrap();
    let pids = place.wait_all();
    kill(pid(&child), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    wait_for("the programs to end", || {
        pids.iter().all(|pid| is_gone(*pid)).then_some(())
    });
}

#[test]
fn a_second_signal_kills_what_does_not_end() {
    let place = Place::new();
    place.program(
        "ratd",
        "trap '' TERM\necho $$ > $OUT/ratd.pid\nwhile :; do sleep 0.05; done\n",
    );
    let child = place.command().spawn().unwrap();
    let pids = place.wait_all();
    kill(pid(&child), Signal::SIGINT).unwrap();
    // The second one counts only after the first was taken, so it is sent until it has worked.
    wait_for("the programs to be killed", || {
        let _ = kill(pid(&child), Signal::SIGINT);
        pids.iter().all(|pid| is_gone(*pid)).then_some(())
    });
    let (_, _, err) = text(&child.wait_with_output().unwrap());
    assert!(err.contains("Killing what is still running."), "{err}");
}

#[test]
fn ratd_gets_its_listener_and_no_variable_of_ours() {
    let place = Place::new();
    place.program(
        "ratd",
        &format!("env | grep -E '^(RAT|LISTEN)_' | sed \"s/$$/PID/\" | sort > $OUT/env\nls -l /proc/self/fd/3 >> $OUT/env\n{WELL}"),
    );
    let child = place.command().spawn().unwrap();
    place.wait_all();
    kill(pid(&child), Signal::SIGTERM).unwrap();
    child.wait_with_output().unwrap();
    let environment = fs::read_to_string(place.path().join("env")).unwrap();
    let mut lines = environment.lines();
    let variables: Vec<&str> = lines.by_ref().take(3).collect();
    assert_eq!(
        variables,
        ["LISTEN_FDNAMES=ratd", "LISTEN_FDS=1", "LISTEN_PID=PID"]
    );
    assert!(lines.next().unwrap().contains("socket:"), "{environment}");
}

#[test]
fn a_settings_file_may_ask_for_any_free_port() {
    let place = Place::new();
    place.program(
        "ratd",
        &format!("echo $LISTEN_FDS > $OUT/fds\nls -l /proc/self/fd/3 >> $OUT/fds\n{WELL}"),
    );
    let config = place.path().join("free.yaml");
    fs::write(&config, "server:\n  listen: 127.0.0.1:0\n").unwrap();
    let mut command = Command::new(place.path().join("rat"));
    command.env("PATH", tools()).env("OUT", place.path());
    command.args(["dev", "--config"]).arg(&config);
    command.arg("--dir").arg(place.dir()).stdin(Stdio::null());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    place.wait_all();
    kill(pid(&child), Signal::SIGTERM).unwrap();
    let (code, _, err) = text(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    let fds = fs::read_to_string(place.path().join("fds")).unwrap();
    assert!(fds.starts_with("1\n") && fds.contains("socket:"), "{fds}");
}

#[test]
fn missing_programs_are_all_named() {
    let place = Place::new();
    for name in ["ratd", "ratq"] {
        fs::remove_file(place.path().join(name)).unwrap();
    }
    let (code, _, err) = text(&place.command().output().unwrap());
    assert_eq!(code, 1);
    assert!(err.contains("cannot find ratd, ratq beside"), "{err}");
}

#[test]
fn a_bad_settings_file_ends_with_78_and_shows_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new();
    let config = folder.path().join("rat.yaml");
    fs::write(&config, "server:\n  lisen: x\n").unwrap();
    let mut command = Command::new(place.path().join("rat"));
    command
        .args(["dev", "--config"])
        .arg(&config)
        .arg("--dir")
        .arg(folder.path());
    let (code, _, err) = text(&command.env("PATH", "").output().unwrap());
    assert_eq!(code, 78, "{err}");
    assert!(err.contains("rat.yaml:2") && err.contains("lisen"), "{err}");
}

#[test]
fn a_port_in_use_is_told_before_anything_starts() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(place.path().join("rat"));
    command.args([
        "dev",
        "--listen",
        &taken.local_addr().unwrap().to_string(),
        "--dir",
    ]);
    let (code, _, err) = text(&command.arg(place.dir()).env("PATH", "").output().unwrap());
    assert_eq!(code, 1);
    assert!(
        err.contains("cannot listen on 127.0.0.1:") && err.contains("in use"),
        "{err}"
    );
}

#[test]
fn nobody_can_play_a_child_of_a_parent_that_is_not_theirs() {
    let (code, _, err) = text(
        &rat()
            .args(["dev-child", "--parent", "1", "--", "/bin/true"])
            .output()
            .unwrap(),
    );
    assert_eq!((code, err.as_str()), (1, "error: rat dev has ended\n"));
}

#[test]
fn a_plugin_is_started_and_stopped_last_and_what_a_file_leaves_open_is_in_the_folder() {
    let place = Place::new();
    place.program("ratd", &format!("env > $OUT/ratd.env\n{WELL}"));
    place.program(
        "shiny",
        &format!("env > $OUT/shiny.env; echo $@ > $OUT/shiny.args\n{WELL}"),
    );
    let config = place.path().join("my.yaml");
    fs::write(&config, "server:\n  listen: 127.0.0.1:0\n").unwrap();
    let mut command = Command::new(place.path().join("rat"));
    command
        .env("PATH", tools())
        .env("OUT", place.path())
        .args(["dev", "--config"])
        .arg(&config)
        .arg("--dir")
        .arg(place.dir())
        .arg("--plugin")
        .arg(format!("{}/shiny 'a b' c", place.path().display()))
        .stdin(Stdio::null());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    place.wait_all();
    place.pid_of("shiny");
    kill(pid(&child), Signal::SIGTERM).unwrap();
    let (code, _, err) = text(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(read("shiny.args"), "a b c\n");
    assert!(
        read("ratd.env").contains("RAT_DATABASE_URL=sqlite:/"),
        "{}",
        read("ratd.env")
    );
    assert!(!read("shiny.env").contains("RAT_"), "{}", read("shiny.env"));
    assert!(
        read("order").ends_with("ratq\nshiny\n"),
        "{}",
        read("order")
    );
    assert!(err.contains("plugin     │ hello from shiny"), "{err}");
}
