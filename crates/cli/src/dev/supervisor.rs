//! Keeps the programs running, and ends them in order.
//!
//! A program that ends by itself is started again, after a pause that doubles with every quick
//! death, so that one that cannot start does not burn the machine. Exit codes 2 and 78 say that
//! starting again will not help: they end everything.

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::child::{Log, Program, describe, shell};
use super::locate::Programs;
use super::{Folder, Plan};
use crate::output::{Console, Tone};

/// Pause after the first crash.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// A program that ran this long has started well: its next crash is again the first.
const STABLE: Duration = Duration::from_secs(60);
/// Crashes in a row, none of them after a stable time, until everything is given up.
const MAX_CRASHES: u32 = 12;
/// Time that a program gets to end by itself; ratd drains requests for up to 15 s.
const STOP: Duration = Duration::from_secs(20);
/// Lines of output that are shown when a program ends everything.
const TAIL: usize = 15;
/// Longest line that is kept in one piece.
const MAX_LINE: u64 = 64 << 10;

/// A program ended in a way that starting it again does not mend.
#[derive(Debug, thiserror::Error)]
#[error("{name} ended with {how}{}", tail_text(.tail))]
pub struct Fatal {
    name: String,
    how: String,
    tail: Vec<String>,
    /// Whether its configuration was the reason.
    pub configuration: bool,
}

fn tail_text(tail: &[String]) -> String {
    if tail.is_empty() {
        return String::new();
    }
    format!("; its last lines:\n  {}", tail.join("\n  "))
}

/// The running programs.
pub struct Supervisor {
    tasks: JoinSet<Result<(), Fatal>>,
    /// In the order in which they are stopped.
    children: Vec<(AbortHandle, CancellationToken)>,
}

impl Supervisor {
    /// Starts everything.
    ///
    /// # Errors
    /// A log file cannot be written.
    pub(super) fn start(
        console: &Console,
        folder: &Folder,
        programs: &Programs,
        plan: &Plan,
        quiet: bool,
    ) -> Result<Self> {
        // ratd first: while it is stopped it may still use the others.
        let files = [
            ("ratd", &programs.ratd),
            ("rat-runner", &programs.runner),
            ("ratq", &programs.ratq),
        ];
        let mut supervisor = Self {
            tasks: JoinSet::new(),
            children: Vec::new(),
        };
        let mut all = Vec::new();
        for (name, file) in files {
            let listener = plan.listener.as_ref().filter(|_| name == "ratd");
            all.push(Program {
                name: name.to_owned(),
                command: vec![file.into(), "--config".into(), plan.config.clone().into()],
                environment: plan.environment.clone(),
                listener: listener.map(|listener| listener.try_clone()).transpose()?,
            });
        }
        for (index, command) in plan.plugins.iter().enumerate() {
            all.push(Program {
                name: match index {
                    0 => "plugin".to_owned(),
                    _ => format!("plugin-{}", index + 1),
                },
                command: shell(command),
                environment: BTreeMap::new(),
                listener: None,
            });
        }
        for program in all {
            let name = program.name.clone();
            let output = Output {
                name: name.clone(),
                console: console.clone(),
                quiet,
                state: Arc::new(Mutex::new(State {
                    log: Log::open(folder.logs().join(format!("{name}.log")))?,
                    tail: VecDeque::new(),
                })),
            };
            let stop = CancellationToken::new();
            let keep = keep_running(programs.rat.clone(), program, output, stop.clone());
            supervisor
                .children
                .push((supervisor.tasks.spawn(keep), stop));
        }
        Ok(supervisor)
    }

    /// Waits until a program cannot be kept running.
    pub async fn fatal(&mut self) -> Fatal {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(fatal)) => return fatal,
                Err(error) => {
                    return Fatal {
                        name: "supervision".to_owned(),
                        how: error.to_string(),
                        tail: Vec::new(),
                        configuration: false,
                    };
                }
            }
        }
        std::future::pending().await
    }

    /// Stops one after the other, each with the time that it gets.
    pub async fn stop(&mut self) {
        for (task, stop) in &self.children {
            stop.cancel();
            while !task.is_finished() {
                // Others may end first; who is waited for is asked again.
                if self.tasks.join_next().await.is_none() {
                    break;
                }
            }
        }
    }

    /// Ends everything at once.
    pub async fn kill(&mut self) {
        // Dropping a child kills it.
        self.tasks.shutdown().await;
    }
}

/// Where a program's output goes.
#[derive(Debug, Clone)]
struct Output {
    name: String,
    console: Console,
    quiet: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    log: Log,
    tail: VecDeque<String>,
}

