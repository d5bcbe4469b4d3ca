//! Compiles `proto/` with protox: no `protoc` is needed on the machine.

use std::path::PathBuf;

const FILES: [&str; 8] = [
    "auth/v1/auth.proto",
    "cloud/v1/cloud.proto",
    "enforcement/v1/enforcement.proto",
    "executor/v1/executor.proto",
    "plugin/v1/plugin.proto",
    "query/v1/query.proto",
    "runner/v1/runner.proto",
    "sharing/v1/sharing.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    for file in FILES {
        println!("cargo:rerun-if-changed={}", root.join(file).display());
    }
    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(FILES)?;
    let encoded = compiler.encode_file_descriptor_set();
    std::fs::write(
        PathBuf::from(std::env::var("OUT_DIR")?).join("rat.bin"),
        encoded,
    )?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
