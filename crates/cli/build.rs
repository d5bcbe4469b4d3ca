//! The example project is part of the program: when it changes, the program has to be built again.

fn main() {
    println!("cargo:rerun-if-changed=../../examples/tpch");
}
