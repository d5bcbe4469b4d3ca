//! Arguments of `rat dev`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use rat_config::Address;

/// `rat dev`.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder holds everything: rat.yaml, the database, the lake, the sockets and, under log/, the
output of each program. The same folder gives the same data again; deleting it forgets all.
ratd, rat-runner and ratq are taken from beside this program, else from PATH. One that crashes is
started again. Ctrl-C stops them in order; a second Ctrl-C kills them.

Exit codes: 0 stopped by Ctrl-C or SIGTERM (or --once succeeded), 1 something failed, 2 the command
line is wrong, 78 the configuration is wrong.

Examples:
  rat dev
  rat dev --demo tpch
  rat dev --config my/rat.yaml --plugin 'my/plugin --listen unix:/tmp/my.sock'
  rat dev --demo tpch --scale 0.01 --once --dir /tmp/rat-demo")]
pub struct DevArguments {
    /// Private folder [default: $XDG_STATE_HOME/rat/dev, else ~/.local/state/rat/dev]
    #[arg(long = "dir", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Use this rat.yaml instead of writing one; what it leaves open is in the folder all the same
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    pub config: Option<PathBuf>,
    /// Where ratd listens: host:port or unix:/path [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<Address>,
    /// Program of a plugin with its arguments, repeatable: it is started and watched, too
    #[arg(long, value_name = "COMMAND")]
    pub plugin: Vec<String>,
    /// Load and run an example project, then keep serving
    #[arg(long, value_name = "NAME", value_enum)]
    pub demo: Option<Demo>,
    /// Size of the demo's data, 0.01 to 100: 1 is about 1 GB of text
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1, requires = "demo", value_parser = parse_scale)]
    pub scale: f64,
    /// Exit when the demo has run instead of serving on; not 0 if anything failed
    #[arg(long, requires = "demo")]
    pub once: bool,
}

/// The example projects that this program carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Demo {
    /// TPC-H: eight tables, two joins, the reports Q1, Q3, Q5 and Q6
    Tpch,
}

/// Below a hundredth there are too few suppliers for TPC-H's keys: some come twice.
fn parse_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.01..=100.0).contains(&scale) => Ok(scale),
        _ => Err("it must be a number from 0.01 to 100".to_owned()),
    }
}

/// `rat dev-child`, which `rat dev` starts and which is not for people: it is kept apart from the
/// commands, so that neither help nor completions show it.
#[derive(Debug, Parser)]
#[command(name = "rat dev-child")]
pub struct DevChildArguments {
    /// Process id of the parent, whose death is this program's death
    #[arg(long)]
    pub parent: i32,
    /// Program and arguments
    #[arg(required = true, last = true)]
    pub command: Vec<OsString>,
}

impl DevChildArguments {
    /// The first argument that asks for it.
    pub const NAME: &str = "dev-child";
}
