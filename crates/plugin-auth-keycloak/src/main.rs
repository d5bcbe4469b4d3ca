//! The plugin's process; everything else is in the library.

use std::process::ExitCode;

use rat_plugin_auth_keycloak::{Keycloak, MAX_CALLS};
use rat_plugin_sdk::{Server, serve};

fn main() -> ExitCode {
    serve(Server::<Keycloak>::new().auth().max_calls(MAX_CALLS))
}
