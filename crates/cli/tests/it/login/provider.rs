//! A provider and the ratd that believes it, on one port; and the browser in between.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::support::{Answer, Request, Server, error, ok, rat, run, wait_for};

const CODE: &str = "code-of-the-provider";

/// What both know, and what a test may change.
pub(crate) struct Fake {
    /// Whether ratd says where to log in.
    pub(crate) says_where: bool,
    /// The access token that ratd accepts.
    pub(crate) accepted: String,
    /// The refresh token that the provider accepts; each only once.
    pub(crate) refresh_token: String,
    /// Of an access token, in seconds.
    pub(crate) lifetime: u64,
    /// Answers of the token endpoint to a device, one after the other; nothing is a token.
    pub(crate) device: Vec<&'static str>,
    /// What is different in ID tokens, and in the discovery.
    pub(crate) claims: Value,
    pub(crate) discovery: Value,
    pub(crate) is_away: bool,
    pub(crate) revoked: Vec<String>,
    pub(crate) refreshed: u32,
    /// Credentials of the requests to ratd.
    pub(crate) seen: Vec<String>,
    issued: u32,
    nonce: String,
    challenge: String,
}

pub(crate) struct World {
    server: Server,
    fake: Arc<Mutex<Fake>>,
    state: tempfile::TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        let fake = Arc::new(Mutex::new(Fake {
            says_where: true,
            accepted: "access-1".to_owned(),
            refresh_token: String::new(),
            lifetime: 300,
            device: Vec::new(),
            claims: json!({}),
            discovery: json!({}),
            is_away: false,
            revoked: Vec::new(),
            refreshed: 0,
            seen: Vec::new(),
            issued: 0,
            nonce: String::new(),
            challenge: String::new(),
        }));
        let shared = Arc::clone(&fake);
        let server = Server::start(move |request| shared.lock().unwrap().answer(request));
        Self {
            server,
            fake,
            state: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    pub(crate) fn now<T>(&self, change: impl FnOnce(&mut Fake) -> T) -> T {
        change(&mut self.fake.lock().unwrap())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.state.path()
    }

    pub(crate) fn logins(&self) -> PathBuf {
        self.state.path().join("rat/logins")
    }

    pub(crate) fn is_logged_in(&self) -> bool {
        let files = std::fs::read_dir(self.logins()).into_iter().flatten();
        files
            .flatten()
            .any(|file| file.path().extension().is_some_and(|end| end == "json"))
    }

    /// What the last request to ratd carried.
    pub(crate) fn sent(&self) -> String {
        self.now(|fake| fake.seen.last().cloned().unwrap_or_default())
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = rat();
        command.env("XDG_STATE_HOME", self.state.path());
        command
    }

    pub(crate) fn rat(&self, arguments: &[&str]) -> (i32, String, String) {
        run(self
            .command()
            .args(["--server", self.url()])
            .args(arguments))
    }

    /// Waits until whoever needs the token has to renew it.
    pub(crate) fn waits_until_the_token_is_old(&self) {
        let files = std::fs::read_dir(self.logins()).unwrap().flatten();
        let path = files
            .map(|file| file.path())
            .find(|path| path.extension().unwrap() == "json");
        let login: Value = serde_json::from_slice(&std::fs::read(path.unwrap()).unwrap()).unwrap();
        let renew_at = login["renew_at"].as_i64().unwrap();
        wait_for("the token is old", || (seconds() >= renew_at).then_some(()));
    }

    /// `rat login` with somebody who does something with the address.
    pub(crate) fn log_in(
        &self,
        arguments: &[&str],
        person: impl FnOnce(&Browser),
    ) -> (i32, String, String) {
        self.log_in_as(&mut self.command(), arguments, person)
    }

    pub(crate) fn log_in_as(
        &self,
        command: &mut Command,
        arguments: &[&str],
        person: impl FnOnce(&Browser),
    ) -> (i32, String, String) {
        let command = command.args(["--server", self.url(), "login", "--no-browser"]);
        let command = command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut err = String::new();
        let address = loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                break None;
            }
            err.push_str(&line);
            if let Some(address) = line.strip_prefix("  http") {
                break Some(format!("http{}", address.trim_end()));
            }
        };
        if let Some(address) = address {
            let browser = Browser {
                address: Url::parse(&address).unwrap(),
                issuer: format!("{}/realms/rat", self.url()),
            };
            self.now(|fake| {
                fake.nonce = browser.parameter("nonce");
                fake.challenge = browser.parameter("code_challenge");
            });
            person(&browser);
        }
        lines.read_to_string(&mut err).unwrap();
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), out, err)
    }
}

pub(crate) struct Browser {
    address: Url,
    issuer: String,
}

impl Browser {
    /// What the provider was asked for.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let mut pairs = self.address.query_pairs();
        let found = pairs.find(|(key, _)| key == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {}", self.address))
            .1
            .into_owned()
    }

    pub(crate) fn comes_back(&self) {
        let page = self.comes_back_with("");
        assert!(page.starts_with("HTTP/1.1 "), "{page}");
    }

