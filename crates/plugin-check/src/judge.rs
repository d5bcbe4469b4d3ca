//! Does the checks, one after the other, and keeps an eye on whether the plugin is still there.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rat_config::{Protocol, Slot};
use rat_proto::plugin::v1 as plugin;
use rat_types::Secret;
use tokio::task::JoinSet;

use crate::check::{CHECKS, Check, Miss, Outcome};
use crate::checks;
use crate::process::{Plugin, StartError};
use crate::report::{Finding, Report, Verdict, weight};
use crate::session::{Failure, HEALTH, Session};
use crate::target::Target;
use crate::wire::{Grpc, NoAnswer, connect, seconds};

/// How long things may take. The defaults are those of ratd.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Opening a connection.
    pub dial: Duration,
    /// HealthCheck.
    pub health: Duration,
    /// Any other call.
    pub call: Duration,
    /// Until a connection that says nothing should have been closed.
    pub silence: Duration,
    /// Until a restarted plugin answers again.
    pub restart: Duration,
    /// Until a plugin that is asked to stop has stopped.
    pub stop: Duration,
    /// Calls at a time.
    pub parallel: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(5),
            health: Duration::from_secs(5),
            call: Duration::from_secs(10),
            silence: Duration::from_secs(15),
            restart: Duration::from_secs(60),
            stop: Duration::from_secs(20),
            parallel: 100,
        }
    }
}

/// What to judge, and by what.
#[derive(Debug)]
pub struct Options {
    /// What the plugin speaks, as in rat.yaml.
    pub protocol: Protocol,
    /// Slots that the plugin must fill; empty asks the plugin.
    pub slots: Vec<Slot>,
    /// Only the checks whose id is one of these or begins with one; empty does all.
    pub only: Vec<String>,
    /// A token that an auth plugin accepts.
    pub token: Option<Secret>,
    /// A configuration that the plugin accepts, as a JSON object.
    pub config: Option<Secret>,
    /// A shell command that restarts the plugin.
    pub restart: Option<String>,
    /// A shell command that is the plugin: the kit starts it, and ends it afterwards.
    pub start: Option<String>,
    /// How long things may take.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: Protocol::Grpc,
            slots: Vec::new(),
            only: Vec::new(),
            token: None,
            config: None,
            restart: None,
            start: None,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// Whether `name` means `check`: its id, or the beginning of it up to a dot.
    pub fn names(name: &str, check: &Check) -> bool {
        match check.id.strip_prefix(name) {
            Some(rest) => rest.is_empty() || rest.starts_with('.'),
            None => false,
        }
    }

    fn is_wanted(&self, check: &Check) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| Self::names(name, check))
    }
}

/// Is told how it goes.
pub trait Progress: Sync {
    /// A check begins, the `number`th of `total`.
    fn begin(&self, check: &Check, number: usize, total: usize);
    /// A check has ended.
    fn end(&self, finding: &Finding);
}

/// Nobody wants to know how it goes.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &Check, _: usize, _: usize) {}
    fn end(&self, _: &Finding) {}
}

/// What the checks share.
pub(crate) struct Judge {
    pub(crate) target: Target,
    pub(crate) options: Options,
    /// What is in no plugin's data: random, so that nothing can know it.
    pub(crate) marker: String,
    /// What Describe answered.
    pub(crate) description: Result<plugin::DescribeResponse, Failure>,
    /// The slots that the plugin is judged for.
    pub(crate) slots: Vec<Slot>,
    /// The slots whose service answers.
    pub(crate) served: Vec<Slot>,
    /// The health when the checks began.
    pub(crate) health: Option<plugin::HealthCheckResponse>,
    /// The plugin, where the kit started it.
    pub(crate) process: tokio::sync::Mutex<Option<Plugin>>,
    /// Connections that say nothing, and when the plugin closed the last of them.
    pub(crate) silent: tokio::sync::Mutex<JoinSet<Result<Duration, NoAnswer>>>,
    /// The check after which the plugin stopped answering.
    gone: Mutex<Option<&'static str>>,
}

