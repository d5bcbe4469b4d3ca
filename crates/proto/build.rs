//! Compiles `proto/` with protox: no `protoc` is needed on the machine.

use std::path::PathBuf;

const FILES: [&str; 2] = ["runner/v1/runner.proto", "query/v1/query.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env_dir()?).join("../../proto");
    for file in FILES {
        println!("cargo:rerun-if-changed={}", root.join(file).display());
    }
    let descriptors = protox::compile(FILES, [&root])?;
    tonic_prost_build::configure()
        .file_descriptor_set_path(PathBuf::from(std::env::var("OUT_DIR")?).join("rat.bin"))
        .compile_fds(descriptors)?;
    Ok(())
}

fn env_dir() -> Result<String, std::env::VarError> {
    std::env::var("CARGO_MANIFEST_DIR")
}
