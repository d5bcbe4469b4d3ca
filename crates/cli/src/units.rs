//! `rat units`: the units of the NixOS module for a machine without NixOS.
//!
//! There is one truth, `nixos-module/units.nix`. Its units stand here as templates that it made
//! itself (`cargo xtask units`), and this module fills in what the settings of a machine say; a test
//! has `units.nix` make the same of the same settings and compares. Of the sandbox, the restarts and
//! the limits nothing is known here.
//!
//! Nothing is started, restarted or made a user: the commands for that are printed.

mod facts;
mod files;
mod steps;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rat_config::{Address, Settings};

use crate::arguments::UnitsArguments;
use crate::dev::BadConfiguration;
use crate::output::Console;
use facts::Facts;
use template::{Blanks, Templates};

/// Executes the command.
///
/// # Errors
/// The settings are wrong, or cannot be had in units; the prefix cannot be written.
pub fn execute(console: &Console, arguments: &UnitsArguments) -> Result<ExitCode> {
    let config = arguments
        .config
        .canonicalize()
        .with_context(|| format!("cannot find {}", arguments.config.display()))?;
    let settings = read(&config)?;
    let prefix = std::path::absolute(&arguments.prefix).context("cannot resolve the prefix")?;
    let facts = Facts::find(&settings, &config, &prefix, arguments)?;
    for program in facts.programs().iter().filter(|program| !program.is_file()) {
        console.note(&format!("There is no {} yet.", program.display()));
    }
    for unseen in facts.unseen() {
        console.note(&unseen);
    }
    let texts = render(&facts)?;
    let written = files::write(&prefix, &texts)?;
    for file in &written.files {
        console.result(&file.display().to_string())?;
    }
    console.note(&steps::next_steps(&prefix, &facts, &texts, &written));
    Ok(ExitCode::SUCCESS)
}

fn read(config: &Path) -> Result<Settings> {
    let text = std::fs::read_to_string(config)
        .map_err(|error| BadConfiguration(format!("cannot read {}: {error}", config.display())))?;
    let name = config.display().to_string();
    // The daemons get no variable of whoever writes their units.
    Settings::load(Some((&name, &text)), &BTreeMap::new())
        .map_err(|problems| BadConfiguration(problems.to_string()).into())
}

/// The text of every file, by its path below `PREFIX/lib`.
fn render(facts: &Facts) -> Result<BTreeMap<PathBuf, String>> {
    let templates = Templates::built_in()?;
    let mut files = BTreeMap::new();
    let mut unit = |name: String, template: &str, variant: &str, blanks: &Blanks| -> Result<()> {
        let text = templates.fill(template, variant, blanks)?;
        files.insert(Path::new("systemd/system").join(name), text);
        Ok(())
    };
    let blanks = facts.blanks()?;
    for name in facts::DAEMONS {
        let service = format!("{name}.service");
        unit(
            service.clone(),
            &service,
            facts.network_of(name).variant(),
            &blanks,
        )?;
    }
    for (name, setting, address) in facts.sockets() {
        let socket = format!("{name}.socket");
        let blanks = blanks.and(listen(setting, address)?);
        unit(socket.clone(), &socket, variant(address), &blanks)?;
    }
    for plugin in &facts.plugins {
        let name = format!("rat-plugin-{}", plugin.slot);
        let blanks = plugin.blanks()?;
        let template = "rat-plugin-@slot@.service";
        unit(
            format!("{name}.service"),
            template,
            &plugin.service_variant(),
            &blanks,
        )?;
        let setting = format!("plugins.{}.address", plugin.slot);
        let blanks = blanks.and(listen(&setting, &plugin.address)?);
        let template = "rat-plugin-@slot@.socket";
        let variant = format!("{}{}", variant(&plugin.address), plugin.socket_suffix());
        unit(format!("{name}.socket"), template, &variant, &blanks)?;
    }
    for slice in ["rat.slice", "rat-plugins.slice", "rat-runs.slice"] {
        unit(slice.to_owned(), slice, "-", &blanks)?;
    }
    let users = templates.fill("sysusers.d/rat.conf", "-", &blanks)?;
    files.insert(PathBuf::from("sysusers.d/rat.conf"), lines(users.lines()));
    let folders = templates.fill("tmpfiles.d/rat.conf", "-", &blanks)?;
    let folders: BTreeSet<_> = folders.lines().collect();
    files.insert(PathBuf::from("tmpfiles.d/rat.conf"), lines(folders));
    Ok(files)
}

fn lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}

/// Which template of a socket is the one for `address`.
fn variant(address: &Address) -> &'static str {
    match address {
        Address::Unix(_) => "unix",
        Address::Tcp { .. } => "port",
    }
}

/// What systemd listens on.
fn listen(setting: &str, address: &Address) -> Result<Blanks> {
    match address {
        Address::Unix(path) => Ok(Blanks::one("/@listen@", facts::plain(path)?)),
        Address::Tcp { host, port } => {
            let host = match host.as_str() {
                "localhost" => "127.0.0.1".to_owned(),
                host => match host.parse::<std::net::IpAddr>() {
                    Ok(std::net::IpAddr::V4(address)) => address.to_string(),
                    Ok(std::net::IpAddr::V6(address)) => format!("[{address}]"),
                    Err(_) => bail!(
                        "{setting}: systemd listens on a Unix socket or on an address in numbers, \
                         not on {address}"
                    ),
                },
            };
            Ok(Blanks::one(template::PORT, format!("{host}:{port}")))
        }
    }
}
