//! `services.rat`, evaluated without NixOS: what it makes of configurations, and what it refuses.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{configured, evaluate, libraries, root};

fn examples() -> Vec<String> {
    let folder = root().join("examples/nixos");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| {
        let name = entry.unwrap().file_name();
        format!("./examples/nixos/{}", name.to_str().unwrap())
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The result of a configuration, which has to be the same with every library.
fn result_of(configuration: &str) -> Option<Value> {
    let mut results = Vec::new();
    for library in libraries() {
        let result = configured(configuration, &library, "result")?;
        results.push(result.unwrap_or_else(|error| panic!("{configuration}: {error}")));
    }
    assert!(
        results.windows(2).all(|pair| pair[0] == pair[1]),
        "{configuration}"
    );
    results.pop()
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_examples_become_units() {
    for example in examples() {
        let Some(result) = result_of(&example) else {
            return;
        };
        let units = &result["units"];
        let services: BTreeSet<_> = keys(&units["services"]).into_iter().collect();
        for name in ["ratd", "rat-runner", "ratq"] {
            assert!(services.contains(name), "{example}: {name}");
        }
        let check = result["check"].as_str().unwrap();
        assert!(
            check.contains("/bin/ratd check-config /nix/store/"),
            "{example}: {check}"
        );
    }
}

/// The blocks of Nix in a page, without those that are flakes.
fn snippets(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let blocks = text.split("```nix\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .filter(|block| !block.contains("outputs ="))
        // Somebody's own package.
        .map(|block| {
            block.replace(
                "my-sharing-plugin",
                "{ type = \"derivation\"; name = \"p-1\"; outPath = \"/p\"; }",
            )
        })
        .collect()
}

#[test]
fn the_snippets_of_the_documentation_become_units() {
    let mut seen = 0;
    for page in [
        "README.md",
        "docs/how-to/install-on-nixos.md",
        "docs/reference/units.md",
    ] {
        for snippet in snippets(page) {
            // What a snippet leaves out, the ones before it said.
            let configuration =
                format!("{{ imports = [ {{ services.rat.enable = true; }} ({snippet}) ]; }}");
            if result_of(&configuration).is_none() {
                return;
            }
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen}");
    let readme = snippets("README.md");
    let example = std::fs::read_to_string(root().join("examples/nixos/minimal.nix")).unwrap();
    assert_eq!(readme.len(), 1);
    assert!(
        example.ends_with(&readme[0]),
        "examples/nixos/minimal.nix is the README's snippet"
    );
}

#[test]
fn what_is_wrong_is_refused_with_its_option() {
    let Some(cases) = evaluate(
        "builtins.mapAttrs (_: case: case.message) (import ./nixos-module/tests/refused.nix)",
    ) else {
        return;
    };
    let cases = cases.unwrap();
    assert!(cases.as_object().unwrap().len() >= 250);
    for (name, message) in cases.as_object().unwrap() {
        for library in libraries() {
            let configuration =
                format!("(import ./nixos-module/tests/refused.nix).{name}.configuration");
            let refused = configured(&configuration, &library, "result").unwrap();
            let said = refused.expect_err(name);
            assert!(said.contains(message.as_str().unwrap()), "{name}: {said}");
        }
    }
}

#[test]
fn what_is_next_to_the_refused_is_taken() {
    let cases = [
        // Folders in folders that are refused as such, and ratd's own for its database.
        "storage.path = \"/a\";",
        "storage.path = \"/srv/lake\";",
        "storage.path = \"/var/lib/lake\";",
        "storage.path = \"/var/library\"; settings.runner.temp_dir = \"/mnt/spill\";",
        "runner.enable = false; settings.runner = { address = \"[::1]:1\"; temp_dir = \"/tmp\"; };",
        "database.createLocally = false; settings.database.url = \"sqlite:/var/lib/rat/rat.db\";",
        "database.createLocally = false; settings.database.url = \"sqlite:///srv/rat/rat.db\";",
        // One port on several addresses.
        "settings.runner.address = \"[::1]:8080\"; settings.ratq.address = \"127.0.0.2:8080\";",
        "ratq.enable = false; settings.ratq.address = \"unix:/run/rat/ratq.sock\";",
        "plugins.auth.address = \"https://auth.example.org\";",
        // What anybody may read, and secrets where they belong.
        "settings.catalog.ca_file = \"${builtins.storeDir}/ca.pem\";",
        "credentials.c = \"/run/c\"; database = { createLocally = false; }; settings.database.url_file = \"c\";",
    ];
    for options in cases {
        let configuration = format!("{{ services.rat = {{ enable = true; {options} }}; }}");
        if result_of(&configuration).is_none() {
            return;
        }
    }
}

#[test]
fn whatever_nixos_takes_for_the_folders_of_another_service_is_read() {
    for folders in ["null", "[ ]", "\"\"", "[ \"\" \"other  %S\" ]", "5"] {
        let expression = format!(
            "let lib = import ./nixos-module/tests/lib.nix; in
            builtins.all (one: one.assertion) (import ./nixos-module/refusals/folders.nix {{
              inherit lib;
              config = {{
                services.rat = {{ settings = {{ }}; storage.path = \"/srv/lake\"; }};
                systemd.services.other.serviceConfig.StateDirectory = {folders};
              }};
            }})"
        );
        let Some(taken) = evaluate(&expression) else {
            return;
        };
        assert_eq!(taken.expect(folders), json!(true), "{folders}");
    }
}

#[test]
fn a_credential_is_handed_over_under_its_name_from_whatever_path() {
    let configuration = r#"{
        services.rat = { enable = true; credentials."a.b-c_1@d" = "/run/my secrets/50%:key"; };
    }"#;
    let Some(result) = result_of(configuration) else {
        return;
    };
    // systemd ends the name at the first colon, and takes the rest as it is but for the %.
    let handed = &result["units"]["services"]["ratd"]["serviceConfig"]["LoadCredential"];
    assert_eq!(*handed, json!(["a.b-c_1@d:/run/my secrets/50%%:key"]));
}

#[test]
fn a_plugin_may_reach_what_systemd_knows() {
    let blocks = [
        "localhost",
        "link-local",
        "multicast",
        "0.0.0.0/0",
        "255.255.255.255/32",
        "::",
        "fe80::/10",
        "1:2:3:4:5:6:7:8/128",
        "::ffff:192.0.2.1",
    ];
    let configuration = format!(
        "({{ pkgs, ... }}: {{ services.rat = {{ enable = true; plugins.auth = {{ \
         package = pkgs.rat-plugin-auth-keycloak; network = builtins.fromJSON ''{}''; }}; }}; }})",
        json!(blocks)
    );
    let Some(result) = result_of(&configuration) else {
        return;
    };
    let config = &result["units"]["services"]["rat-plugin-auth"]["serviceConfig"];
    assert_eq!(config["IPAddressAllow"], json!(blocks));
}

#[test]
fn the_firewall_is_opened_for_the_port_of_whatever_others_can_reach() {
    for (listen, port) in [
        ("0.0.0.0:80", 80),
        ("[::]:9000", 9000),
        ("192.0.2.1:65535", 65535),
    ] {
        let configuration = format!(
            "{{ services.rat = {{ enable = true; openFirewall = true; apiKeyFile = \"/run/k\"; \
             settings.server.listen = \"{listen}\"; }}; }}"
        );
        let Some(result) = result_of(&configuration) else {
            return;
        };
        assert_eq!(result["ports"], json!([port]), "{listen}");
        assert_eq!(result["warnings"], json!([]), "{listen}");
    }
    for (listen, is_public) in [
        ("[::]:80", true),
        ("[0::1]:80", false),
        ("[::ffff:127.0.0.1]:80", false),
        ("localhost:80", false),
        ("unix:/run/rat/public.sock", false),
    ] {
        let configuration = format!(
            "{{ services.rat = {{ enable = true; settings.server.listen = \"{listen}\"; }}; }}"
        );
        let result = result_of(&configuration).unwrap();
        let warnings = result["warnings"].as_array().unwrap().len();
        assert_eq!(warnings, usize::from(is_public), "{listen}");
        assert_eq!(result["ports"], json!([]), "{listen}");
    }
}

#[test]
fn every_option_has_a_type_a_description_and_an_example() {
    for library in libraries() {
        let Some(missing) = configured("./examples/nixos/minimal.nix", &library, "undocumented")
        else {
            return;
        };
        assert_eq!(missing.unwrap(), json!([]));
    }
}

#[test]
fn no_change_of_a_service_stops_its_socket() {
    let Some(result) = result_of("./examples/nixos/team.nix") else {
        return;
    };
    for (name, service) in result["units"]["services"].as_object().unwrap() {
        // NixOS stops the socket of a changed service that has this on, and nobody can connect.
        assert_eq!(service["stopIfChanged"], json!(false), "{name}");
    }
}

#[test]
fn descriptors_are_named_as_the_programs_look_for_them() {
    let Some(result) = result_of("./examples/nixos/team.nix") else {
        return;
    };
    let looked_for = [
        ("ratd", "crates/ratd/src/serve.rs"),
        ("ratd-internal", "crates/ratd/src/serve.rs"),
        ("rat-runner", "crates/runner/src/lib.rs"),
        ("ratq", "crates/ratq/src/lib.rs"),
    ];
    for (socket, source) in looked_for {
        let name = &result["units"]["sockets"][socket]["socketConfig"]["FileDescriptorName"];
        assert_eq!(name, socket);
        let source = std::fs::read_to_string(root().join(source)).unwrap();
        assert!(
            source.contains(&format!("SOCKET: &str = \"{socket}\";")),
            "{socket}"
        );
    }
}

#[test]
fn a_plugin_that_is_not_enabled_leaves_nothing() {
    let plugin = |enable: bool| {
        format!(
            "{{ pkgs, ... }}: {{ services.rat = {{ enable = true; plugins.auth = {{ enable = {enable}; \
             package = pkgs.rat-plugin-auth-keycloak; }}; }}; }}"
        )
    };
    let Some(with) = result_of(&format!("({})", plugin(true))) else {
        return;
    };
    assert!(with.to_string().contains("rat-plugin-auth.socket"));
    let without = result_of(&format!("({})", plugin(false))).unwrap();
    for trace in ["rat-plugin-auth", "rat-slot-auth", "plugins/auth"] {
        assert!(!without.to_string().contains(trace), "{trace}");
    }
}

#[test]
fn a_value_of_systemd_services_wins_and_folders_are_added() {
    let configuration = r#"{
        services.rat.enable = true;
        systemd.services.ratd = {
            serviceConfig = { MemoryMax = "1G"; ReadWritePaths = [ "/srv/more" ]; };
            unitConfig = { StartLimitIntervalSec = 10; RequiresMountsFor = [ "/srv/more" ]; };
            description = "Mine";
        };
        systemd.services.rat-runner.environment.TMPDIR = "/srv/tmp";
    }"#;
    // The order of what is merged is the library's affair.
    for library in libraries() {
        let Some(result) = configured(configuration, &library, "result") else {
            return;
        };
        let services = &result.unwrap()["units"]["services"];
        let (ratd, runner) = (&services["ratd"], &services["rat-runner"]);
        assert_eq!(ratd["unitConfig"]["StartLimitIntervalSec"], 10);
        let mounts = ratd["unitConfig"]["RequiresMountsFor"].as_array().unwrap();
        assert_eq!(mounts.len(), 2, "{mounts:?}");
        assert_eq!(ratd["description"], "Mine");
        assert_eq!(runner["environment"]["TMPDIR"], "/srv/tmp");
        let config = &ratd["serviceConfig"];
        assert_eq!(config["MemoryMax"], "1G");
        let folders = config["ReadWritePaths"].as_array().unwrap();
        assert_eq!(folders.len(), 2, "{folders:?}");
        for folder in ["/srv/more", "/var/lib/rat/lake"] {
            assert!(folders.contains(&json!(folder)), "{folders:?}");
        }
        assert_eq!(config["PrivateNetwork"], true, "the rest stays");
    }
}

#[test]
fn folders_elsewhere_are_made_for_who_writes_them_once_they_are_mounted() {
    let configuration = r#"{
        services.rat = {
            enable = true;
            database.createLocally = false;
            storage.path = "/srv/lake";
            settings.database.url = "sqlite:///srv/db/rat.db";
            settings.runner.temp_dir = "/srv/spill";
        };
    }"#;
    let Some(result) = result_of(configuration) else {
        return;
    };
    let units = &result["units"];
    for (folder, user) in [("/srv/db", "ratd"), ("/srv/spill", "rat-runner")] {
        let made = json!({"d": {"mode": "0700", "user": user, "group": user}});
        assert_eq!(units["tmpfiles"][folder], made);
    }
    for (service, folders) in [
        ("ratd", json!(["/srv/lake", "/srv/db"])),
        ("rat-runner", json!(["/srv/lake", "/srv/spill"])),
        ("ratq", json!(["/srv/lake"])),
    ] {
        let unit = &units["services"][service];
        assert_eq!(
            unit["unitConfig"]["RequiresMountsFor"], folders,
            "{service}"
        );
        if service != "ratq" {
            assert_eq!(unit["serviceConfig"]["ReadWritePaths"], folders);
        }
    }
}

#[test]
fn settings_name_secrets_and_the_units_hand_them_over() {
    let Some(result) = result_of("./examples/nixos/elsewhere.nix") else {
        return;
    };
    let settings = result["settings"].to_string();
    assert!(!settings.contains("/var/lib/secrets"), "{settings}");
    assert_eq!(result["settings"]["database"]["url_file"], "database-url");
    let handed = &result["units"]["services"]["ratd"]["serviceConfig"]["LoadCredential"];
    assert_eq!(
        *handed,
        json!([
            "catalog-token:/var/lib/secrets/catalog-token",
            "database-url:/var/lib/secrets/rat-database-url",
            "ratd-key:/var/lib/secrets/ratd-key.pem",
        ])
    );
    assert_eq!(result["postgresql"]["enable"], false);
    assert_eq!(result["ports"], json!([8080]));
}

#[test]
fn a_change_of_plugins_reloads_ratd_and_any_other_change_restarts_what_reads_it() {
    let triggers = |settings: &str| {
        let configuration =
            format!("{{ services.rat = {{ enable = true; settings = {settings}; }}; }}");
        let result = result_of(&configuration)?;
        let of = |service: &str, kind: &str| result["units"]["services"][service][kind].clone();
        Some((
            of("ratd", "restartTriggers"),
            of("ratd", "reloadTriggers"),
            of("ratq", "restartTriggers"),
        ))
    };
    let Some(before) = triggers("{ }") else {
        return;
    };
    let log = triggers("{ log.level = \"debug\"; }").unwrap();
    assert_eq!((&log.0, &log.2), (&before.0, &before.2), "no restart");
    assert_ne!(log.1, before.1, "a reload");
    let runner = triggers("{ runner.slots = 8; }").unwrap();
    assert_ne!(runner.0, before.0);
    assert_eq!(runner.2, before.2, "ratq does not read it");
    let upload = triggers("{ server.upload_limit = \"10GiB\"; }").unwrap();
    assert_ne!(upload.0, before.0);
    assert_eq!(upload.2, before.2, "ratq does not read it");
    let shutdown = triggers("{ server.shutdown_timeout = \"20s\"; }").unwrap();
    assert_ne!(shutdown.2, before.2);
}

#[test]
fn what_is_made_of_the_units_is_up_to_date_and_systemd_has_nothing_to_say() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
    if evaluate("1").is_none() {
        return;
    }
    let output = command.args(["units", "--check"]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_service_reaches_whom_its_settings_need_and_nobody_else() {
    let ratd = |options: &str| {
        let configuration = format!("{{ services.rat = {{ enable = true; {options} }}; }}");
        let config =
            result_of(&configuration)?["units"]["services"]["ratd"]["serviceConfig"].clone();
        let families = config["RestrictAddressFamilies"].as_array().unwrap().len();
        Some((
            config["PrivateNetwork"].clone(),
            config["IPAddressAllow"].clone(),
            families,
        ))
    };
    let nobody = (json!(true), Value::Null, 1);
    let this_machine = (json!(false), json!(["localhost"]), 3);
    let anybody = (json!(false), Value::Null, 3);
    let cases = [
        ("", &nobody),
        ("database.createLocally = false;", &nobody),
        ("settings.server.listen = \"0.0.0.0:8080\";", &nobody),
        (
            "settings.runner.address = \"127.0.0.1:50052\";",
            &this_machine,
        ),
        ("plugins.cloud.address = \"[::1]:50064\";", &this_machine),
        ("plugins.cloud.address = \"10.0.0.1:50064\";", &anybody),
        (
            "plugins.cloud.address = \"https://cloud.example.org:50064\";",
            &anybody,
        ),
        (
            "catalog = { type = \"rest\"; uri = \"https://c.example.org\"; };",
            &anybody,
        ),
        (
            "database = { createLocally = false; urlFile = \"/run/secrets/url\"; };",
            &anybody,
        ),
    ];
    for (options, wanted) in cases {
        let Some(found) = ratd(options) else {
            return;
        };
        assert_eq!(found, *wanted, "{options}");
    }
}

#[test]
fn a_plugin_without_the_sdk_gets_no_option_of_it_and_no_watchdog() {
    let plugin = |sdk: bool| {
        let configuration = format!(
            "({{ pkgs, ... }}: {{ services.rat = {{ enable = true; plugins.auth = {{ sdk = {sdk}; \
             package = pkgs.rat-plugin-auth-keycloak; arguments = [ \"--a b\" ]; }}; }}; }})"
        );
        let result = result_of(&configuration)?;
        Some(result["units"]["services"]["rat-plugin-auth"]["serviceConfig"].clone())
    };
    let Some(with) = plugin(true) else {
        return;
    };
    assert_eq!(
        (&with["Type"], &with["WatchdogSec"]),
        (&json!("notify"), &json!(30))
    );
    let command = with["ExecStart"].as_str().unwrap();
    assert!(
        command.ends_with("keycloak --configure-from ratd \"--a b\""),
        "{command}"
    );
    let without = plugin(false).unwrap();
    assert_eq!(
        (&without["Type"], &without["WatchdogSec"]),
        (&json!("exec"), &Value::Null)
    );
    let command = without["ExecStart"].as_str().unwrap();
    assert!(command.ends_with("keycloak \"--a b\""), "{command}");
}

#[test]
fn what_fails_is_started_again_and_a_refused_configuration_is_not() {
    let Some(result) = result_of("./examples/nixos/team.nix") else {
        return;
    };
    for (name, service) in result["units"]["services"].as_object().unwrap() {
        let config = &service["serviceConfig"];
        if config["Type"] == "oneshot" {
            continue;
        }
        assert_eq!(config["Restart"], "on-failure", "{name}");
        assert_eq!(config["RestartPreventExitStatus"], "2 78", "{name}");
        assert_eq!(service["unitConfig"]["StartLimitIntervalSec"], 0, "{name}");
        assert!(config["RestartSteps"].as_u64().unwrap() > 1, "{name}");
        assert_eq!(config["WatchdogSec"], 30, "{name}");
        assert!(
            !config["MemoryMax"].is_null() && !config["TasksMax"].is_null(),
            "{name}"
        );
    }
}
