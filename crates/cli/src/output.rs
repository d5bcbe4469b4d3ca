//! How results are shown: as a table for people, as CSV, or as the JSON that the API sent.

use clap::ValueEnum;

mod console;
mod csv;
mod human;
pub(crate) mod printable;
mod table;

pub use console::{Console, Settings, Tone};
pub use csv::to_csv;
pub use human::{ago, bytes, count, duration, row_count, shorten};
pub use table::{Align, Grid};

/// Format of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// A table as wide as the terminal.
    #[default]
    Table,
    /// The API's JSON, unchanged.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}
