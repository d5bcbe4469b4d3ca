//! `rat plugin check`: shows what the conformance kit finds out.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use rat_plugin_check::{
    CHECKS, Check, Finding, Level, Options, Progress, Report, Target, TlsTexts, Verdict,
};
use rat_types::Secret;

use crate::arguments::PluginCheckArguments;
use crate::commands::Usage;
use crate::output::{Align, Console, Format, Grid, Tone, duration, to_csv};
use crate::progress::Task;

/// A check that takes longer is worth a line where there is no bar.
const LONG: Duration = Duration::from_secs(3);

pub(super) async fn execute(
    console: &Console,
    arguments: &PluginCheckArguments,
) -> Result<ExitCode> {
    let Some(address) = &arguments.address else {
        list(console, arguments.output.output)?;
        return Ok(ExitCode::SUCCESS);
    };
    for name in &arguments.only {
        let is_known = CHECKS.iter().any(|check| Options::names(name, check));
        if !is_known {
            let text = format!("there is no check {name}; rat plugin check --explain lists them");
            return Err(Usage(text).into());
        }
    }
    let bytes = |path: &Option<std::path::PathBuf>| path.as_deref().map(read).transpose();
    let tls = TlsTexts {
        ca: bytes(&arguments.ca)?,
        identity: bytes(&arguments.cert)?.zip(bytes(&arguments.key)?),
    };
    let target = Target::new(address.clone(), &tls).map_err(|error| Usage(error.to_string()))?;
    let options = Options {
        protocol: arguments.protocol.into(),
        slots: arguments.slot.iter().map(|slot| (*slot).into()).collect(),
        only: arguments.only.clone(),
        token: arguments.token.as_deref().map(token).transpose()?,
        config: arguments.config.as_deref().map(config).transpose()?,
        restart: arguments.restart.clone(),
        start: arguments.start.clone(),
        ..Options::default()
    };
    let shown = Shown {
        console,
        task: Task::open_ended(console, &address.to_string()),
    };
    let report = rat_plugin_check::run(target, options, &shown).await?;
    let is_success = report.is_success(arguments.strict);
    let (tone, word) = match is_success {
        true => (Tone::Good, "done"),
        false => (Tone::Bad, "FAILED"),
    };
    shown.task.end(tone, word, &summary(&report));
    show(console, &report, arguments)?;
    Ok(match is_success {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is not UTF-8", path.display()))
}

fn token(path: &Path) -> Result<Secret> {
    match text(path)?.trim() {
        "" => anyhow::bail!("the token file {} is empty", path.display()),
        token => Ok(Secret::new(token)),
    }
}

fn config(path: &Path) -> Result<Secret> {
    let text = text(path)?;
    let value: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    match value.is_object() {
        true => Ok(Secret::new(text)),
        false => anyhow::bail!("{} holds no JSON object", path.display()),
    }
}

/// Says how it goes: in the bar, or in a line for what takes long.
struct Shown<'a> {
    console: &'a Console,
    task: Task,
}

impl Progress for Shown<'_> {
    fn begin(&self, check: &Check, number: usize, total: usize) {
        self.task.say(&format!("{number}/{total} {}", check.id));
    }

    fn end(&self, finding: &Finding) {
        if !self.task.is_shown() && finding.took > LONG {
            let took = duration(finding.took);
            self.console
                .note(&format!("{} took {took}", finding.check.id));
        }
    }
}

fn summary(report: &Report) -> String {
    let counts = report.summary;
    format!(
        "{} passed, {} failed, {} warnings, {} not checked",
        counts.passed, counts.failed, counts.warnings, counts.not_checked
    )
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Fail => Tone::Bad,
        Verdict::Warn => Tone::Warn,
        Verdict::NotChecked => Tone::Dim,
    }
}

fn show(console: &Console, report: &Report, arguments: &PluginCheckArguments) -> Result<()> {
    match arguments.output.output {
        Format::Json => console.result(&serde_json::to_string_pretty(report)?)?,
        Format::Csv => {
            let header = ["check", "level", "slot", "verdict", "detail", "sentence"];
            let rows: Vec<Vec<Option<String>>> = report.checks.iter().map(csv_row).collect();
            console.result(&to_csv(&header.map(str::to_owned), &rows))?;
        }
        Format::Table => {
            let names = ["result", "check", "what was seen"];
            let mut grid = Grid::new(names.map(|name| (name, Align::Left)));
            for finding in &report.checks {
                grid.push([finding.verdict.as_str(), finding.check.id, &finding.detail]);
            }
            console.result(&grid.render(console.width()))?;
            explain(console, report, arguments.explain)?;
            let who = match (&report.name, &report.version) {
                (Some(name), Some(version)) => format!("{name} {version}"),
                (Some(name), None) => name.clone(),
                (None, _) => "the plugin".to_owned(),
            };
            let slots = match report.slots.is_empty() {
                true => "no slot".to_owned(),
                false => report.slots.join(", "),
            };
            let line = format!("\n{who} at {} ({slots}): ", report.address);
            console.result(&format!("{line}{}", summary(report)))?;
        }
    }
    Ok(())
}

/// The sentences behind what did not pass, or behind everything.
fn explain(console: &Console, report: &Report, everything: bool) -> Result<()> {
    for finding in &report.checks {
        let is_bad = matches!(finding.verdict, Verdict::Fail | Verdict::Warn);
        if !is_bad && !everything {
            continue;
        }
        let word = console.paint(tone(finding.verdict), finding.verdict.as_str());
        let Check {
            id,
            sentence,
            source,
            ..
        } = finding.check;
        console.result(&format!("\n{word}  {id}\n  {sentence}\n  ({source})"))?;
        if is_bad {
            let seen = crate::output::printable::printable(finding.detail.clone());
            console.result(&format!("  Seen: {seen}"))?;
        }
    }
    Ok(())
}

fn csv_row(finding: &Finding) -> Vec<Option<String>> {
    let check = finding.check;
    vec![
        Some(check.id.to_owned()),
        Some(check.level.as_str().to_owned()),
        check.slot.map(|slot| slot.to_string()),
        Some(finding.verdict.as_str().to_owned()),
        Some(finding.detail.clone()),
        Some(check.sentence.to_owned()),
    ]
}

/// Every check there is, without a plugin.
fn list(console: &Console, format: Format) -> Result<()> {
    let slot = |check: &Check| check.slot.map(|slot| slot.as_str());
    match format {
        Format::Json => {
            let entry = |check: &Check| {
                serde_json::json!({
                    "id": check.id,
                    "level": check.level.as_str(),
                    "slot": slot(check),
                    "sentence": check.sentence,
                    "source": check.source,
                })
            };
            let all: Vec<_> = CHECKS.iter().map(entry).collect();
            console.result(&serde_json::to_string_pretty(&all)?)?;
        }
        Format::Csv => {
            let header = ["check", "level", "slot", "sentence", "source"].map(str::to_owned);
            let row = |check: &Check| {
                vec![
                    Some(check.id.to_owned()),
                    Some(check.level.as_str().to_owned()),
                    slot(check).map(str::to_owned),
                    Some(check.sentence.to_owned()),
                    Some(check.source.to_owned()),
                ]
            };
            let rows: Vec<_> = CHECKS.iter().map(row).collect();
            console.result(&to_csv(&header, &rows))?;
        }
        Format::Table => {
            for check in CHECKS.iter() {
                let level = match check.level {
                    Level::Required => "",
                    Level::Advised => " (warning only)",
                };
                console.result(&format!("{}{level}\n  {}", check.id, check.sentence))?;
            }
        }
    }
    Ok(())
}
