//! RAT as its users meet it: real processes, real sockets, real files.
//!
//! [`Stack`] starts `ratd`, `rat-runner` and `ratq` in a private folder, each of which a test may
//! kill and start again; [`ControlPlane`] is ratd alone, and [`AuthPlugin`] the plugin of the
//! examples. The tests in `tests/it` and the benchmark program are built on them. It knows nothing
//! about the crates inside: what it cannot do through the processes, users cannot do either.

mod control_plane;
mod load;
mod plugin;
mod stack;

pub use control_plane::{ControlPlane, Memory};
pub use load::{Answer, Caller, Load};
pub use plugin::{AuthPlugin, TELL_ALL, log_lines, users};
pub use stack::{
    Database, Options, Process, Stack, binaries, private_folder, program, skip, wait_for,
};
