//! The conformance kit: judges a live plugin, in whatever language it is written, by the contract.
//!
//! What the contract requires is a failure where it is missing; what only the SDK promises is a
//! warning. Every check has a stable id and the sentence that it stands on, and leaves the plugin
//! as it found it: no grant, no run, no configuration is made. It shares no code with ratd's
//! plugin host or with the SDK, so that a mistake of theirs is not repeated by their judge.
//!
//! [`run`] does all of it; `rat plugin check` shows the [`Report`].

mod check;
mod checks;
mod judge;
mod process;
mod report;
mod session;
mod target;
mod wire;

pub use check::{CHECKS, Check, Level};
pub use judge::{Limits, Options, Progress, Silent, run};
pub use process::StartError;
pub use report::{Finding, Report, Summary, Verdict};
pub use target::{InvalidTls, Target, TlsTexts};
