//! Arguments of `rat units`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

/// `rat units`.
#[derive(Debug, Args)]
#[command(after_help = "\
What is written is what the NixOS module makes, for any machine with systemd 254 or later:
  PREFIX/lib/systemd/system/   units of ratd, rat-runner, ratq, and of each plugin whose address is
                               a Unix socket or on loopback
  PREFIX/lib/sysusers.d/       their users
  PREFIX/lib/tmpfiles.d/       their folders
Programs are expected in PREFIX/bin: ratd, rat-runner, ratq, and for a plugin rat-plugin-<name>, the
name being that of its slot in rat.yaml. Units that an earlier call wrote and that are not needed any
more are removed. What has to be started and restarted is printed. Settings in rat.yaml that name a
secret without a path are taken from /etc/credstore.

Examples:
  rat units --config /etc/rat/rat.yaml
  rat units --config /etc/rat/rat.yaml --network auth=192.0.2.10 --network auth=127.0.0.53
  rat units --config /etc/rat/rat.yaml --prefix /opt/rat --credential database-url=/etc/rat/db-url")]
pub struct UnitsArguments {
    /// Settings file, where the daemons will read it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where the programs are, and the units will be
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    pub prefix: PathBuf,
    /// Whom a plugin may reach, repeatable: an address, a block, localhost or any. Without it, it has
    /// no network
    #[arg(long, value_name = "SLOT=ADDRESS", value_parser = of_slot::<Reachable>)]
    pub network: Vec<OfSlot<Reachable>>,
    /// File with a secret for ratd, or for the plugin of a slot, repeatable
    #[arg(long, value_name = "[SLOT:]NAME=FILE")]
    pub credential: Vec<Credential>,
    /// The plugin of the slot is not built on rat-plugin-sdk: it does not tell systemd that it is
    /// ready and lives, and takes no --configure-from; repeatable
    #[arg(long, value_name = "SLOT")]
    pub without_sdk: Vec<String>,
}

/// Something that is said of a plugin.
#[derive(Debug, Clone)]
pub struct OfSlot<T> {
    /// The plugin's slot.
    pub slot: String,
    /// What is said.
    pub value: T,
}

fn of_slot<T: FromStr<Err = String>>(text: &str) -> Result<OfSlot<T>, String> {
    let (slot, value) = text.split_once('=').ok_or("it must be SLOT=VALUE")?;
    Ok(OfSlot {
        slot: slot.to_owned(),
        value: value.parse()?,
    })
}

/// Whom a process may reach, in a word of systemd's `IPAddressAllow=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable(pub String);

impl FromStr for Reachable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_word = ["any", "localhost", "link-local", "multicast"].contains(&text);
        if is_word || text.parse::<rat_config::Cidr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err(
            "it must be an address, a block such as 192.0.2.0/24, localhost or any; systemd knows no \
             host names"
                .to_owned(),
        )
    }
}

/// A file that systemd hands to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Whose plugin gets it; `None` is ratd.
    pub slot: Option<String>,
    /// Its name in `$CREDENTIALS_DIRECTORY`.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

impl FromStr for Credential {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (left, file) = text.split_once('=').ok_or("it must be [SLOT:]NAME=FILE")?;
        let (slot, name) = match left.split_once(':') {
            Some((slot, name)) => (Some(slot.to_owned()), name),
            None => (None, left),
        };
        if name.is_empty() || !file.starts_with('/') {
            return Err("it must be [SLOT:]NAME=FILE, with the absolute path of a file".to_owned());
        }
        Ok(Self {
            slot,
            name: name.to_owned(),
            file: PathBuf::from(file),
        })
    }
}
