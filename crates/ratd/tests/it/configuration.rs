use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::support::{Home, ratd, text, wait};

fn code(output: &std::process::Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn a_valid_file_passes_the_check() {
    let home = Home::new();
    let output = ratd()
        .arg("check-config")
        .arg(home.config())
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!((code(&output), stderr.as_str()), (0, ""));
    assert!(stdout.ends_with("rat.yaml: valid\n"), "{stdout}");
}

#[test]
fn every_problem_of_a_bad_file_is_told_with_its_place() {
    let home = Home::new();
    let file = home.path().join("bad.yaml");
    fs::write(
        &file,
        "server:\n  lisetn: x\nlog:\n  level: loud\nrunner: 7\n",
    )
    .unwrap();
    for arguments in [
        ["check-config"].as_slice(),
        &["--config"],
        &["dump-config", "--config"],
    ] {
        let output = ratd().args(arguments).arg(&file).output().unwrap();
        let (stdout, stderr) = text(&output);
        assert_eq!((code(&output), stdout.as_str()), (78, ""), "{arguments:?}");
        for place in ["bad.yaml:2:", "bad.yaml:4:", "bad.yaml:5:"] {
            assert!(stderr.contains(place), "{arguments:?}: {stderr}");
        }
        assert!(
            stderr.lines().all(|line| line.starts_with("ratd: ")),
            "{stderr}"
        );
    }
}

#[test]
fn a_missing_file_is_a_configuration_error() {
    let output = ratd()
        .args(["--config", "/nonexistent/rat.yaml"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 78);
    let (_, stderr) = text(&output);
    assert!(
        stderr.contains("failed to read the settings file /nonexistent/rat.yaml"),
        "{stderr}"
    );
}

#[test]
fn the_file_is_found_by_argument_then_variable_then_folder() {
    let home = Home::new();
    let write = |name: &str, level: &str| {
        let path = home.path().join(name);
        fs::write(&path, format!("log: {{level: {level}}}\n")).unwrap();
        path
    };
    let (argument, variable) = (write("a.yaml", "warn"), write("v.yaml", "error"));
    write("rat.yaml", "debug");
    let level = |command: &mut std::process::Command| {
        let output = command.current_dir(home.path()).output().unwrap();
        let (stdout, _) = text(&output);
        let line = stdout.lines().find(|line| line.starts_with("  level:"));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(level(ratd().arg("dump-config")), "level: debug");
    assert_eq!(
        level(ratd().arg("dump-config").env("RAT_CONFIG", &variable)),
        "level: error"
    );
    let command = &mut ratd();
    command
        .args(["dump-config", "--config"])
        .arg(&argument)
        .env("RAT_CONFIG", &variable);
    assert_eq!(level(command), "level: warn");
    assert_eq!(level(command.env("RAT_LOG_LEVEL", "trace")), "level: trace");
}

#[test]
fn the_schema_is_json_and_the_dump_is_valid_again() {
    let output = ratd().arg("config-schema").output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["title"], "rat.yaml");

    let home = Home::new();
    let dump = ratd()
        .args(["dump-config", "--config"])
        .arg(home.config())
        .output()
        .unwrap();
    let again = home.path().join("again.yaml");
    fs::write(&again, &dump.stdout).unwrap();
    let output = ratd().arg("check-config").arg(&again).output().unwrap();
    assert_eq!(code(&output), 0, "{:?}", text(&output));
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    for arguments in [["--nonsense"].as_slice(), &["check-config"], &["explode"]] {
        assert_eq!(
            code(&ratd().args(arguments).output().unwrap()),
            2,
            "{arguments:?}"
        );
    }
    assert_eq!(code(&ratd().arg("--version").output().unwrap()), 0);
}

#[test]
fn an_empty_api_key_is_refused_rather_than_ignored() {
    let home = Home::new();
    let key = home.path().join("key");
    fs::write(&key, "\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let output = home
        .command()
        .env("RAT_API_KEY_FILE", &key)
        .output()
        .unwrap();
    assert_eq!(code(&output), 78, "{:?}", text(&output));
}

#[test]
fn a_database_that_cannot_be_opened_is_a_failure() {
    let home = Home::new();
    fs::create_dir(home.path().join("folder.db")).unwrap();
    let url = format!("sqlite:{}/folder.db", home.path().display());
    let output = home
        .command()
        .env("RAT_DATABASE_URL", url)
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{:?}", text(&output));
}

#[test]
fn a_database_of_a_newer_ratd_is_left_alone() {
    let home = Home::new();
    let daemon = home.start();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
    wait(async {
        let pool = rat_sql::Pool::open(&home.database()).await.unwrap();
        let sql = "INSERT INTO rat_migrations
                   SELECT version + 1, '9999_future', checksum, version + 1, applied_at
                   FROM rat_migrations ORDER BY version DESC LIMIT 1";
        pool.execute(rat_sql::Query::new(sql, Vec::new()))
            .await
            .unwrap();
        pool.close().await;
    });
    let output = home.command().output().unwrap();
    assert_eq!(code(&output), 78, "{:?}", text(&output));
}
