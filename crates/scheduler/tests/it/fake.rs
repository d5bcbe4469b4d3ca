//! An executor without execution: what becomes of a run is the test's to say.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use chrono::Utc;
use futures::{StreamExt, stream};
use rat_scheduler::{Executor, ExecutorError, LogStream, Progress};
use rat_types::{LogEntry, LogLevel, Phase, RunFailure, RunId, RunOutcome, RunRequest, RunState};
use tokio::sync::{mpsc, watch};

pub(crate) const NAME: &str = "fake";

/// How the next submission is answered; by default it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Exhausted,
    Unavailable,
    Rejected,
    /// The executor takes the run, and the answer is lost.
    InterruptedTaken,
    /// The executor never hears the call.
    InterruptedUnheard,
}

#[derive(Debug, Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    taken: mpsc::UnboundedSender<RunRequest>,
    /// Counts changes, so that log streams look again.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    runs: HashMap<RunId, Run>,
    answers: VecDeque<Answer>,
    submissions: usize,
    cancelled: Vec<RunId>,
    status_calls: usize,
    break_log_after: Option<u64>,
    deaf_to_status: bool,
    talks_nonsense: bool,
    /// Submissions after this many wait.
    held_after: Option<usize>,
}

#[derive(Debug)]
struct Run {
    attempt: u32,
    progress: Progress,
    log: Vec<LogEntry>,
}

impl Fake {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<RunRequest>) {
        let (taken, receiver) = mpsc::unbounded_channel();
        let (changes, _) = watch::channel(0);
        (
            Self {
                state: Arc::default(),
                taken,
                changes,
            },
            receiver,
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Answers to the next submissions.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().answers.extend(answers);
    }

    /// The submissions after the next `count` wait until the test has arranged things.
    pub(crate) fn hold_after(&self, count: usize) {
        let mut state = self.state();
        state.held_after = Some(state.submissions + count);
    }

    pub(crate) fn release(&self) {
        self.state().held_after = None;
        self.changed();
    }

    fn is_held(&self) -> bool {
        let state = self.state();
        state
            .held_after
            .is_some_and(|most| state.submissions >= most)
    }

    pub(crate) fn submissions(&self) -> usize {
        self.state().submissions
    }

    pub(crate) fn status_calls(&self) -> usize {
        self.state().status_calls
    }

    pub(crate) fn was_told_to_cancel(&self, run: RunId) -> bool {
        self.state().cancelled.contains(&run)
    }

    /// Status calls fail from now on.
    pub(crate) fn be_deaf(&self, deaf: bool) {
        self.state().deaf_to_status = deaf;
    }

    /// Every log stream breaks off after this entry, once.
    pub(crate) fn break_log_after(&self, seq: u64) {
        self.state().break_log_after = Some(seq);
    }

    /// Status calls are answered with something that is not of the contract from now on.
    pub(crate) fn talk_nonsense(&self) {
        self.state().talks_nonsense = true;
    }

    pub(crate) fn log(&self, run: RunId, message: &str) {
        let mut state = self.state();
        let log = &mut state.runs.get_mut(&run).expect("the run was submitted").log;
        let seq = log.len() as u64 + 1;
        let (at, message) = (Utc::now(), message.to_owned());
        log.push(LogEntry {
            seq,
            at,
            level: LogLevel::Info,
            message,
        });
        drop(state);
        self.changed();
    }

    /// The run has ended; whoever asks is told.
    pub(crate) fn end(&self, outcome: &RunOutcome) {
        let mut state = self.state();
        let run = state
            .runs
            .get_mut(&outcome.run_id)
            .expect("the run was submitted");
        run.progress = Progress::Ended(outcome.clone());
        drop(state);
        self.changed();
    }

    /// As after a restart that kept nothing.
    pub(crate) fn forget(&self, run: RunId) {
        self.state().runs.remove(&run);
        self.changed();
    }

    /// The next piece of a log, or `None` at its end.
    fn next_log(&self, run: RunId, after: u64) -> Option<Result<Vec<LogEntry>, ExecutorError>> {
        let mut state = self.state();
        let breaking = state.break_log_after;
        let known = state.runs.get(&run)?;
        let new: Vec<LogEntry> = known
            .log
            .iter()
            .filter(|e| e.seq > after)
            .cloned()
            .collect();
        let ended = matches!(known.progress, Progress::Ended(_));
        if breaking.is_some_and(|at| after >= at) {
            state.break_log_after = None;
            return Some(Err(interrupted()));
        }
        match (new.is_empty(), ended) {
            (false, _) => {
                let cut = breaking.unwrap_or(u64::MAX);
                Some(Ok(new
                    .into_iter()
                    .filter(|entry| entry.seq <= cut)
                    .collect()))
            }
            (true, true) => None,
            (true, false) => Some(Ok(Vec::new())),
        }
    }
}

