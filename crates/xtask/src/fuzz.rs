//! `cargo xtask fuzz`: libFuzzer on the stable toolchain, without a sanitizer.
//!
//! What guides it is LLVM's coverage pass, which rustc takes on every channel; there is no unsafe code
//! of ours that a sanitizer would watch. The targets are tests (bolero), so that their corpus is gone
//! through by every `cargo test`, too.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// Package, test and name of its corpus.
const TARGETS: [(&str, &str, &str); 3] = [
    (
        "rat-plugin-auth-keycloak",
        "fuzz::no_token_makes_the_plugin_panic_or_lie",
        "token",
    ),
    (
        "rat-plugin-auth-keycloak",
        "fuzz::no_set_of_keys_makes_the_plugin_panic_or_believe",
        "keys",
    ),
    (
        "rat-plugin-auth-keycloak",
        "fuzz::json_is_what_others_take_it_for_or_refused",
        "json",
    ),
];
const CORPUS: &str = "crates/plugin-auth-keycloak/src/__fuzz__";
/// Coverage for libFuzzer, and the checks of a debug build.
const FLAGS: &str = "--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";
/// More than a token may have.
const MAX_LENGTH: usize = 20_000;
/// Seconds that no input takes.
const SLOWEST: u32 = 10;
const MEMORY_MIB: u32 = 2048;

/// Looks for `seconds` at the target with this corpus, or at each of them in turn.
pub(crate) fn fuzz(name: Option<&str>, seconds: u64) -> Result<()> {
    let root = cargo::root();
    let chosen: Vec<_> = TARGETS
        .iter()
        .filter(|target| name.is_none_or(|name| target.2 == name))
        .collect();
    ensure!(
        !chosen.is_empty(),
        "there is no target {}",
        name.unwrap_or_default()
    );
    for (package, test, corpus) in chosen {
        run(&root, package, test, corpus, seconds)?;
    }
    Ok(())
}

fn run(root: &Path, package: &str, test: &str, corpus: &str, seconds: u64) -> Result<()> {
    let folder = root.join("target/fuzz");
    // What is found goes here; what is worth it is moved to the committed one by hand.
    let found = folder.join("corpus").join(corpus);
    std::fs::create_dir_all(&found).context("failed to make a folder for the corpus")?;
    let committed = root.join(CORPUS).join(corpus).join("corpus");
    let arguments = format!(
        "{} {} -max_total_time={seconds} -max_len={MAX_LENGTH} -timeout={SLOWEST} \
         -rss_limit_mb={MEMORY_MIB} -print_final_stats=1 -artifact_prefix={}/{corpus}-",
        found.display(),
        committed.display(),
        folder.display(),
    );
    let host = cargo::host()?;
    let command = [
        // With a target of its own, so that what only runs while compiling is left as it is.
        "test",
        "--release",
        "--lib",
        "--target",
        &host,
        "-p",
        package,
        "--",
        "--exact",
        "--nocapture",
        test,
    ];
    let environment = [
        ("RUSTFLAGS", FLAGS.to_owned()),
        (
            "CARGO_TARGET_DIR",
            folder.join("build").display().to_string(),
        ),
        ("BOLERO_LIBFUZZER_ARGS", arguments),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    cargo::run_with(command.map(str::to_owned), &environment)
        .with_context(|| format!("{corpus}: what broke it is in {}", folder.display()))
}
