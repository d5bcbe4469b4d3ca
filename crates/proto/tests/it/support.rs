use prost_reflect::DescriptorPool;

/// The contracts as they are now.
pub(crate) fn contracts() -> DescriptorPool {
    DescriptorPool::decode(rat_proto::FILE_DESCRIPTOR_SET).unwrap()
}

/// Whether it is one of ours, and not protobuf's own.
pub(crate) fn is_ours(package: &str) -> bool {
    package.starts_with("rat.")
}