    /// Brings the provider's answer, in which `name=value` is different and `name` is left out.
    pub(crate) fn comes_back_with(&self, change: &str) -> String {
        let mut answer = BTreeMap::from([
            ("code", CODE.to_owned()),
            ("state", self.parameter("state")),
            ("iss", self.issuer.clone()),
        ]);
        let (name, value) = change.split_once('=').unwrap_or((change, ""));
        answer.remove(name);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&answer);
        let mut query = query.finish();
        if change.contains('=') {
            query.push_str(&format!("&{name}={value}"));
        }
        let back = Url::parse(&self.parameter("redirect_uri")).unwrap();
        assert_eq!(
            (back.host_str(), back.path()),
            (Some("127.0.0.1"), "/callback")
        );
        let mut stream = TcpStream::connect(("127.0.0.1", back.port().unwrap())).unwrap();
        let request = format!("GET /callback?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }
}

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

impl Fake {
    fn answer(&mut self, request: &Request) -> Answer {
        let url = format!("http://{}", request.headers["host"]);
        match request.path.as_str() {
            "/features" if self.says_where => ok(json!({"login": {
                "issuer": format!("{url}/realms/rat"), "client_id": "rat-cli", "scopes": ["profile"],
            }})),
            "/features" => ok(json!({"edition": "pro"})),
            "/health" => ok(json!({"status": "ok", "services": {}, "plugins": {}})),
            path if path.starts_with("/api/") => self.ratd(request),
            "/text" => (200, "", "text".to_owned()),
            _ if self.is_away => (502, "", String::new()),
            "/realms/rat/.well-known/openid-configuration" => ok(self.describe(&url)),
            "/token" => self.token(request, &url),
            "/device" => self.invite(request, &url),
            "/revoke" => {
                let form = form(request);
                assert!(!form["client_id"].is_empty());
                self.revoked.push(form["token"].clone());
                (200, "", String::new())
            }
            _ => (404, "", String::new()),
        }
    }

    fn invite(&mut self, request: &Request, url: &str) -> Answer {
        let form = form(request);
        assert_eq!(form["scope"], "openid profile");
        self.challenge = form["code_challenge"].clone();
        ok(json!({
            "device_code": "device", "user_code": "ABCD-EFGH", "interval": 1, "expires_in": 3,
            "verification_uri": format!("{url}/device"),
            "verification_uri_complete": format!("{url}/device?user_code=ABCD-EFGH"),
        }))
    }

    fn ratd(&mut self, request: &Request) -> Answer {
        let sent = request
            .headers
            .get("authorization")
            .cloned()
            .unwrap_or_default();
        let is_good = sent == format!("Bearer {}", self.accepted);
        self.seen.push(sent);
        match request.path.as_str() {
            _ if !is_good => error(401, "UNAUTHENTICATED", "who is calling?"),
            "/api/v1/me" => ok(json!({
                "user_id": "u-1", "email": "anna@example.com", "display_name": "Anna Analyst",
                "roles": ["/demo:analyst"],
            })),
            _ => ok(json!({"pipelines": [], "total": 0})),
        }
    }

    fn describe(&self, url: &str) -> Value {
        let mut document = json!({
            "issuer": format!("{url}/realms/rat"),
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "device_authorization_endpoint": format!("{url}/device"),
            "revocation_endpoint": format!("{url}/revoke"),
            "authorization_response_iss_parameter_supported": true,
        });
        merge(&mut document, &self.discovery);
        document
    }

    fn token(&mut self, request: &Request, url: &str) -> Answer {
        let form = form(request);
        let no = |reason: &str| (400, "", json!({"error": reason}).to_string());
        let is_proved = |form: &BTreeMap<String, String>| {
            URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"])) == self.challenge
        };
        match form["grant_type"].as_str() {
            "authorization_code" => {
                if form["code"] != CODE || !is_proved(&form) {
                    return no("invalid_grant");
                }
            }
            "refresh_token" => {
                if form["refresh_token"] != self.refresh_token {
                    return no("invalid_grant");
                }
                self.refreshed += 1;
            }
            _ if !is_proved(&form) => return no("invalid_grant"),
            _ => match self.device.remove(0) {
                "" => {}
                reason => return no(reason),
            },
        }
        // The first one is accepted whoever made it.
        let is_first = self.accepted.starts_with("access-");
        self.issued += 1;
        let number = self.issued;
        if is_first {
            self.accepted = format!("access-{number}");
        }
        self.refresh_token = format!("refresh-{number}");
        let mut claims = json!({
            "iss": format!("{url}/realms/rat"), "aud": "rat-cli", "azp": "rat-cli",
            "exp": seconds() + 300, "nonce": self.nonce, "sub": "u-1",
        });
        merge(&mut claims, &self.claims);
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        ok(json!({
            "access_token": format!("access-{number}"), "token_type": "Bearer",
            "expires_in": self.lifetime, "refresh_token": self.refresh_token,
            "id_token": format!("e30.{claims}.AAAA"),
        }))
    }
}

fn merge(into: &mut Value, changes: &Value) {
    for (key, value) in changes.as_object().unwrap() {
        into[key] = value.clone();
    }
}

fn form(request: &Request) -> BTreeMap<String, String> {
    form_urlencoded::parse(request.body.as_bytes())
        .into_owned()
        .collect()
}
