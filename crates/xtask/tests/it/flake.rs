//! The flake, evaluated to its last derivation with a stand-in for nixpkgs.

use std::process::Command;

use crate::support::{root, run};

/// Nix with a store of its own, in which nothing is built.
fn nix(name: &str) -> Command {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new("nix");
    command
        .env("NIX_STORE_DIR", folder.join("store"))
        .env("NIX_STATE_DIR", folder.join("state"))
        .env("NIX_LOCALSTATE_DIR", folder.join("state"))
        .env("NIX_LOG_DIR", folder.join("log"))
        .env("NIX_CONF_DIR", folder.join("conf"))
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env(
            "NIX_CONFIG",
            "experimental-features = nix-command flakes\nbuild-users-group =\nsubstituters =\n\
             flake-registry =\nwarn-dirty = false\n",
        );
    command
}

const STAND_IN: [&str; 5] = [
    "--no-write-lock-file",
    "--override-input",
    "nixpkgs",
    "path:./nixos-module/tests",
    ".",
];

#[test]
fn every_output_evaluates() {
    let mut check = nix("flake-check");
    check.args(["flake", "check", "--no-build"]).args(STAND_IN);
    let Some(output) = run(&mut check) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn there_is_a_package_for_each_program_on_both_systems() {
    let mut show = nix("flake-show");
    show.args(["flake", "show", "--json"]).args(STAND_IN);
    let Some(output) = run(&mut show) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for system in ["x86_64-linux", "aarch64-linux"] {
        for name in [
            "default",
            "ratd",
            "rat-runner",
            "ratq",
            "rat-plugin-auth-keycloak",
        ] {
            assert_eq!(
                shown["packages"][system][name]["type"], "derivation",
                "{system} {name}"
            );
        }
        assert_eq!(shown["apps"][system]["default"]["type"], "app", "{system}");
    }
}

#[test]
fn there_is_one_input_and_the_lock_names_it() {
    let lock = std::fs::read_to_string(root().join("flake.lock")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    let inputs = lock["nodes"]["root"]["inputs"].as_object().unwrap();
    assert_eq!(inputs.keys().collect::<Vec<_>>(), ["nixpkgs"]);
    assert_eq!(lock["nodes"]["nixpkgs"]["original"]["ref"], "nixos-26.05");
    let flake = std::fs::read_to_string(root().join("flake.nix")).unwrap();
    assert!(flake.contains("nixpkgs.url = \"github:NixOS/nixpkgs/nixos-26.05\""));
}
