//! Where a plugin's configuration comes from, and how it is checked.
//!
//! Three sources, each over the one before:
//!
//! 1. ratd, which sends the plugin's `config` of `rat.yaml` by `Configure`: over a Unix socket, and
//!    only from ratd's user (the plugin's own, root, or one named by `--configure-from`);
//! 2. the file of `--config`, YAML or JSON; SIGHUP reads it again;
//! 3. the environment: `AUTH_KEYCLOAK_URL` is the key `url` of the plugin `auth-keycloak`,
//!    `AUTH_KEYCLOAK_CACHE__SIZE` is `size` in `cache`. A value that is not a string is written as
//!    in YAML. An empty variable is none. [`Plugin::VARIABLES`](crate::Plugin::VARIABLES) gives
//!    keys variables with names of their own.
//!
//! Mappings are merged key by key, anything else is replaced; where two sources give a key another
//! value, that is logged, without the values. The result is checked against the JSON Schema of
//! [`Plugin::Config`](crate::Plugin::Config), and every mistake is told at once: on standard error
//! with exit code 78 at the start, as INVALID_ARGUMENT to ratd, as a line of log after SIGHUP; in
//! the last two cases the plugin keeps the configuration that it has. A plugin on a Unix socket
//! that lacks only keys at the top waits for ratd to send them, and is `down` meanwhile.
//!
//! No message holds a value, nor a key of a mapping that the schema does not name: both may be
//! secrets.

mod schema;
mod sources;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Invalid;

pub(crate) use schema::Schema;
pub(crate) use sources::{Checked, Sources, prefix_of};

/// Larger files are no configuration.
const MAX_FILE: u64 = 4 << 20;

/// The configuration of a plugin that has none.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads a file that the key `key` of the configuration names, YAML or JSON, with the same checks
/// as the configuration itself.
///
/// # Errors
/// The file cannot be read, or its content is not a `T`: every mistake.
pub fn read<T: DeserializeOwned + JsonSchema>(key: &str, path: &Path) -> Result<T, Invalid> {
    let origin = |invalid: Invalid| {
        invalid.map(|mut problem| {
            problem.origin = path.display().to_string();
            problem
        })
    };
    let content = parse_file(path).map_err(|error| Invalid::new(key, error))?;
    Schema::of::<T>().read(&content).map_err(origin)
}

/// A file's content as a tree.
fn parse_file(path: &Path) -> Result<Value, String> {
    let text =
        read_text(path).map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_yaml::from_str(&text).map_err(|error| {
        // The parser's message may quote the text; where it stopped is enough to find it.
        let place = error
            .location()
            .map(|at| format!(" at line {} column {}", at.line(), at.column()))
            .unwrap_or_default();
        format!("{} is neither YAML nor JSON{place}", path.display())
    })
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        let message = format!("it has more than {MAX_FILE} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}
