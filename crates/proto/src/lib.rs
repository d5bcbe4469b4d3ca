//! The gRPC contracts of RAT, compiled from `proto/`, and their conversions to domain types.
//!
//! The only crate that compiles protobuf. Messages stop at [`convert`]: everything behind a gRPC
//! border works with `rat_types`.

pub mod code;
pub mod convert;

/// One module per package `rat.<name>.v1`.
macro_rules! contracts {
    ($($(#[$doc:meta])+ $name:ident = $package:literal;)+) => {$(
        $(#[$doc])+
        #[allow(
            missing_docs,
            clippy::all,
            unreachable_pub,
            reason = "generated; documented in the .proto file"
        )]
        pub mod $name {
            /// Version 1.
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    )+};
}

contracts! {
    /// Who is calling: `proto/auth/v1/auth.proto`.
    auth = "rat.auth.v1";
    /// Credentials of a cloud: `proto/cloud/v1/cloud.proto`.
    cloud = "rat.cloud.v1";
    /// Who may do what: `proto/enforcement/v1/enforcement.proto`.
    enforcement = "rat.enforcement.v1";
    /// Where runs are executed: `proto/executor/v1/executor.proto`.
    executor = "rat.executor.v1";
    /// What every plugin answers: `proto/plugin/v1/plugin.proto`.
    plugin = "rat.plugin.v1";
    /// Read-only queries: `proto/query/v1/query.proto`.
    query = "rat.query.v1";
    /// Pipeline execution: `proto/runner/v1/runner.proto`.
    runner = "rat.runner.v1";
    /// Grants between users: `proto/sharing/v1/sharing.proto`.
    sharing = "rat.sharing.v1";
}

/// The encoded `FileDescriptorSet` of every contract, for reflection and compatibility checks.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rat.bin"));
