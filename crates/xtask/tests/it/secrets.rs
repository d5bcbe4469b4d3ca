//! What `services.rat` takes for a secret, and what it takes although it looks like one or like
//! something without effect.

use serde_json::json;

use crate::support::{configured, evaluate, libraries, root, run};

/// Evaluates options of `services.rat`, and what is said beside them.
fn is_taken(options: &str, beside: &str) -> bool {
    let configuration =
        format!("{{ pkgs, ... }}: {{ services.rat = {{ enable = true; {options} }}; {beside} }}");
    for library in libraries() {
        let Some(result) = configured(&format!("({configuration})"), &library, "result") else {
            return false;
        };
        result.unwrap_or_else(|error| panic!("{options} {beside}: {error}"));
    }
    true
}

#[test]
fn names_sound_secret_where_ratd_hides_what_they_hold() {
    let Some(words) = evaluate("(import ./nixos-module/secret.nix).words") else {
        return;
    };
    let words = words.unwrap();
    let source = std::fs::read_to_string(root().join("crates/config/src/dump.rs")).unwrap();
    assert_eq!(words.as_object().unwrap().len(), 3);
    for (list, words) in words.as_object().unwrap() {
        let (_, rest) = source.split_once(&format!("const {list}: ")).unwrap();
        let (_, rest) = rest.split_once("= [").unwrap();
        let (there, _) = rest.split_once(']').unwrap();
        let there: Vec<_> = there.split('"').skip(1).step_by(2).collect();
        assert_eq!(*words, json!(there), "{list}");
    }
}

#[test]
fn what_only_looks_like_a_secret_is_taken() {
    let plugin = |options: &str| {
        format!("plugins.auth = {{ package = pkgs.rat-plugin-auth-keycloak; {options} }};")
    };
    let configs = [
        "client_secret_file = \"/run/credentials/rat-plugin-auth.service/s\";",
        "client_secret = \"/run/secrets/s\"; token_ttl = \"1h 30m\"; tokens = 5; token = null;",
        "token_url = \"https://a.example.org/token\"; client_id = \"a\"; password = \"\";",
        "a_url = \"https://user@a.example.org/x:y@z?sslkey=/k&token_path=b#c:d@e\";",
        "b_url = \"https://user:@[::1]:80\"; c = \"a:b@c\"; d = [ \"https://a:80/b@c\" ];",
    ];
    for config in configs {
        if !is_taken(&plugin(&format!("config = {{ {config} }};")), "") {
            return;
        }
    }
    let said = plugin("config.token_header = \"X\"; notSecret = [ \"token_header\" ];");
    assert!(is_taken(&said, ""));
    assert!(is_taken("settings.auth.token_cache = \"off\";", ""));
    let long = "{ c = builtins.concatStringsSep \"\" (builtins.genList (_: \"a\") 200000); }";
    assert!(is_taken(&plugin(&format!("config = {long};")), ""));
    let database = "database.createLocally = false; settings.database.url = \
                    \"postgres://rat@db.example.org:5432/rat?sslmode=verify-full\";";
    assert!(is_taken(database, ""));
}

#[test]
fn a_credential_may_be_one_that_somebody_added_to_the_unit() {
    let key = "settings.auth.api_key_file = \"k\";";
    for beside in [
        "LoadCredential = [ \"j:/run/j\" \"k:/run/k\" ];",
        "LoadCredentialEncrypted = [ \"k\" ];",
        "SetCredentialEncrypted = \"k: abc\";",
        "ImportCredential = \"k*\";",
    ] {
        let beside = format!("systemd.services.ratd.serviceConfig = {{ {beside} }};");
        if !is_taken(key, &beside) {
            return;
        }
    }
    assert!(is_taken(&format!("credentials.k = \"/run/k\"; {key}"), ""));
    let tls = "plugins.auth = { address = \"https://a.example.org\"; tls = { ca = \"k\"; cert = \"/c\"; }; };";
    assert!(is_taken(
        &format!("apiKeyFile = \"/run/a\"; credentials.k = \"/run/k\"; {tls}"),
        ""
    ));
}

#[test]
fn what_has_an_effect_is_taken() {
    let plugin = "package = pkgs.rat-plugin-auth-keycloak;";
    let on_port = format!("{plugin} address = \"127.0.0.1:50060\";");
    let executor = "runner.enable = false; settings.runner.address = \"127.0.0.1:50052\"; executor.limits.memoryMax = \"1G\";";
    for options in [
        // A plugin that takes its settings, or has none to take.
        format!(
            "plugins.auth = {{ {plugin} config.realm = \"a\"; address = \"unix:/run/a.sock\"; }};"
        ),
        format!("plugins.auth = {{ {on_port} }};"),
        format!("plugins.auth = {{ {on_port} config.realm = \"a\"; sdk = false; }};"),
        "plugins.auth = { address = \"10.0.0.1:1\"; config.realm = \"a\"; };".to_owned(),
        // One that is not enabled is not looked at.
        format!("plugins.auth = {{ {on_port} config.password = \"a\"; enable = false; }};"),
        format!("{executor} plugins.executor = {{ {plugin} }};"),
        "runner.limits.cpuQuota = \"50%\"; executor.limits.memoryMax = \"1G\";".to_owned(),
    ] {
        if !is_taken(&options, "") {
            return;
        }
    }
}

#[test]
fn every_limit_that_is_taken_is_one_for_systemd() {
    let memory = [
        "1",
        "999999999999999999",
        "9999999999K",
        "9999999999G",
        "9999999T",
        "1%",
        "99%",
        "100%",
        "infinity",
    ];
    let cpu = ["1%", "150%", "999999%"];
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("limits");
    std::fs::create_dir_all(&folder).unwrap();
    let lines = memory.map(|limit| ("MemoryMax", limit)).into_iter();
    for (key, limit) in lines.chain(cpu.map(|limit| ("CPUQuota", limit))) {
        let option = match key {
            "MemoryMax" => "memoryMax",
            _ => "cpuQuota",
        };
        if !is_taken(&format!("limits.{option} = \"{limit}\";"), "") {
            return;
        }
        let unit = folder.join("limits.service");
        let text = format!("[Service]\nExecStart=/bin/true\n{key}={limit}\n");
        std::fs::write(&unit, text).unwrap();
        let mut verify = std::process::Command::new("systemd-analyze");
        let Some(output) = run(verify.arg("verify").arg(&unit)) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("limits.service:"), "{key}={limit}: {said}");
    }
}
