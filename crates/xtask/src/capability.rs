//! What this machine has that some tests need, and how those tests are told.
//!
//! A test group whose prerequisite is missing prints `SKIPPED` and returns; `cargo xtask test`
//! names it again at the end, and `--require-all` turns it into a failure.

mod keycloak;
mod oidc_provider;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo::say;

/// A prerequisite, found or not.
pub(crate) struct Capability {
    /// The tests that need it.
    pub tests: &'static str,
    /// Environment variables by which those tests find it.
    pub environment: Vec<(String, String)>,
    /// Why they are left out, and what to do.
    pub problem: Option<String>,
}

/// Looks for every prerequisite.
pub(crate) fn detect(root: &Path) -> Result<Vec<Capability>> {
    Ok(vec![
        postgres(),
        postgres_programs(),
        python(root)?,
        keycloak::find(root),
        oidc_provider::find(root),
        nix(),
        machines(),
    ])
}

fn postgres() -> Capability {
    let found = std::env::var_os("RAT_TEST_POSTGRES_URL").is_some() || has_postgres_programs();
    Capability {
        tests: "the store on PostgreSQL",
        environment: Vec::new(),
        problem: (!found).then(|| {
            "no PostgreSQL server programs: install the package `postgresql`, or set RAT_TEST_POSTGRES_URL"
                .to_owned()
        }),
    }
}

/// Scenarios are no tests of cargo's: they come after them.
fn machines() -> Capability {
    Capability {
        tests: "the scenarios on booted machines (`cargo xtask vm`)",
        environment: Vec::new(),
        problem: crate::vm::problem(),
    }
}

/// Some tests start a server with settings of their own, whatever other server there is.
fn postgres_programs() -> Capability {
    Capability {
        tests: "TLS to PostgreSQL",
        environment: Vec::new(),
        problem: (!has_postgres_programs())
            .then(|| "no PostgreSQL server programs: install the package `postgresql`".to_owned()),
    }
}

fn has_postgres_programs() -> bool {
    find_program("initdb").is_some() && find_program("postgres").is_some()
}

/// What evaluates the NixOS module, and what judges its units.
fn nix() -> Capability {
    let wanted = [
        ("nix", "nix-bin"),
        ("nix-instantiate", "nix-bin"),
        ("systemd-analyze", "systemd"),
        ("git", "git"),
    ];
    let missing = wanted
        .iter()
        .find(|(program, _)| find_program(program).is_none());
    Capability {
        tests: "the NixOS module, its units and the flake",
        environment: Vec::new(),
        problem: missing
            .map(|(program, package)| format!("no {program}: install the package `{package}`")),
    }
}

/// Finds a program on PATH, or one of PostgreSQL where Debian puts it.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"));
    std::env::split_paths(&path)
        .chain(debian)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// What the tests and the example in Python need.
const REQUIREMENTS: [&str; 2] = [
    "crates/acceptance/python/requirements.txt",
    "examples/plugins/auth-static-python/requirements.txt",
];

/// PyIceberg, DuckDB and grpcio in a virtual environment of the tests' own, made on first use.
fn python(root: &Path) -> Result<Capability> {
    let tests = "interoperability with PyIceberg and DuckDB, the plugin in Python";
    let requirements = REQUIREMENTS.map(|file| root.join(file));
    let folder = root.join("target/acceptance-venv");
    let interpreter = folder.join("bin/python");
    let mut wanted = String::new();
    for file in &requirements {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("failed to read {}", file.display()))?;
        wanted.push_str(&text);
    }
    let stamp = folder.join("installed.txt");
    let problem = if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        None
    } else {
        say("installing PyIceberg, DuckDB and grpcio for the tests in Python");
        match install(&folder, &interpreter, &requirements) {
            Ok(()) => {
                std::fs::write(&stamp, &wanted).context("failed to write the venv's stamp")?;
                None
            }
            Err(error) => Some(format!("{error:#}")),
        }
    };
    let environment = match problem {
        None => vec![("RAT_TEST_PYTHON".into(), interpreter.display().to_string())],
        Some(_) => Vec::new(),
    };
    Ok(Capability {
        tests,
        environment,
        problem,
    })
}

fn install(folder: &Path, interpreter: &Path, requirements: &[PathBuf]) -> Result<()> {
    quiet(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder),
    )
    .context("python3 with the venv module is needed")?;
    quiet(
        Command::new(interpreter)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(requirements.iter().flat_map(|file| [Path::new("-r"), file])),
    )
    .context("PyIceberg, DuckDB and grpcio could not be installed from PyPI")
}

fn quiet(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("failed to start it")?;
    anyhow::ensure!(
        output.status.success(),
        "it ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .lines()
            .last()
            .unwrap_or_default()
    );
    Ok(())
}
