//! A provider of another make: oidc-provider, on Node.js.
//!
//! `cargo xtask test` installs it; RAT_TEST_OIDC_PROVIDER names the folder with its node_modules.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::stack::Stack;
use crate::support::{Plugin, prerequisite};

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/oidc-provider/server.mjs"
);

struct Provider {
    url: String,
    child: Child,
    /// It says more, and ends when nobody can hear it.
    _output: BufReader<ChildStdout>,
}

impl Provider {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new("node");
        command.arg(SERVER).arg(folder).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.unwrap();
        let mut url = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://"), "oidc-provider does not start");
        Self {
            url,
            child,
            _output: lines,
        }
    }

    fn config(&self) -> Value {
        json!({
            "discovery_url": format!("{}/.well-known/openid-configuration", self.url),
            "audiences": ["rat"],
            "roles_claim": "groups",
            "prefetch_interval": "100ms",
        })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_provider_of_openid_connect_says_who_somebody_is() {
    let what = "logins with a provider of another make";
    let Some(folder) = prerequisite("RAT_TEST_OIDC_PROVIDER", what) else {
        return;
    };
    let provider = Provider::start(&folder);
    let plugin = Plugin::ready(provider.config()).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http
        .post(format!("{}/token", provider.url))
        .basic_auth("program", Some("a-secret-of-the-tests"))
        .form(&[("grant_type", "client_credentials")])
        .send();
    let answer: Value = answer.await.unwrap().json().await.unwrap();
    let token = answer["access_token"].as_str().unwrap();
    let program = plugin.accepts(token).await;
    assert_eq!(
        (program.user_id.as_str(), program.roles),
        ("program", vec!["analysts".to_owned()])
    );

    let mut other = provider.config();
    other["audiences"] = json!(["something-else"]);
    let other = Plugin::ready(other).await;
    assert_eq!(
        other.refuses(token).await,
        "the token is not for this audience"
    );

    people_log_in(&provider).await;
}

async fn people_log_in(provider: &Provider) {
    let stack = Stack::start(&provider.url, &provider.config()).await;
    stack.plugin_is("healthy").await;
    for way in ["--no-browser", "--device"] {
        let person = async |address: String| {
            Browser::of("anna").open(&address).await;
        };
        let (code, err) = stack.log_in(&[way], person).await;
        assert_eq!(code, 0, "{err}");
        let (code, out, err) = stack.rat(&["whoami", "-o", "json"]).await;
        assert_eq!(code, 0, "{err}");
        let me: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(me["user_id"], "anna");
        assert_eq!(me["email"], "anna@example.com");
        assert_eq!(stack.rat(&["logout"]).await.0, 0);
    }
}
