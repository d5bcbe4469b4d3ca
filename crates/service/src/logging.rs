//! Logs on standard error: one JSON object per line under systemd, readable text for people.
//!
//! Logging starts before the configuration is read, so that nothing said about it is lost, and is
//! set up again from the settings afterwards; level and format can change at any time.
//!
//! Deliberately no log files: systemd's journal, or whatever holds standard error, keeps them.

use std::io::{self, IsTerminal};

use rat_config::LogFormat;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// What other people's crates say below this is rarely about RAT.
const QUIET: &str = "apache_avro=info,datafusion=info,h2=info,hyper=info,hyper_util=info,\
                     iceberg=info,parquet=info,reqwest=info,rustls=info,sqlparser=info,\
                     sqlx=warn,tonic=info,tower=info";

/// Level until the settings are known.
const FIRST_LEVEL: &str = "info";

type Filter = reload::Layer<EnvFilter, Registry>;
type Filtered = Layered<Filter, Registry>;
type Output = Box<dyn Layer<Filtered> + Send + Sync>;

/// Why logging is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Write a level (`info`) or directives (`info,rat_scheduler=debug`).
    #[error("{level:?} is not a log level")]
    Level {
        /// The refused text.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a logger already, as in a test.
    #[error("failed to install the logger")]
    Install(#[source] tracing_subscriber::util::TryInitError),
    /// The logger is gone.
    #[error("failed to change the logger")]
    Reload(#[source] reload::Error),
}

/// Changes the process's logging while it runs.
#[derive(Clone)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    output: reload::Handle<Output, Filtered>,
}

/// Starts logging with level `info` in the automatic format. Once per process.
///
/// # Errors
/// The process has a logger already.
pub fn init() -> Result<Logging, Error> {
    let (filter, filter_handle) = reload::Layer::new(parse(FIRST_LEVEL)?);
    let (output, output_handle) = reload::Layer::new(output(LogFormat::Auto));
    tracing_subscriber::registry()
        .with(filter)
        .with(output)
        .try_init()
        .map_err(Error::Install)?;
    Ok(Logging {
        filter: filter_handle,
        output: output_handle,
    })
}

impl Logging {
    /// Takes over level and format from the settings.
    ///
    /// # Errors
    /// `level` is not one; then nothing has changed.
    pub fn configure(&self, level: &str, format: LogFormat) -> Result<(), Error> {
        self.set_level(level)?;
        self.output.reload(output(format)).map_err(Error::Reload)
    }

    /// Changes the level: `trace`, `debug`, `info`, `warn`, `error`, or directives such as
    /// `info,rat_scheduler=debug`.
    ///
    /// # Errors
    /// `level` is not one; then nothing has changed.
    pub fn set_level(&self, level: &str) -> Result<(), Error> {
        self.filter.reload(parse(level)?).map_err(Error::Reload)
    }
}

/// A plain level is meant for RAT's own crates; directives are taken as they are.
fn parse(level: &str) -> Result<EnvFilter, Error> {
    let is_plain = !level.contains([',', '=']);
    let directives = if is_plain {
        format!("{level},{QUIET}")
    } else {
        level.to_owned()
    };
    EnvFilter::builder()
        .parse(directives)
        .map_err(|source| Error::Level {
            level: level.to_owned(),
            source,
        })
}

fn output(format: LogFormat) -> Output {
    let json = match format {
        LogFormat::Auto => under_systemd(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    if json {
        return fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(io::stderr)
            .boxed();
    }
    fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .boxed()
}

/// Whether standard error is connected to the journal: systemd tells device and inode of the
/// stream that it made, so that an inherited variable alone does not count.
fn under_systemd() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    nix::sys::stat::fstat(io::stderr())
        .is_ok_and(|found| stream == format!("{}:{}", found.st_dev, found.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_checked() {
        assert!(parse("info,rat_scheduler=debug").is_ok());
        assert!(matches!(parse("a=b=c").unwrap_err(), Error::Level { .. }));
    }
}
