//! `rat units`: the units of the NixOS module, for machines without NixOS.

mod refused;
mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{rat, run};

/// A machine: its rat.yaml, what is said in the call, and the same for `units.nix`.
struct Machine {
    settings: &'static str,
    arguments: &'static [&'static str],
    /// Plugins that run on it, as `units.nix` takes them, without their programs.
    plugins: Value,
    /// Names of their programs, by slot.
    programs: &'static [(&'static str, &'static str)],
    credentials: Value,
    database_unit: Option<&'static str>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            settings: "{}",
            arguments: &[],
            plugins: json!({}),
            programs: &[],
            credentials: json!({}),
            database_unit: None,
        }
    }
}

fn machines() -> Vec<Machine> {
    vec![
        Machine::default(),
        Machine {
            settings: "
auth: {api_key_file: api-key}
database: {url: 'postgres://ratd@%2Frun%2Fpostgresql/ratd'}
plugins:
  auth:
    image: ghcr.io/squat-collective/auth-keycloak:latest
    address: unix:/run/rat/plugins/auth.sock
  sharing: {image: sharing, address: 'unix:/run/rat/plugins/sharing.sock', idle_stop: 1h 30m, config: {table: grants}}
",
            arguments: &[
                "--network=auth=192.0.2.0/24",
                "--network=auth=127.0.0.53",
                "--credential=auth:z=/etc/z",
                "--credential=auth:a=/etc/a",
            ],
            plugins: json!({
                "auth": {
                    "network": ["192.0.2.0/24", "127.0.0.53"],
                    "credentials": {"a": "/etc/a", "z": "/etc/z"},
                },
                "sharing": {},
            }),
            programs: &[("auth", "rat-plugin-auth-keycloak"), ("sharing", "rat-plugin-sharing")],
            credentials: json!({"api-key": "/etc/credstore/api-key"}),
            database_unit: Some("postgresql.service"),
        },
        Machine {
            settings: "
server: {listen: '[::]:8080', internal_socket: '127.0.0.1:8090'}
storage: {url: 'file:///srv/lake'}
database: {url: 'sqlite:/srv/db/rat.db'}
runner: {address: 'localhost:50052', temp_dir: /srv/spill}
ratq: {address: '[::1]:50051'}
plugins:
  executor: {image: one, address: '127.0.0.1:50061', idle_stop: 10m}
  cloud: {image: two, address: 'https://cloud.example.org:50064', tls: {ca: cloud-ca, cert: /c, key: k}}
",
            arguments: &["--network=executor=any", "--credential=k=/etc/k"],
            plugins: json!({"executor": {"network": ["any"]}}),
            programs: &[("executor", "rat-plugin-one")],
            credentials: json!({"cloud-ca": "/etc/credstore/cloud-ca", "k": "/etc/k"}),
            ..Machine::default()
        },
        Machine {
            settings: "
server: {listen: 'unix:/run/rat/public.sock'}
database: {url_file: database-url}
catalog: {type: rest, uri: 'https://catalog.example.org', token_file: token}
plugins:
  auth: {image: auth, address: 'auth.example.org:50060'}
",
            credentials: json!({
                "database-url": "/etc/credstore/database-url",
                "token": "/etc/credstore/token",
            }),
            ..Machine::default()
        },
        // Plugins that are not built on the SDK, in each network.
        Machine {
            settings: "
plugins:
  auth: {image: auth, address: 'unix:/run/rat/plugins/auth.sock'}
  sharing: {image: sharing, address: '127.0.0.1:50062', config: {table: grants}}
  cloud: {image: cloud, address: 'unix:/run/rat/plugins/cloud.sock'}
",
            arguments: &[
                "--without-sdk=auth",
                "--without-sdk=sharing",
                "--without-sdk=cloud",
                "--network=cloud=any",
                "--credential=auth:key=/etc/key",
            ],
            plugins: json!({
                "auth": {"sdk": false, "credentials": {"key": "/etc/key"}},
                "sharing": {"sdk": false},
                "cloud": {"sdk": false, "network": ["any"]},
            }),
            programs: &[
                ("auth", "rat-plugin-auth"),
                ("sharing", "rat-plugin-sharing"),
                ("cloud", "rat-plugin-cloud"),
            ],
            ..Machine::default()
        },
        // Paths that look like blanks of the templates.
        Machine {
            settings: "
auth: {api_key_file: api-key}
storage: {url: 'file:///srv/@slot@/lake'}
database: {url: 'sqlite:/srv/@spill@/@config@/rat.db'}
runner: {temp_dir: /srv/@lake@}
plugins:
  auth: {image: auth, address: 'unix:/run/@slot@/@listen@'}
  sharing: {image: sharing, address: 'unix:/run/rat/plugins/sharing.sock'}
",
            arguments: &[
                "--credential=api-key=/etc/@credential@/@programs@",
                "--credential=auth:@credential_file@=/etc/@slot@",
            ],
            plugins: json!({
                "auth": {"credentials": {"@credential_file@": "/etc/@slot@"}},
                "sharing": {},
            }),
            programs: &[("auth", "rat-plugin-auth"), ("sharing", "rat-plugin-sharing")],
            credentials: json!({"api-key": "/etc/@credential@/@programs@"}),
            ..Machine::default()
        },
        Machine {
            settings: "database: {url: 'postgres://ratd@127.0.0.1:5432/ratd'}",
            database_unit: Some("postgresql.service"),
            ..Machine::default()
        },
        Machine {
            settings: "database: {url: 'postgres://ratd@db.example.org/ratd'}",
            ..Machine::default()
        },
    ]
}