fn interrupted() -> ExecutorError {
    ExecutorError::Interrupted {
        executor: NAME.into(),
        message: "cut".into(),
    }
}

fn unknown(run: RunId) -> ExecutorError {
    ExecutorError::NotFound {
        executor: NAME.into(),
        run,
    }
}

#[async_trait]
impl Executor for Fake {
    fn name(&self) -> &str {
        NAME
    }

    async fn submit(&self, request: &RunRequest) -> Result<RunState, ExecutorError> {
        let mut changes = self.changes.subscribe();
        while self.is_held() {
            changes.changed().await.expect("the fake is there");
        }
        let mut state = self.state();
        state.submissions += 1;
        let (executor, message) = (NAME.to_owned(), "scripted".to_owned());
        let answer = state.answers.pop_front();
        match answer {
            Some(Answer::Exhausted) => return Err(ExecutorError::Exhausted { executor, message }),
            Some(Answer::Unavailable) => {
                return Err(ExecutorError::Unavailable { executor, message });
            }
            Some(Answer::Rejected) => return Err(ExecutorError::Rejected { executor, message }),
            Some(Answer::InterruptedUnheard) => return Err(interrupted()),
            Some(Answer::InterruptedTaken) | None => {}
        }
        let known = state.runs.get(&request.run_id);
        if known.is_none_or(|run| run.attempt < request.attempt) {
            let progress = Progress::Active(RunState::Running);
            let run = Run {
                attempt: request.attempt,
                progress,
                log: Vec::new(),
            };
            state.runs.insert(request.run_id, run);
            self.taken.send(request.clone()).expect("the test listens");
        }
        match answer {
            Some(_) => Err(interrupted()),
            None => Ok(RunState::Running),
        }
    }

    async fn status(&self, run: RunId) -> Result<Progress, ExecutorError> {
        let mut state = self.state();
        state.status_calls += 1;
        if state.deaf_to_status {
            return Err(interrupted());
        }
        if state.talks_nonsense {
            return Err(ExecutorError::Rejected {
                executor: NAME.to_owned(),
                message: "nonsense".to_owned(),
            });
        }
        state
            .runs
            .get(&run)
            .map(|run| run.progress.clone())
            .ok_or_else(|| unknown(run))
    }

    async fn logs(&self, run: RunId, after: u64) -> Result<LogStream, ExecutorError> {
        let Some(first) = self.next_log(run, after) else {
            return match self.state().runs.contains_key(&run) {
                true => Ok(stream::empty().boxed()),
                false => Err(unknown(run)),
            };
        };
        let first = first?;
        // What comes later is read again from the state whenever it changes.
        let after = first.last().map_or(after, |entry| entry.seq);
        let rest = Tail {
            after,
            run,
            changes: self.changes.subscribe(),
        };
        Ok(stream::iter([Ok(first)]).chain(self.tail(rest)).boxed())
    }

    async fn cancel(&self, run: RunId) -> Result<(), ExecutorError> {
        let mut state = self.state();
        state.cancelled.push(run);
        state.runs.get(&run).map(|_| ()).ok_or_else(|| unknown(run))
    }
}

struct Tail {
    after: u64,
    run: RunId,
    changes: watch::Receiver<u64>,
}

impl Fake {
    fn tail(&self, tail: Tail) -> LogStream {
        stream::unfold((tail, self.clone()), |(mut tail, me)| async move {
            loop {
                tail.changes.mark_unchanged();
                match me.next_log(tail.run, tail.after)? {
                    Ok(entries) if entries.is_empty() => tail.changes.changed().await.ok()?,
                    Ok(entries) => {
                        tail.after = entries.last().expect("not empty").seq;
                        return Some((Ok(entries), (tail, me)));
                    }
                    Err(error) => return Some((Err(error), (tail, me))),
                }
            }
        })
        .boxed()
    }
}

/// An outcome as an executor reports it.
pub(crate) fn outcome(run: RunId, state: RunState) -> RunOutcome {
    let failure = (state == RunState::Failed)
        .then(|| RunFailure::new("SQL_INVALID", "column x does not exist"));
    RunOutcome {
        run_id: run,
        state,
        failure,
        rows_written: 3,
        bytes_written: 30,
        snapshot_id: None,
        phases: [("queue", 1), ("write", 5)]
            .map(|(name, duration_us)| Phase {
                name: name.into(),
                duration_us,
            })
            .into(),
        quality: Vec::new(),
        finished_at: Utc::now(),
    }
}
