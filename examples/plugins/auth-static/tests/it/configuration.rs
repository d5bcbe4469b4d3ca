use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{AUTHENTICATE, Home, post, run};

const CONFIGURE: &str = "/rat.plugin.v1.PluginService/Configure";

fn refused(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_bad_configuration_is_exit_code_78_with_every_mistake() {
    let home = Home::new();
    home.write(
        "tokens.yaml",
        "tokens: {a-token-nobody-may-see: {user: x}, b: 3}\ntoken_file: [1]\nmore: {}\n",
    );
    for command in [
        &mut home.listening(),
        home.command()
            .args(["check-config", "--config", "tokens.yaml"]),
    ] {
        let told = refused(command);
        for expected in [
            "user: unknown key; possible here: email, roles, user_id",
            "user_id: is missing",
            "tokens.(a key of 1 characters): must be a mapping",
            "token_file: must be a string",
            "more: unknown key; possible here: cache_seconds, token_file, tokens",
        ] {
            assert!(told.contains(expected), "{expected} in {told}");
        }
        assert!(!told.contains("nobody-may-see"), "{told}");
    }
    assert!(!home.socket().exists());
}

#[test]
fn what_the_plugin_itself_refuses_is_exit_code_78() {
    let home = Home::new();
    home.write("tokens.yaml", "tokens: {'sha256:beef': {user_id: x}}");
    let told = refused(&mut home.listening());
    assert!(
        told.contains("tokens: sha256: needs 64 hex digits after it"),
        "{told}"
    );
    home.write("tokens.yaml", "token_file: missing.yaml");
    let told = refused(&mut home.listening());
    assert!(
        told.contains("token_file: failed to read missing.yaml"),
        "{told}"
    );
}

#[test]
fn nowhere_to_listen_is_exit_code_78_and_a_wrong_option_2() {
    let home = Home::new();
    assert!(refused(&mut home.command()).contains("--listen"));
    for option in ["--listen=x", "--nonsense", "--idle-stop=soon"] {
        let output = run(home.command().arg(option));
        assert_eq!(output.status.code(), Some(2), "{option}");
    }
}

#[test]
fn the_schema_is_printed() {
    let home = Home::new();
    let output = run(home.command().arg("config-schema"));
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        schema["properties"]["token_file"]["type"],
        json!(["string", "null"])
    );
}

#[test]
fn the_environment_is_over_the_file_and_the_file_over_ratd() {
    let home = Home::new();
    home.write("more.yaml", "from-file: {user_id: bob}\n");
    home.write("other.yaml", "from-environment: {user_id: carol}\n");
    home.write("tokens.yaml", "token_file: more.yaml\n");
    let log = fs::File::create(home.path("log")).unwrap();
    let mut command = home.listening();
    command
        .env("AUTH_STATIC_TOKEN_FILE", "other.yaml")
        .args(["--log-format", "json"])
        .stderr(log);
    let _plugin = crate::support::Process::spawn(&mut command);
    crate::support::wait_for("the plugin answers", || {
        post(&home.socket(), AUTHENTICATE, "{}").is_ok()
    });
    let config = json!({"token_file": "/from/ratd", "tokens": {"from-ratd": {"user_id": "dora"}}});
    let request = json!({"config": config.to_string()}).to_string();
    let (status, answer) = post(&home.socket(), CONFIGURE, &request).unwrap();
    assert_eq!(status, 200, "{answer}");
    let who = |token: &str| {
        let request = json!({"token": token}).to_string();
        post(&home.socket(), AUTHENTICATE, &request).unwrap().1["userId"].clone()
    };
    assert_eq!(who("from-environment"), "carol");
    assert_eq!(who("from-ratd"), "dora");
    assert_eq!(who("from-file"), Value::Null);
    let log = fs::read_to_string(home.path("log")).unwrap();
    let differences: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"] == "two sources of the configuration differ")
        .collect();
    assert!(differences.len() >= 3, "{log}");
    assert!(
        differences.iter().all(|line| line["key"] == "token_file"),
        "{log}"
    );
    assert!(
        !log.contains("more.yaml") && !log.contains("/from/ratd"),
        "{log}"
    );
}

