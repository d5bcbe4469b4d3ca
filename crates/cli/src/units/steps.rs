//! What a person has to do once the files are written.
//!
//! systemd does not move a socket that is open, and does not touch what runs, when it reads its
//! units again. So what was replaced is compared with what is there now: a restart is only asked for
//! where it changes something.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::facts::{DAEMONS, Facts};
use super::files::Written;

/// Lines of a socket that count as soon as systemd has read them, or for the next boot.
const WITHOUT_RESTART: [&str; 3] = ["Description=", "TriggerLimit", "WantedBy="];
const RATD: &str = "ratd.service";

/// What became of the units that were there before.
#[derive(Debug, Default)]
struct Changes {
    /// Sockets that go on as they were until they are restarted; their services go with them.
    sockets: BTreeSet<String>,
    /// Services besides those.
    services: BTreeSet<String>,
    /// Units for which it is enough that systemd reads them.
    read: BTreeSet<String>,
    /// ratd has to find out which plugins there are, and where.
    plugins: bool,
}

impl Changes {
    fn find(texts: &BTreeMap<PathBuf, String>, written: &Written) -> Self {
        let mut changes = Self::default();
        let mut gone_along = BTreeSet::new();
        let mut follow = Vec::new();
        let was_there = !written
            .added
            .contains(&Path::new("systemd/system").join(RATD));
        for (file, text) in texts {
            let Some(name) = file.file_name().map(|name| name.to_string_lossy()) else {
                continue;
            };
            let is_plugin = name.starts_with("rat-plugin-") && name.ends_with(".socket");
            let Some(before) = written.replaced.get(file) else {
                changes.plugins |= is_plugin && was_there && written.added.contains(file);
                continue;
            };
            match Path::new(&*name).extension().and_then(|end| end.to_str()) {
                Some("service") => {
                    changes.services.insert(name.into_owned());
                }
                Some("socket") if lasting(before) != lasting(text) => {
                    gone_along.extend(service_of(text));
                    changes.plugins |= is_plugin;
                    follow.push(name.to_string());
                    changes.sockets.insert(name.into_owned());
                }
                Some("socket" | "slice") => {
                    changes.read.insert(name.into_owned());
                }
                _ => {}
            }
        }
        for socket in &follow {
            // They read the address when they start.
            let callers: &[&str] = match socket.as_str() {
                "rat-runner.socket" | "ratq.socket" => &[RATD],
                "ratd-internal.socket" => &["rat-runner.service", "ratq.service"],
                _ => &[],
            };
            changes
                .services
                .extend(callers.iter().map(|name| (*name).to_owned()));
        }
        changes.services.retain(|name| !gone_along.contains(name));
        let removed = |name: &String| name.starts_with("rat-plugin-");
        changes.plugins |= written.removed.iter().any(removed);
        changes.plugins &= !changes.services.contains(RATD) && !gone_along.contains(RATD);
        changes
    }
}

/// What of a socket stays as it is until it is opened anew.
fn lasting(text: &str) -> Vec<&str> {
    let counts_at_once = |line: &&str| WITHOUT_RESTART.iter().any(|key| line.starts_with(key));
    text.lines().filter(|line| !counts_at_once(line)).collect()
}

fn service_of(text: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("Service=").map(str::to_owned))
}

fn words(names: &BTreeSet<String>) -> String {
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    names.join(" ")
}

/// The text for whoever called; `texts` is what is there now.
pub(super) fn next_steps(
    prefix: &Path,
    facts: &Facts,
    texts: &BTreeMap<PathBuf, String>,
    written: &Written,
) -> String {
    if written.is_nothing() {
        return "No file has changed. If the steps that were printed when they were written are done, \
                nothing is to be done for the units; `systemctl reload ratd` makes it read plugins and \
                log in rat.yaml again, and all else there takes a restart."
            .to_owned();
    }
    let changes = Changes::find(texts, written);
    let mut steps = Vec::new();
    if !written.removed.is_empty() {
        let removed = written.removed.join(" ");
        steps.push(format!("systemctl stop {removed}"));
        steps.push(format!("systemctl disable {removed}"));
    }
    let lib = prefix.join("lib");
    if ["/usr/local", "/usr"].map(Path::new).contains(&prefix) {
        steps.push("systemd-sysusers && systemd-tmpfiles --create".to_owned());
    } else {
        let lib = lib.display();
        steps.push(format!("systemd-sysusers {lib}/sysusers.d/rat.conf"));
        steps.push(format!(
            "systemd-tmpfiles --create {lib}/tmpfiles.d/rat.conf"
        ));
        steps.push(format!("systemctl link {lib}/systemd/system/rat*"));
    }
    steps.push("systemctl daemon-reload".to_owned());
    if !changes.sockets.is_empty() {
        steps.push(format!(
            "systemctl restart {}  # with their services",
            words(&changes.sockets)
        ));
    }
    steps.push(format!("systemctl enable --now {}", enabled(facts)));
    if !changes.services.is_empty() {
        let services = words(&changes.services);
        steps.push(format!("systemctl try-restart {services}"));
    }
    if changes.plugins {
        steps.push(format!("systemctl try-reload-or-restart {RATD}"));
    }
    let steps: Vec<_> = steps.iter().map(|step| format!("  {step}")).collect();
    let mut text = format!("Next, as root:\n{}", steps.join("\n"));
    if !changes.read.is_empty() {
        let read = words(&changes.read);
        text += &format!("\nThe daemon-reload is enough for {read}.");
    }
    text
}

/// What has to be there after the next boot, too. Plugins are started by their sockets.
fn enabled(facts: &Facts) -> String {
    let sockets = facts.sockets().into_iter();
    let sockets = sockets.map(|(name, ..)| format!("{name}.socket"));
    let plugins = facts
        .plugins
        .iter()
        .map(|plugin| format!("rat-plugin-{}.socket", plugin.slot));
    let services = DAEMONS.map(|name| format!("{name}.service"));
    let all: Vec<_> = sockets.chain(plugins).chain(services).collect();
    all.join(" ")
}
