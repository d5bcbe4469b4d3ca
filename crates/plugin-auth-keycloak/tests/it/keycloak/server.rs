//! Starting Keycloak, asking it for tokens, and changing it through its admin API.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Java takes its time on a small machine that does something else besides.
const START: Duration = Duration::from_secs(400);
const PASSWORD: &str = "an-administrator-of-tests";

/// A Keycloak of the test's own.
pub(crate) struct Keycloak {
    home: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    http: reqwest::Client,
    server: Option<Child>,
}

impl Keycloak {
    /// Takes a copy: Keycloak writes into its own folder.
    pub(crate) fn unpack(distribution: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("keycloak");
        let copied = Command::new("cp")
            .arg("-r")
            .args([distribution, &home])
            .status();
        assert!(copied.unwrap().success());
        let import = home.join("data/import");
        fs::create_dir_all(&import).unwrap();
        let realm =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/keycloak/rat-realm.json");
        fs::copy(realm, import.join("rat-realm.json")).unwrap();
        // Keycloak takes no socket: nobody else should want this port in the meantime.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self {
            home,
            folder,
            port,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            server: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn start(&mut self) {
        let log = File::create(self.folder.path().join("log")).unwrap();
        let server = Command::new("bash")
            .arg(self.home.join("bin/kc.sh"))
            .args(["start-dev", "--import-realm", "--http-host=127.0.0.1"])
            .arg(format!("--http-port={}", self.port))
            .env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx384m")
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // The script may leave Java behind: all of it is ended together.
            .process_group(0)
            .spawn();
        self.server = Some(server.unwrap());
    }

    pub(crate) async fn is_ready(&mut self) {
        let begun = Instant::now();
        let url = format!("{}/realms/rat", self.url());
        loop {
            if let Ok(answer) = self.http.get(&url).send().await
                && answer.status().is_success()
            {
                return;
            }
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            let is_late = begun.elapsed() > START;
            if ended.is_some() || is_late {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                panic!("Keycloak does not start ({ended:?}): {log}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn stop(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        // By kill(1): this crate signals nothing else.
        let group = format!("-{}", server.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = server.wait();
    }

    /// A token of the master realm.
    pub(crate) async fn administrator(&self) -> String {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", PASSWORD),
        ];
        token(&self.http, &self.url(), "master", &form).await
    }

    pub(crate) async fn change_realm(&self, change: &Value) {
        let request = self.http.put(format!("{}/admin/realms/rat", self.url()));
        self.send(request.json(change)).await;
    }

    /// How many logins a user has.
    pub(crate) async fn sessions(&self, user: &str) -> usize {
        let users = format!("{}/admin/realms/rat/users", self.url());
        let found = self
            .http
            .get(&users)
            .query(&[("username", user), ("exact", "true")]);
        let found: Vec<Value> = self.send(found).await.json().await.unwrap();
        let id = found[0]["id"].as_str().unwrap();
        let sessions = self.http.get(format!("{users}/{id}/sessions"));
        let sessions: Vec<Value> = self.send(sessions).await.json().await.unwrap();
        sessions.len()
    }

    /// A key that comes before the one that there is.
    pub(crate) async fn add_key(&self) {
        let realm = self.http.get(format!("{}/admin/realms/rat", self.url()));
        let realm: Value = self.send(realm).await.json().await.unwrap();
        let key = json!({
            "name": "newer",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm["id"],
            "config": {"priority": ["1000"], "algorithm": ["RS256"], "keySize": ["2048"]},
        });
        let request = self.http.post(self.components());
        self.send(request.json(&key)).await;
    }

    pub(crate) async fn remove_first_key(&self) {
        let kind = [("type", "org.keycloak.keys.KeyProvider")];
        let listed = self.http.get(self.components()).query(&kind);
        let listed: Vec<Value> = self.send(listed).await.json().await.unwrap();
        let first = listed
            .iter()
            .find(|key| key["name"] == "rsa-generated")
            .unwrap();
        let id = first["id"].as_str().unwrap();
        self.send(self.http.delete(format!("{}/{id}", self.components())))
            .await;
    }

    fn components(&self) -> String {
        format!("{}/admin/realms/rat/components", self.url())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Response {
        let token = self.administrator().await;
        let answer = request.bearer_auth(token).send().await.unwrap();
        answer.error_for_status().unwrap()
    }
}

impl Drop for Keycloak {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A realm to get tokens of.
pub(crate) struct Realm {
    http: reqwest::Client,
    url: String,
    name: &'static str,
}

impl Realm {
    pub(crate) fn new(keycloak: &Keycloak, name: &'static str) -> Self {
        Self {
            http: keycloak.http.clone(),
            url: keycloak.url(),
            name,
        }
    }

    /// Of a user of the example, whose password is the name.
    pub(crate) async fn password(&self, client: &str, user: &str) -> String {
        let form = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", user),
            ("password", user),
        ];
        token(&self.http, &self.url, self.name, &form).await
    }

    /// Of a program.
    pub(crate) async fn client(&self, client: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", "rat-api-demo-secret"),
        ];
        token(&self.http, &self.url, self.name, &form).await
    }
}

async fn token(http: &reqwest::Client, url: &str, realm: &str, form: &[(&str, &str)]) -> String {
    let url = format!("{url}/realms/{realm}/protocol/openid-connect/token");
    let answer = http.post(url).form(form).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let token = answer["access_token"].as_str();
    token
        .unwrap_or_else(|| panic!("no token but {answer}"))
        .to_owned()
}
