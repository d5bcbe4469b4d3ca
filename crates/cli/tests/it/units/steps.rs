//! What is to be done once the files are written.

use std::fs;
use std::path::Path;

use super::{folder, write};

const PLUGIN: &str = "plugins: {auth: {image: a, address: 'unix:/run/rat/plugins/auth.sock'}}";
const START: &str = "systemctl enable --now ratd.socket ratd-internal.socket rat-runner.socket \
                     ratq.socket ratd.service rat-runner.service ratq.service";

/// The steps that are printed, without those that concern where the files are.
fn steps(folder: &Path, settings: &str, arguments: &[&str]) -> Vec<String> {
    let (code, _, err) = write(folder, settings, arguments);
    assert_eq!(code, 0, "{err}");
    let (_, next) = err.split_once("Next, as root:\n").unwrap_or_default();
    let lib = folder.join("lib").display().to_string();
    next.lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.contains(&lib))
        .collect()
}

#[test]
fn units_that_are_not_needed_any_more_are_removed_and_those_of_others_stay() {
    let folder = folder("units-removed");
    let plugin = "plugins: {auth: {image: a, address: 'unix:/run/rat/plugins/auth.sock'}}";
    write(&folder, plugin, &[]);
    let units = folder.join("lib/systemd/system");
    fs::write(units.join("rat-plugin-other.service"), "[Service]\n").unwrap();
    let (code, out, err) = write(&folder, "{}", &[]);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("rat-plugin-"), "{out}");
    let gone = "rat-plugin-auth.service rat-plugin-auth.socket\n";
    for step in ["stop", "disable"] {
        assert!(err.contains(&format!("systemctl {step} {gone}")), "{err}");
    }
    assert!(!units.join("rat-plugin-auth.socket").exists());
    assert!(units.join("rat-plugin-other.service").exists());
}

#[test]
fn the_first_time_nothing_is_restarted() {
    let folder = folder("units-first");
    let found = steps(&folder, PLUGIN, &[]);
    let start = START.replace("ratd.service", "rat-plugin-auth.socket ratd.service");
    assert_eq!(found, ["systemctl daemon-reload", &start]);
}

#[test]
fn where_nothing_has_changed_nothing_is_to_be_done() {
    let folder = folder("units-unchanged");
    write(&folder, PLUGIN, &[]);
    let unit = folder.join("lib/systemd/system/ratd.service");
    let before = fs::metadata(&unit).unwrap().modified().unwrap();
    let (code, out, err) = write(&folder, PLUGIN, &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("ratd.service"), "{out}");
    assert!(
        err.contains("No file has changed.") && !err.contains("Next"),
        "{err}"
    );
    // Else systemd would warn of a file that it has not read.
    assert_eq!(fs::metadata(&unit).unwrap().modified().unwrap(), before);
}

#[test]
fn a_socket_that_moves_is_restarted_and_so_is_who_calls_it() {
    let folder = folder("units-moved");
    write(&folder, "{}", &[]);
    let reload = "systemctl daemon-reload";
    let cases: [(&str, &[&str]); 5] = [
        (
            "server: {listen: '127.0.0.1:8081'}",
            &[
                "systemctl restart ratd.socket  # with their services",
                START,
            ],
        ),
        // Back again, and another one moves.
        (
            "runner: {address: 'unix:/run/rat/other.sock'}",
            &[
                "systemctl restart rat-runner.socket ratd.socket  # with their services",
                START,
            ],
        ),
        (
            "{}",
            &[
                "systemctl restart rat-runner.socket  # with their services",
                START,
                "systemctl try-restart ratd.service",
            ],
        ),
        (
            "server: {internal_socket: 'unix:/run/rat/other.sock'}",
            &[
                "systemctl restart ratd-internal.socket  # with their services",
                START,
                "systemctl try-restart rat-runner.service ratq.service",
            ],
        ),
        (
            "{}",
            &[
                "systemctl restart ratd-internal.socket  # with their services",
                START,
                "systemctl try-restart rat-runner.service ratq.service",
            ],
        ),
    ];
    for (settings, wanted) in cases {
        let found = steps(&folder, settings, &[]);
        assert_eq!(found[0], reload, "{settings}");
        assert_eq!(found[1..], *wanted, "{settings}");
    }
}

#[test]
fn only_what_changed_is_restarted() {
    let folder = folder("units-changed");
    write(&folder, "{}", &[]);
    let start = START.replace("ratd.service", "rat-plugin-auth.socket ratd.service");
    let reload = "systemctl try-reload-or-restart ratd.service";
    // A plugin more: ratd reads of it.
    let found = steps(&folder, PLUGIN, &[]);
    assert_eq!(found[1..], [&start, reload]);
    // Whom it reaches is in its service alone.
    let found = steps(&folder, PLUGIN, &["--network=auth=any"]);
    assert_eq!(
        found[1..],
        [&start, "systemctl try-restart rat-plugin-auth.service"]
    );
    // The socket counts its starts otherwise, which it need not be opened anew for.
    let idle = PLUGIN.replace("}}", ", idle_stop: 1m}}");
    let found = steps(&folder, &idle, &["--network=auth=any"]);
    assert_eq!(
        found[1..],
        [
            &start,
            "systemctl try-restart rat-plugin-auth.service",
            "The daemon-reload is enough for rat-plugin-auth.socket."
        ]
    );
    // It moves, and its service with it.
    let moved = PLUGIN.replace("auth.sock", "other.sock");
    let found = steps(&folder, &moved, &[]);
    assert_eq!(
        found[1..],
        [
            "systemctl restart rat-plugin-auth.socket  # with their services",
            &start,
            reload
        ]
    );
}