/// A folder that no other test uses; not in /tmp, which units do not see.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}

fn write(folder: &Path, settings: &str, arguments: &[&str]) -> (i32, String, String) {
    let config = folder.join("rat.yaml");
    fs::write(&config, settings).unwrap();
    let mut command = rat();
    command
        .args(["units", "--config"])
        .arg(config)
        .arg("--prefix")
        .arg(folder);
    run(command.args(arguments))
}

/// Every file below PREFIX/lib, by path, without its first line.
fn written(folder: &Path) -> BTreeMap<String, String> {
    let lib = folder.join("lib");
    let mut files = BTreeMap::new();
    for part in ["systemd/system", "sysusers.d", "tmpfiles.d"] {
        for entry in fs::read_dir(lib.join(part)).unwrap() {
            let file = entry.unwrap().path();
            let text = fs::read_to_string(&file).unwrap();
            let (mark, rest) = text.split_once('\n').unwrap();
            assert!(mark.starts_with("# Written by `rat units`"), "{mark}");
            let name = file.strip_prefix(&lib).unwrap().to_str().unwrap();
            files.insert(
                name.trim_start_matches("systemd/").to_owned(),
                rest.to_owned(),
            );
        }
    }
    files
}

/// What `units.nix` makes of the same; `None` where there is no Nix.
fn of_nix(folder: &Path, machine: &Machine) -> Option<BTreeMap<String, String>> {
    let programs = folder.join("bin");
    let mut plugins = machine.plugins.clone();
    for (slot, program) in machine.programs {
        plugins[slot]["program"] = json!(programs.join(program));
    }
    let settings: Value = serde_yaml::from_str(machine.settings).unwrap();
    let input = json!({
        "settings": settings,
        "configFile": folder.join("rat.yaml"),
        "databaseUnit": machine.database_unit,
        "credentials": machine.credentials,
        "plugins": plugins,
        "programs": {
            "ratd": programs.join("ratd"),
            "runner": programs.join("rat-runner"),
            "ratq": programs.join("ratq"),
        },
    });
    let file = folder.join("input.json");
    fs::write(&file, input.to_string()).unwrap();
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos-module");
    let (module, file) = (module.canonicalize().unwrap(), file.display());
    let module = module.display();
    let expression = format!(
        "import {module}/text.nix (import {module}/units.nix (builtins.fromJSON (builtins.readFile {file})))"
    );
    let nix = Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--json", "--expr", &expression])
        .output();
    let output = match nix {
        Ok(output) => output,
        Err(error) => {
            let missing = "units as units.nix makes them";
            assert!(
                std::env::var_os("RAT_REQUIRE_ALL").is_none(),
                "{missing}: nix-instantiate: {error}"
            );
            skipped(missing, &error);
            return None;
        }
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[expect(
    clippy::print_stderr,
    reason = "what is left out is said where the tests say everything"
)]
fn skipped(what: &str, error: &std::io::Error) {
    eprintln!("SKIPPED: {what}: nix-instantiate: {error}");
}

#[test]
fn the_units_are_those_that_units_nix_makes_of_the_same_settings() {
    for (index, machine) in machines().iter().enumerate() {
        let folder = folder(&format!("units-{index}"));
        let (code, _, err) = write(&folder, machine.settings, machine.arguments);
        assert_eq!(code, 0, "{index}: {err}");
        let written = written(&folder);
        for (name, text) in &written {
            for word in text.split(['=', '/', ' ', '"', '\n', ':']) {
                let is_said = machine.settings.contains(word)
                    || machine.arguments.iter().any(|said| said.contains(word));
                let is_blank =
                    word.len() > 1 && word.starts_with('@') && word.ends_with('@') && !is_said;
                assert!(
                    !is_blank && word != "192.0.2.1",
                    "{index}: {name}: {word}\n{text}"
                );
            }
        }
        let Some(wanted) = of_nix(&folder, machine) else {
            return;
        };
        let names: Vec<_> = written.keys().collect();
        assert_eq!(names, wanted.keys().collect::<Vec<_>>(), "{index}");
        for (name, text) in &written {
            assert_eq!(text, &wanted[name], "{index}: {name}");
        }
    }
}

#[test]
fn a_unit_that_somebody_else_wrote_is_not_replaced() {
    let folder = folder("units-foreign");
    let units = folder.join("lib/systemd/system");
    fs::create_dir_all(&units).unwrap();
    fs::write(units.join("ratd.service"), "[Service]\n").unwrap();
    let (code, out, err) = write(&folder, "{}", &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("ratd.service exists and was not written by `rat units`"),
        "{err}"
    );
    assert_eq!(
        fs::read_dir(&units).unwrap().count(),
        1,
        "nothing else was written"
    );
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = folder("manual");
    let (code, _, err) = run(rat().arg("man").arg(folder.join("man1")));
    assert_eq!(code, 0, "{err}");
    let page = fs::read_to_string(folder.join("man1/rat-units.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("systemd"), "{page}");
    assert!(folder.join("man1/rat.1").exists());
}
