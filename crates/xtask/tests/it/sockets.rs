//! The service that moves sockets, with a `systemctl` that reads addresses from files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::evaluate;

const SYSTEMCTL: &str = "#!/bin/sh\n\
    case $1 in\n\
    show) for unit; do :; done; read -r address < listen/$unit; echo \"$address\" ;;\n\
    try-restart) echo \"$@\" >> restarted ;;\n\
    esac\n";

/// The script of the service, as systemd hands it to the shell.
fn script() -> Option<String> {
    let command = evaluate("(import ./nixos-module/sockets.nix { }).serviceConfig.ExecReload")?;
    let command = command.unwrap();
    let quoted = command.as_str().unwrap().strip_prefix("/bin/sh -c ");
    let mut words = serde_json::Deserializer::from_str(quoted.unwrap()).into_iter::<Value>();
    let word = words.next().unwrap().unwrap();
    Some(word.as_str().unwrap().replace("$$", "$").replace("%%", "%"))
}

/// A machine with these sockets, at these places below `folder`, after the service was reloaded.
fn switch(folder: &Path, script: &str, sockets: &[(&str, &str)]) {
    for (unit, place) in sockets {
        let address = folder.join(place).display().to_string();
        fs::write(
            folder.join("listen").join(unit),
            format!("{address} (Stream)\n"),
        )
        .unwrap();
        fs::write(address, "").unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    let status = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .args(sockets.iter().map(|(unit, _)| unit))
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("RUNTIME_DIRECTORY", folder.join("run"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn sockets_that_move_are_restarted_at_once_and_leave_nothing_where_they_were() {
    let Some(script) = script() else {
        return;
    };
    let machine = tempfile::tempdir().unwrap();
    let folder = machine.path();
    let restarted = || fs::read_to_string(folder.join("restarted")).unwrap_or_default();
    for name in ["listen", "run"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let systemctl = folder.join("systemctl");
    fs::write(&systemctl, SYSTEMCTL).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();

    switch(
        folder,
        &script,
        &[("auth.socket", "a"), ("ratd.socket", "r")],
    );
    assert_eq!(restarted(), "", "what is new has not moved");
    switch(
        folder,
        &script,
        &[("auth.socket", "b"), ("ratd.socket", "r")],
    );
    assert_eq!(restarted(), "try-restart auth.socket\n");
    assert!(!folder.join("a").exists(), "nobody listens there");

    // One goes, another takes its place, and the first comes back elsewhere.
    switch(folder, &script, &[("ratd.socket", "r")]);
    switch(
        folder,
        &script,
        &[("cloud.socket", "b"), ("ratd.socket", "r")],
    );
    let all = [
        ("auth.socket", "c"),
        ("cloud.socket", "b"),
        ("ratd.socket", "r"),
    ];
    switch(folder, &script, &all);
    assert!(folder.join("b").exists(), "it is another's now");
    assert_eq!(restarted(), "try-restart auth.socket\n");

    let moved = [
        ("auth.socket", "d"),
        ("cloud.socket", "b"),
        ("ratd.socket", "s"),
    ];
    switch(folder, &script, &moved);
    assert!(restarted().ends_with("try-restart auth.socket ratd.socket\n"));
    switch(folder, &script, &moved);
    assert_eq!(restarted().lines().count(), 2, "each moves once");
}
