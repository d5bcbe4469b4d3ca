//! Wire structs in, domain structs out: everything that a JSON Schema cannot say.
//!
//! Nothing stops at the first mistake. Where the schema has already found a value broken, it
//! stands here as its default, and checks that would compare it with others are left out.

mod addresses;
mod auth;
mod catalog;
mod locations;
mod plugins;
mod server;

use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

use crate::problem::Path;
use crate::settings::{Log, PluginHealth, Ratq, Runner, Scheduler, Settings};
use crate::units::{format_size, parse_duration, parse_size};
use crate::{Address, wire};

/// The smallest memory limit with which a query can do anything.
const MIN_MEMORY: ByteSize = ByteSize::mib(16);
/// The largest memory limit, far beyond any machine.
const MAX_MEMORY: ByteSize = ByteSize::tib(1024);

/// Collects what is wrong.
#[derive(Default)]
pub(crate) struct Checker {
    /// Values that the schema refused.
    pub(crate) broken: Vec<Path>,
    pub(crate) problems: Vec<(Path, String)>,
    pub(crate) warnings: Vec<(Path, String)>,
}

/// Checks `root`; `None` where the checker holds problems.
pub(crate) fn validate(root: &wire::Root, check: &mut Checker) -> Option<Settings> {
    let server = server::server(&root.server, check);
    let auth = auth::auth(&root.auth, check);
    let database = locations::database(&root.database, check);
    let storage = locations::storage(&root.storage, check);
    let catalog = catalog::catalog(&root.catalog, check);
    let runner = runner(&root.runner, check);
    let ratq = ratq(&root.ratq, check);
    let scheduler = scheduler(&root.scheduler, check);
    let plugin_health = plugin_health(&root.plugin_health, check);
    let plugins = plugins::plugins(&root.plugins, check);
    addresses::addresses_differ(root, check);
    server::warn_if_open(root, check);
    if !check.problems.is_empty() {
        return None;
    }
    Some(Settings {
        server: server?,
        auth: auth?,
        database: database?,
        storage: storage?,
        catalog: catalog?,
        runner: runner?,
        ratq: ratq?,
        scheduler: scheduler?,
        plugin_health: plugin_health?,
        log: Log {
            level: root.log.level.into(),
            format: root.log.format.into(),
        },
        plugins,
        warnings: Vec::new(),
    })
}

impl Checker {
    pub(crate) fn problem(&mut self, path: &Path, message: impl Into<String>) {
        self.problems.push((path.clone(), message.into()));
    }

    pub(crate) fn warn(&mut self, path: &Path, message: impl Into<String>) {
        self.warnings.push((path.clone(), message.into()));
    }

    /// Whether the schema had nothing against any of `paths`.
    fn intact(&self, paths: &[Path]) -> bool {
        let touches = |broken: &Path, path: &Path| broken.is_within(path) || path.is_within(broken);
        !self
            .broken
            .iter()
            .any(|broken| paths.iter().any(|path| touches(broken, path)))
    }

    fn take<T>(&mut self, path: &Path, parsed: Result<T, impl Display>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(path, error.to_string());
                None
            }
        }
    }

    fn parse<T: FromStr<Err: Display>>(
        &mut self,
        path: &Path,
        text: &impl AsRef<str>,
    ) -> Option<T> {
        self.take(path, text.as_ref().parse())
    }

    /// `Some(None)` where nothing is given.
    fn parse_optional<T: FromStr<Err: Display>>(
        &mut self,
        path: &Path,
        text: Option<&impl AsRef<str>>,
    ) -> Option<Option<T>> {
        match text {
            Some(text) => self.parse(path, text).map(Some),
            None => Some(None),
        }
    }

    fn duration(&mut self, path: &Path, text: &wire::DurationText) -> Option<Duration> {
        self.take(path, parse_duration(&text.0))
    }

    fn size(
        &mut self,
        path: &Path,
        text: &wire::SizeText,
        least: ByteSize,
        most: ByteSize,
    ) -> Option<ByteSize> {
        let size = self.take(path, parse_size(&text.0))?;
        if size < least || size > most {
            let (least, most) = (format_size(least), format_size(most));
            self.problem(
                path,
                format!("must be from {least} to {most}, not {}", text.0),
            );
            return None;
        }
        Some(size)
    }

    /// The schema asks for at least 1.
    fn count(&mut self, path: &Path, count: u32) -> Option<NonZeroU32> {
        self.take(path, NonZeroU32::new(count).ok_or("must be at least 1"))
    }

    /// An address on which one of our daemons listens and another one reaches it.
    fn service_address(&mut self, path: &Path, text: &wire::AddressText) -> Option<Address> {
        let address: Address = self.parse(path, text)?;
        if matches!(address, Address::Tcp { port: 0, .. }) {
            self.problem(
                path,
                "must have a port other than 0, because ratd connects to it",
            );
            return None;
        }
        if !address.is_local() {
            let message = "plain TCP beyond this machine: tokens cross the network in the clear";
            self.warn(path, message);
        }
        Some(address)
    }
}

