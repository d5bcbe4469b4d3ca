//! Arguments of `rat login`, `rat logout` and `rat whoami`.

use clap::Args;

use super::OutputArgument;

/// `rat login`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints an address to log in at, and opens it where there is a browser. The provider sends the browser
back to a port of this machine; where the browser is on another one, use --device, which prints a
code to type in instead.

Where to log in is what ratd says (auth.login_issuer in rat.yaml), else the options, else what they were the
last time. The login is kept in $XDG_STATE_HOME/rat/logins, else ~/.local/state/rat/logins, for this
--server, and renewed as long as the provider allows. An --api-key-file goes before it.

Examples:
  rat login
  rat login --device
  rat login --issuer https://keycloak.example.org/realms/rat --client-id rat-cli
  rat --server https://rat.example.org login -o json")]
pub struct LoginArguments {
    /// Log in with a code, in a browser on any machine
    #[arg(long)]
    pub device: bool,
    /// Only print the address
    #[arg(long, conflicts_with = "device")]
    pub no_browser: bool,
    /// The login provider, as its tokens name it
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// What rat is called there [default: rat-cli]
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// What to ask for besides openid, repeatable [default: profile, email]
    #[arg(long = "scope", value_name = "NAME")]
    pub scopes: Vec<String>,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat logout`.
#[derive(Debug, Args)]
#[command(after_help = "\
Forgets the login at this --server, and has the provider forget it too, where it can. What was sent
before stays valid until it ends by itself, mostly within minutes.

Example:
  rat logout")]
pub struct LogoutArguments {
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat whoami`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat whoami
  rat whoami -o json")]
pub struct WhoamiArguments {
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}
