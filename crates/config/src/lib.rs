//! Settings of RAT: `rat.yaml` and `RAT_*` overrides in, validated settings out.

mod address;
mod reference;
mod text;

pub use address::{Address, InvalidAddress, PluginAddress};
pub use reference::{FileReference, InvalidFileReference, resolve_secret_path};