#[test]
fn the_hash_of_a_token_does_as_well() {
    let home = Home::new();
    let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    home.write(
        "tokens.yaml",
        &format!("tokens: {{'sha256:{hash}': {{user_id: bob}}}}"),
    );
    let _plugin = home.start();
    let who = |token: &str| {
        let request = json!({"token": token}).to_string();
        post(&home.socket(), AUTHENTICATE, &request).unwrap()
    };
    assert_eq!(who("secret").1["userId"], "bob");
    // The hash itself opens nothing.
    assert_eq!(who(hash).0, 401);
    assert_eq!(who(&format!("sha256:{hash}")).0, 401);
}

#[test]
fn the_settings_of_ratd_beside_it_configure_the_plugin() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/rat.yaml");
    let text = fs::read_to_string(file).unwrap();
    let settings = rat_config::Settings::load(Some(("rat.yaml", &text)), &BTreeMap::new()).unwrap();
    let plugin = &settings.plugins[&rat_config::Slot::Auth];
    assert_eq!(plugin.name.as_str(), "auth-static");

    let home = Home::new();
    home.write("tokens.yaml", "{}");
    let _plugin = home.start();
    let config = Value::from(plugin.config.values().clone()).to_string();
    let request = json!({"config": config}).to_string();
    let (status, answer) = post(&home.socket(), CONFIGURE, &request).unwrap();
    assert_eq!(status, 200, "{answer}");
    for (token, user) in [("let-me-in", "alice"), ("s3cret", "bob")] {
        let request = json!({"token": token}).to_string();
        let (_, answer) = post(&home.socket(), AUTHENTICATE, &request).unwrap();
        assert_eq!(answer["userId"], user);
    }
}

#[test]
fn an_answer_may_be_kept_as_long_as_the_configuration_says() {
    let home = Home::new();
    home.write(
        "tokens.yaml",
        "tokens: {t: {user_id: bob}}\ncache_seconds: 60",
    );
    let _plugin = home.start();
    let (_, answer) = post(&home.socket(), AUTHENTICATE, r#"{"token": "t"}"#).unwrap();
    let expires: u64 = answer["expiresAt"].as_str().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(
        (now + 50..=now + 60).contains(&expires),
        "{expires} at {now}"
    );
}

#[test]
fn over_tcp_nobody_configures_the_plugin() {
    let home = Home::new();
    let mut command = home.command();
    command.args(["--listen", "127.0.0.1:0", "--config", "tokens.yaml"]);
    command.stderr(std::process::Stdio::piped());
    let mut plugin = command.spawn().unwrap();
    let log = std::io::BufReader::new(plugin.stderr.take().unwrap());
    let _plugin = crate::support::Process::from(plugin);
    let address = std::io::BufRead::lines(log)
        .find_map(|line| Some(line.unwrap().split_once("address=")?.1.to_owned()))
        .unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = json!({"config": "{}"}).to_string();
    let head = crate::support::head(CONFIGURE, request.len());
    std::io::Write::write_all(&mut stream, (head + &request).as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn a_file_is_read_again_on_sighup() {
    let home = Home::new();
    let plugin = home.start();
    let who = || {
        let answer = post(&home.socket(), AUTHENTICATE, r#"{"token": "later"}"#);
        answer.unwrap().1["userId"].clone()
    };
    assert_eq!(who(), Value::Null);
    // One that is not valid changes nothing.
    home.write("tokens.yaml", "tokens: [");
    plugin.signal(nix::sys::signal::Signal::SIGHUP);
    let (status, _) = post(&home.socket(), AUTHENTICATE, r#"{"token": "let-me-in"}"#).unwrap();
    assert_eq!(status, 200);
    home.write("tokens.yaml", "tokens: {later: {user_id: dora}}");
    crate::support::wait_for("the file is read", || {
        plugin.signal(nix::sys::signal::Signal::SIGHUP);
        who() == "dora"
    });
}
