//! The one place that writes to the terminal: results to standard output, everything else
//! (progress, notes, errors) to standard error, never one into the other.

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};

/// What a piece of text says; colour on a terminal, nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// Went well.
    Good,
    /// Went wrong.
    Bad,
    /// Needs a look.
    Warn,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Warn => Some("33"),
            Self::Dim => Some("2"),
            Self::Bold => Some("1"),
        }
    }
}

/// What the terminal can do and what the user wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Colour on standard output.
    pub colour_out: bool,
    /// Colour on standard error.
    pub colour_err: bool,
    /// Progress bars on standard error.
    pub bars: bool,
    /// Columns of standard output, if that is a terminal.
    pub width: Option<u16>,
}

impl Settings {
    /// Looks at the terminal and at `NO_COLOR`.
    pub fn detect(no_progress: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let width = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
        Self {
            colour_out: out && !plain,
            colour_err: err && !plain,
            bars: err && !no_progress && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
            width: width.filter(|_| out),
        }
    }
}

/// Standard output and standard error, with progress bars kept out of the way of lines.
#[derive(Debug, Clone)]
pub struct Console {
    settings: Settings,
    bars: MultiProgress,
}

impl Console {
    /// A console with these settings.
    pub fn new(settings: Settings) -> Self {
        let target = match settings.bars {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        Self {
            settings,
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Columns of the terminal, if standard output is one.
    pub fn width(&self) -> Option<u16> {
        self.settings.width
    }

    /// Whether progress bars are drawn; if not, progress is told in lines.
    pub fn has_bars(&self) -> bool {
        self.settings.bars
    }

    /// Where bars are added.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes a result, with a final line feed.
    ///
    /// # Errors
    /// When standard output cannot be written; a closed pipe is one such case.
    pub fn result(&self, text: &str) -> io::Result<()> {
        self.bars.suspend(|| {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            if !text.ends_with('\n') {
                out.write_all(b"\n")?;
            }
            out.flush()
        })
    }

    /// Writes a line for people to standard error. That it cannot be written is no reason to fail.
    pub fn note(&self, line: &str) {
        self.bars.suspend(|| {
            let mut err = io::stderr().lock();
            let _ = writeln!(err, "{line}");
        });
    }

    /// `text` in the colour of `tone`, for standard output.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.settings.colour_out, tone, text)
    }

    /// `text` in the colour of `tone`, for standard error.
    pub fn paint_note(&self, tone: Tone, text: &str) -> String {
        paint(self.settings.colour_err, tone, text)
    }
}

fn paint(colour: bool, tone: Tone, text: &str) -> String {
    match tone.code().filter(|_| colour) {
        Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        None => text.to_owned(),
    }
}