/// Judges the plugin at `target`.
///
/// # Errors
/// The plugin's own command cannot be started.
pub async fn run(
    target: Target,
    options: Options,
    progress: &dyn Progress,
) -> Result<Report, StartError> {
    let judge = Judge::prepare(target, options).await?;
    let checks: Vec<&Check> = CHECKS
        .iter()
        .filter(|check| check.slot.is_none_or(|slot| judge.slots.contains(&slot)))
        .filter(|check| judge.options.is_wanted(check))
        .collect();
    let mut findings = Vec::with_capacity(checks.len());
    for (index, check) in checks.iter().enumerate() {
        progress.begin(check, index + 1, checks.len());
        let finding = judge.judge(check).await;
        progress.end(&finding);
        findings.push(finding);
    }
    if let Some(process) = judge.process.lock().await.as_mut() {
        let limit = judge.options.limits.stop;
        process.end(nix::sys::signal::Signal::SIGTERM, limit).await;
    }
    let (name, version) = match &judge.description {
        Ok(answer) => (some(&answer.name), some(&answer.version)),
        Err(_) => (None, None),
    };
    Ok(Report {
        address: judge.target.address.to_string(),
        name,
        version,
        slots: judge.slots.iter().map(|slot| slot.as_str()).collect(),
        summary: Report::summarise(&findings),
        checks: findings,
    })
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl Judge {
    /// Starts the plugin where that is asked for, and finds out what it is.
    async fn prepare(target: Target, options: Options) -> Result<Self, StartError> {
        let process = options.start.as_deref().map(Plugin::start).transpose()?;
        let mut judge = Self {
            target,
            marker: format!("rat-check-{}", uuid::Uuid::new_v4().simple()),
            description: Err(Failure::None(NoAnswer::Dial("not asked".to_owned()))),
            slots: options.slots.clone(),
            served: Vec::new(),
            health: None,
            process: tokio::sync::Mutex::new(process),
            silent: tokio::sync::Mutex::new(JoinSet::new()),
            gone: Mutex::new(None),
            options,
        };
        if judge.options.start.is_some() {
            judge.wait_until_alive(judge.options.limits.restart).await;
            // What it says while it starts is not how it is; what it says in the end is judged.
            drop(judge.wait_until_it_says("healthy").await);
        }
        let Ok(session) = judge.connect().await else {
            return Ok(judge);
        };
        let asked = session.unary(HEALTH, &plugin::HealthCheckRequest {}).await;
        judge.health = asked.ok();
        judge.description = session
            .unary(checks::optional::DESCRIBE, &plugin::DescribeRequest {})
            .await;
        for slot in Slot::ALL {
            if checks::slot::is_served(&session, &judge.marker, slot).await {
                judge.served.push(slot);
            }
        }
        if judge.slots.is_empty() {
            judge.slots = judge.served.clone();
        }
        judge.silent = tokio::sync::Mutex::new(checks::load::keep_silent(&judge));
        Ok(judge)
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Session, NoAnswer> {
        let Limits { dial, call, .. } = self.options.limits;
        match self.options.protocol {
            Protocol::Grpc => Ok(Session::grpc(Grpc::open(&self.target, dial).await?, call)),
            Protocol::Connect => {
                drop(connect(&self.target, b"http/1.1", dial).await?);
                Ok(Session::connect(self.target.clone(), call))
            }
        }
    }

    /// Whether the plugin said that it is down when the checks began.
    pub(crate) fn was_down(&self) -> bool {
        self.health
            .as_ref()
            .is_some_and(|health| health.status == "down")
    }

    /// One HealthCheck over a connection of its own.
    pub(crate) async fn alive(&self) -> Result<plugin::HealthCheckResponse, Failure> {
        let limit = self.options.limits.health;
        let asked = async {
            let session = self.connect().await?;
            session.unary(HEALTH, &plugin::HealthCheckRequest {}).await
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::None(NoAnswer::TimedOut(limit))),
        }
    }

    /// Asks until the plugin answers HealthCheck; how long that took.
    pub(crate) async fn wait_until_alive(&self, limit: Duration) -> Option<Duration> {
        let begin = Instant::now();
        loop {
            if self.alive().await.is_ok() {
                return Some(begin.elapsed());
            }
            if begin.elapsed() > limit {
                return None;
            }
            if let Some(process) = self.process.lock().await.as_mut()
                && process.ended().is_some()
            {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives the plugin the time of a call to say `status`; what it says then.
    pub(crate) async fn wait_until_it_says(&self, status: &str) -> Result<String, Failure> {
        let begin = Instant::now();
        loop {
            let now = self.alive().await.map(|health| health.status);
            let is_said = now.as_ref().is_ok_and(|now| now == status);
            if is_said || begin.elapsed() > self.options.limits.call {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn judge(&self, check: &Check) -> Finding {
        let begin = Instant::now();
        let outcome = self.outcome(check).await;
        let (verdict, detail) = match outcome {
            Ok(detail) => (Verdict::Pass, detail),
            Err(Miss::Broken(detail)) => (weight(check.level), detail),
            Err(Miss::Gone(detail)) => (Verdict::Fail, detail),
            Err(Miss::Doubt(detail)) => (Verdict::Warn, detail),
            Err(Miss::NotChecked(detail)) => (Verdict::NotChecked, detail),
        };
        Finding {
            check: *check,
            verdict,
            detail,
            took: begin.elapsed(),
        }
    }

    async fn outcome(&self, check: &Check) -> Outcome {
        if let Some(culprit) = self.culprit() {
            // Somebody may have started it again.
            if self.alive().await.is_err() {
                return Err(Miss::NotChecked(format!(
                    "the plugin has not answered since {culprit}"
                )));
            }
            self.set_gone(None);
        }
        if let Some(slot) = check.slot.filter(|slot| !self.served.contains(slot)) {
            return Err(Miss::NotChecked(format!(
                "the service of the slot {slot} is not there"
            )));
        }
        // Every wait in a check has a limit; that they do not add up without end is seen to here.
        let limit = self.options.limits.restart + 6 * self.options.limits.call;
        let outcome = match tokio::time::timeout(limit, (check.probe)(self)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Miss::Broken(format!("no end within {}", seconds(limit)))),
        };
        if check.is_nasty {
            return self.still_there(check, outcome).await;
        }
        outcome
    }

    async fn still_there(&self, check: &Check, outcome: Outcome) -> Outcome {
        let Err(error) = self.alive().await else {
            return outcome;
        };
        self.set_gone(Some(check.id));
        let seen = match outcome {
            Ok(detail) => detail,
            Err(
                Miss::Broken(detail)
                | Miss::Doubt(detail)
                | Miss::Gone(detail)
                | Miss::NotChecked(detail),
            ) => detail,
        };
        Err(Miss::Gone(format!(
            "HealthCheck is not answered afterwards: {error}; before that: {seen}"
        )))
    }

    fn culprit(&self) -> Option<&'static str> {
        *self
            .gone
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn set_gone(&self, culprit: Option<&'static str>) {
        *self
            .gone
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = culprit;
    }
}
