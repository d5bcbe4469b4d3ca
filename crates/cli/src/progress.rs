//! Progress of things that take a while: a bar each on a terminal, a line when something ends
//! everywhere else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressState, ProgressStyle};

use crate::output::{Console, Tone, bytes, count};

/// In what progress is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a file.
    Bytes,
    /// Rows.
    Rows,
}

/// Something that is under way.
#[derive(Debug)]
pub struct Task {
    console: Console,
    bar: ProgressBar,
    name: String,
}

const NAME_WIDTH: usize = 36;
const TICK: Duration = Duration::from_millis(120);

impl Task {
    /// Begins something whose size is known.
    pub fn sized(console: &Console, name: &str, total: u64, unit: Unit) -> Self {
        let amount = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let (position, length) = (state.pos(), state.len().unwrap_or(0));
            let _ = match unit {
                Unit::Bytes => write!(out, "{} of {}", bytes(position), bytes(length)),
                Unit::Rows => write!(out, "{} of {} rows", count(position), count(length)),
            };
        };
        let style = style("{prefix:36!} {bar:24.cyan/dim} {percent:>3}% {amount} {msg}")
            .with_key("amount", amount);
        Self::start(console, name, ProgressBar::new(total), style)
    }

    /// Begins something whose end cannot be foreseen.
    pub fn open_ended(console: &Console, name: &str) -> Self {
        let style = style("{prefix:36!} {spinner:.cyan} {elapsed:>4} {wide_msg}");
        Self::start(console, name, ProgressBar::new_spinner(), style)
    }

    fn start(console: &Console, name: &str, bar: ProgressBar, style: ProgressStyle) -> Self {
        // A bar whose task was dropped half-way has nothing more to say.
        let bar = bar.with_style(style).with_prefix(name.to_owned());
        let bar = console
            .bars()
            .add(bar.with_finish(ProgressFinish::AndClear));
        if console.has_bars() {
            bar.enable_steady_tick(TICK);
        }
        Self {
            console: console.clone(),
            bar,
            name: name.to_owned(),
        }
    }

    /// How far it is.
    pub fn set(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// A handle that counts up from wherever the work happens.
    pub fn counter(&self) -> Counter {
        Counter(self.bar.clone())
    }

    /// Whether anybody sees what is being done right now.
    pub fn is_shown(&self) -> bool {
        self.console.has_bars()
    }

    /// What is being done right now; only shown where bars are.
    pub fn say(&self, message: &str) {
        self.bar.set_message(message.to_owned());
    }

    /// Ends it: the bar becomes a line.
    pub fn end(self, tone: Tone, word: &str, detail: &str) {
        self.bar.finish_and_clear();
        self.console.bars().remove(&self.bar);
        let word = self.console.paint_note(tone, &format!("{word:<10}"));
        let line = format!("{:NAME_WIDTH$} {word} {detail}", self.name);
        self.console.note(line.trim_end());
    }
}

/// Counts progress up, also from another thread.
#[derive(Debug, Clone)]
pub struct Counter(ProgressBar);

impl Counter {
    /// `amount` more is done.
    pub fn add(&self, amount: u64) {
        self.0.inc(amount);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