impl Output {
    fn line(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if !self.quiet {
            let prefix = self
                .console
                .paint_note(Tone::Dim, &format!("{:<10} │", self.name));
            self.console.note(&format!("{prefix} {text}"));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.log.line(line);
        if state.tail.len() == TAIL {
            state.tail.pop_front();
        }
        state.tail.push_back(text.into_owned());
    }

    fn note(&self, tone: Tone, text: &str) {
        self.console.note(
            &self
                .console
                .paint_note(tone, &format!("{}: {text}", self.name)),
        );
    }

    fn tail(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tail.iter().cloned().collect()
    }

    /// Copies a stream line by line until it ends.
    async fn copy(&self, stream: impl AsyncRead + Unpin) {
        use tokio::io::AsyncReadExt;
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)
                .await;
            match read {
                Ok(0) | Err(_) => return,
                Ok(_) => self.line(line.strip_suffix(b"\n").unwrap_or(&line)),
            }
        }
    }
}

/// Starts the program, again and again, until it is to stop.
async fn keep_running(
    rat: std::path::PathBuf,
    program: Program,
    output: Output,
    stop: CancellationToken,
) -> Result<(), Fatal> {
    let fatal = |how: String, configuration| Fatal {
        name: program.name.clone(),
        how,
        tail: output.tail(),
        configuration,
    };
    let mut crashes = 0;
    loop {
        let begin = Instant::now();
        let mut child = program
            .start(&rat)
            .map_err(|error| fatal(format!("{error:#}"), false))?;
        let ended = watch(&mut child, &output, &stop).await;
        let how = match ended {
            Ended::Stopped => return Ok(()),
            Ended::ByItself(status) if matches!(status.code(), Some(2 | 78)) => {
                return Err(fatal(describe(status), status.code() == Some(78)));
            }
            Ended::ByItself(status) => describe(status),
            Ended::Unknown(error) => error.to_string(),
        };
        crashes = if begin.elapsed() >= STABLE {
            1
        } else {
            crashes + 1
        };
        if crashes > MAX_CRASHES {
            return Err(fatal(format!("{how}, for the {crashes}th time"), false));
        }
        if output.quiet {
            // Nobody has seen what it said.
            let lines = output.tail();
            lines
                .iter()
                .for_each(|line| output.console.note(&format!("  {line}")));
        }
        let pause = pause(crashes);
        output.note(
            Tone::Warn,
            &format!(
                "ended with {how}; starting again in {:.1} s",
                pause.as_secs_f32()
            ),
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Pause after so many crashes.
fn pause(crashes: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << crashes.saturating_sub(1).min(10))
        .min(LAST_PAUSE)
}

enum Ended {
    Stopped,
    ByItself(ExitStatus),
    Unknown(std::io::Error),
}

/// Copies the program's output until it ends, by itself or because it is to stop.
async fn watch(child: &mut Child, output: &Output, stop: &CancellationToken) -> Ended {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let copy = async {
        let out = async {
            if let Some(stdout) = stdout {
                output.copy(stdout).await;
            }
        };
        let err = async {
            if let Some(stderr) = stderr {
                output.copy(stderr).await;
            }
        };
        tokio::join!(out, err);
    };
    let ended = async {
        tokio::select! {
            status = child.wait() => match status {
                Ok(status) => Ended::ByItself(status),
                Err(error) => Ended::Unknown(error),
            },
            () = stop.cancelled() => {
                end(child, output).await;
                Ended::Stopped
            }
        }
    };
    tokio::pin!(copy, ended);
    tokio::select! {
        ended = &mut ended => {
            // What is still in the pipes; a grandchild may hold them open for ever.
            let _ = tokio::time::timeout(Duration::from_millis(500), copy).await;
            ended
        }
        () = &mut copy => ended.await,
    }
}

/// Asks the program to end, and ends it when its time is over.
async fn end(child: &mut Child, output: &Output) {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) else {
        return;
    };
    // It has not been waited for, so the id is still its own.
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    match tokio::time::timeout(STOP, child.wait()).await {
        Ok(Ok(status)) if !status.success() => {
            output.note(Tone::Warn, &format!("ended with {}", describe(status)));
        }
        Ok(_) => {}
        Err(_) => {
            output.note(
                Tone::Warn,
                &format!("did not end within {} s; killed", STOP.as_secs()),
            );
            let _ = child.kill().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let seconds: Vec<f32> = [1, 2, 3, 6, 7, 12, u32::MAX]
            .map(|n| pause(n).as_secs_f32())
            .to_vec();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 16.0, 30.0, 30.0, 30.0]);
    }
}
