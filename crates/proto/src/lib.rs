//! The gRPC contracts of RAT, compiled from `proto/`, and their conversions to domain types.
//!
//! The only crate that compiles protobuf. Messages stop at [`convert`]: everything behind a gRPC
//! border works with `rat_types`.

pub mod convert;

/// Pipeline execution: `proto/runner/v1/runner.proto`.
#[allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    reason = "generated; documented in the .proto file"
)]
pub mod runner {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("rat.runner.v1");
    }
}

/// Read-only queries: `proto/query/v1/query.proto`.
#[allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    reason = "generated; documented in the .proto file"
)]
pub mod query {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("rat.query.v1");
    }
}

/// The encoded `FileDescriptorSet` of every contract, for reflection and compatibility checks.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rat.bin"));