fn plugin_health(wire: &wire::PluginHealth, check: &mut Checker) -> Option<PluginHealth> {
    let at = |key| Path::dotted("plugin_health").key(key);
    let interval = check.duration(&at("interval"), &wire.interval);
    let timeout = check.duration(&at("timeout"), &wire.timeout);
    let probe_interval = check.duration(&at("probe_interval"), &wire.probe_interval);
    Some(PluginHealth {
        interval: interval?,
        timeout: timeout?,
        probe_interval: probe_interval?,
    })
}

fn runner(wire: &wire::Runner, check: &mut Checker) -> Option<Runner> {
    let at = |key| Path::dotted("runner").key(key);
    let address = check.service_address(&at("address"), &wire.address);
    let slots = check.count(&at("slots"), wire.slots);
    let queue = check.count(&at("queue"), wire.queue);
    let memory_limit = check.size(
        &at("memory_limit"),
        &wire.memory_limit,
        MIN_MEMORY,
        MAX_MEMORY,
    );
    let run_timeout = check.duration(&at("run_timeout"), &wire.run_timeout);
    let quality_test_timeout =
        check.duration(&at("quality_test_timeout"), &wire.quality_test_timeout);
    let drain_timeout = check.duration(&at("drain_timeout"), &wire.drain_timeout);
    let keep_results = check.duration(&at("keep_results"), &wire.keep_results);
    let log_lines = check.count(&at("log_lines"), wire.log_lines);
    let temp_dir = match &wire.temp_dir {
        Some(text) => check
            .take(&at("temp_dir"), absolute_path(&text.0))
            .map(Some),
        None => Some(None),
    };
    Some(Runner {
        address: address?,
        slots: slots?,
        queue: queue?,
        memory_limit: memory_limit?,
        run_timeout: run_timeout?,
        quality_test_timeout: quality_test_timeout?,
        drain_timeout: drain_timeout?,
        keep_results: keep_results?,
        log_lines: log_lines?,
        temp_dir: temp_dir?,
    })
}

fn ratq(wire: &wire::Ratq, check: &mut Checker) -> Option<Ratq> {
    let at = |key| Path::dotted("ratq").key(key);
    let address = check.service_address(&at("address"), &wire.address);
    let timeout = check.duration(&at("timeout"), &wire.timeout);
    let memory_limit = check.size(
        &at("memory_limit"),
        &wire.memory_limit,
        MIN_MEMORY,
        MAX_MEMORY,
    );
    let concurrent_queries = check.count(&at("concurrent_queries"), wire.concurrent_queries);
    Some(Ratq {
        address: address?,
        timeout: timeout?,
        max_rows: wire.max_rows,
        memory_limit: memory_limit?,
        concurrent_queries: concurrent_queries?,
    })
}

fn scheduler(wire: &wire::Scheduler, check: &mut Checker) -> Option<Scheduler> {
    let at = |key| Path::dotted("scheduler").key(key);
    let poll_interval = check.duration(&at("poll_interval"), &wire.poll_interval);
    let lost_after = check.count(&at("lost_after"), wire.lost_after);
    let max_running = check.count(&at("max_running"), wire.max_running);
    Some(Scheduler {
        poll_interval: poll_interval?,
        lost_after: lost_after?,
        max_running: max_running?,
    })
}

fn absolute_path(text: &str) -> Result<PathBuf, String> {
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return Err(format!(
            "must be an absolute path, not {}",
            crate::text::quoted(text)
        ));
    }
    Ok(PathBuf::from(text))
}
