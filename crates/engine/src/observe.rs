//! Who watches a run.

use std::time::Instant;

use rat_types::{LogLevel, Phase};

/// Hears what a run does. Called from the run itself, so it must not block.
pub trait RunObserver: Send + Sync {
    /// The run enters a phase: `render`, `plan`, `write`, `commit`, `quality`.
    fn phase(&self, name: &'static str);

    /// A line for the run's log.
    fn log(&self, level: LogLevel, message: String);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl RunObserver for Unobserved {
    fn phase(&self, _name: &'static str) {}

    fn log(&self, _level: LogLevel, _message: String) {}
}

/// Measures phases. The one that is under way when the run ends counts as well.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    done: Vec<Phase>,
    current: Option<(&'static str, Instant)>,
}

impl Phases {
    pub(crate) fn enter(&mut self, name: &'static str, observer: &dyn RunObserver) {
        self.leave();
        observer.phase(name);
        self.current = Some((name, Instant::now()));
    }

    fn leave(&mut self) {
        if let Some((name, since)) = self.current.take() {
            let duration_us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.done.push(Phase {
                name: name.to_owned(),
                duration_us,
            });
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Phase> {
        self.leave();
        self.done
    }
}
