//! Running pipelines: which, in which order, and watching them.

mod follow;
mod graph;
mod landed;
mod watch;

pub use follow::follow;
pub use graph::{Graph, Progress};
pub use landed::forget_unseen;
pub use watch::{Outcome, Report, Watch, format_line, run_all, start};
