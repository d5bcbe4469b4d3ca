//! A provider whose every answer is the test's, and tokens with every byte the test's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rat_plugin_auth_keycloak::{Keycloak, MAX_CALLS};
use rat_plugin_sdk::auth::{AuthenticateRequest, AuthenticateResponse};
use rat_plugin_sdk::messages::HealthCheckRequest;
use rat_plugin_sdk::testing::Harness;
use rat_plugin_sdk::{Server, Status};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// What a test needs that not every machine has, or `None` after saying that it is left out.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn prerequisite(variable: &str, tests: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    assert!(
        std::env::var_os("RAT_REQUIRE_ALL").is_none(),
        "{variable} is not set, for {tests}"
    );
    eprintln!("SKIPPED: {tests}: {variable} is not set");
    None
}

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// How the provider answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Document(String),
    Status(u16),
    Redirect(String),
    /// Never.
    Hangs,
}

impl From<Value> for Answer {
    fn from(document: Value) -> Self {
        Self::Document(document.to_string())
    }
}

#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) discovery: Mutex<Answer>,
    pub(crate) keys: Mutex<Answer>,
    pub(crate) asked_for_keys: AtomicU32,
}

/// A provider on a port of its own.
pub(crate) struct Provider {
    pub(crate) url: String,
    pub(crate) answers: Arc<Answers>,
    _server: AbortOnDropHandle<()>,
}

async fn discovery(State(answers): State<Arc<Answers>>) -> Response {
    let answer = answers.discovery.lock().unwrap().clone();
    send(answer).await
}

async fn keys(State(answers): State<Arc<Answers>>) -> Response {
    answers.asked_for_keys.fetch_add(1, Ordering::SeqCst);
    let answer = answers.keys.lock().unwrap().clone();
    send(answer).await
}

async fn send(answer: Answer) -> Response {
    match answer {
        Answer::Document(text) => {
            ([(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        Answer::Status(code) => StatusCode::from_u16(code).unwrap().into_response(),
        Answer::Redirect(to) => Redirect::temporary(&to).into_response(),
        Answer::Hangs => std::future::pending().await,
    }
}

impl Provider {
    /// With these keys.
    pub(crate) async fn start(keys_served: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let document = json!({
            "issuer": format!("{url}/realms/rat"),
            "jwks_uri": format!("{url}/realms/rat/certs"),
        });
        let answers = Arc::new(Answers {
            discovery: Mutex::new(document.into()),
            keys: Mutex::new(keys_served.into()),
            asked_for_keys: AtomicU32::new(0),
        });
        let router = Router::new()
            .route(
                "/realms/rat/.well-known/openid-configuration",
                get(discovery),
            )
            .route("/realms/rat/certs", get(keys))
            .route("/realms/rat/certs-moved", get(keys))
            .with_state(Arc::clone(&answers));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            answers,
            _server: AbortOnDropHandle::new(server),
        }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("{}/realms/rat", self.url)
    }

    pub(crate) fn now_serves(&self, keys: impl Into<Answer>) {
        *self.answers.keys.lock().unwrap() = keys.into();
    }

    pub(crate) fn now_describes_itself(&self, discovery: impl Into<Answer>) {
        *self.answers.discovery.lock().unwrap() = discovery.into();
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> u32 {
        self.answers.asked_for_keys.load(Ordering::SeqCst)
    }

    /// The plugin's configuration; `more` is over it.
    pub(crate) fn config(&self, more: Value) -> Value {
        let mut config = json!({
            "keycloak_url": self.url,
            "realm": "rat",
            "prefetch_interval": "50ms",
            "retry_interval": "50ms",
            "request_timeout": "10s",
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    }

    /// Claims that are accepted.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.issuer(),
            "sub": "6f1c7f0e-6d1f-4a7e-9d53-0d8f0c6a2f11",
            "exp": now() + 300,
            "iat": now(),
            "typ": "Bearer",
            "azp": "rat-api",
            "aud": "account",
            "email": "anna@example.com",
            "name": "Anna Analyst",
            "preferred_username": "anna",
            "policy": ["/admin", "/demo:analyst"],
        })
    }
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

/// A running plugin.
pub(crate) struct Plugin(pub(crate) Harness);

impl Plugin {
    pub(crate) async fn start(config: Value) -> Self {
        let server = Server::<Keycloak>::new().auth().max_calls(MAX_CALLS);
        Self(Harness::start(server, config).await.unwrap())
    }

    /// One that has the keys.
    pub(crate) async fn ready(config: Value) -> Self {
        let plugin = Self::start(config).await;
        plugin.becomes("healthy").await;
        plugin
    }

    pub(crate) async fn accepts(&self, token: &str) -> AuthenticateResponse {
        self.judge(token).await.unwrap()
    }

    /// The reason for which a token is refused.
    pub(crate) async fn refuses(&self, token: &str) -> String {
        let status = self.judge(token).await.expect_err("the token was accepted");
        assert_eq!(
            status.code(),
            rat_plugin_sdk::Code::Unauthenticated,
            "{status}"
        );
        status.message().to_owned()
    }

    pub(crate) async fn judge(&self, token: &str) -> Result<AuthenticateResponse, Status> {
        let token = token.to_owned();
        let mut client = self.0.auth();
        let answer = client.authenticate(AuthenticateRequest { token }).await;
        answer.map(|answer| answer.into_inner())
    }

    pub(crate) async fn health(&self) -> (String, String) {
        let answer = self.0.control().health_check(HealthCheckRequest {}).await;
        let answer = answer.unwrap().into_inner();
        (answer.status, answer.message)
    }

    /// Waits for a word of health, and answers with what goes with it.
    pub(crate) async fn becomes(&self, wanted: &str) -> String {
        let begun = std::time::Instant::now();
        loop {
            let (status, message) = self.health().await;
            if status == wanted {
                return message;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "not {wanted} but {status}: {message}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair of the provider, or of somebody else.
pub(crate) enum Pair {
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair, &'static str),
    Edwards(Ed25519KeyPair),
}

impl Pair {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(include_bytes!("keys/rsa.der")).unwrap())
    }

    pub(crate) fn other_rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(include_bytes!("keys/rsa-other.der")).unwrap())
    }

    pub(crate) fn p256() -> Self {
        Self::curve(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    pub(crate) fn p384() -> Self {
        Self::curve(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
    }

    fn curve(algorithm: &'static EcdsaSigningAlgorithm, name: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Curve(
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
            name,
        )
    }

    pub(crate) fn ed25519() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Edwards(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    /// The public half as a JWK.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let mut key = match self {
            Self::Rsa(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": encode(public.n), "e": encode(public.e)})
            }
            Self::Curve(pair, name) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": name, "x": encode(x), "y": encode(y)})
            }
            Self::Edwards(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())})
            }
        };
        key["kid"] = json!(id);
        key["use"] = json!("sig");
        key
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let encoding: &dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Curve(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with these bytes, really signed.
    pub(crate) fn sign_text(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(payload));
        let header: Value = serde_json::from_str(header).unwrap_or_default();
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signature = self.sign(algorithm, message.as_bytes());
        format!("{message}.{}", encode(signature))
    }

    /// A token as it should be.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign_text(
            r#"{"alg":"RS256","typ":"JWT","kid":"one"}"#,
            &claims.to_string(),
        )
    }
}

pub(crate) fn set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

/// A provider with one RSA key named `one`, and the plugin that has it.
pub(crate) async fn usual(more: Value) -> (Provider, Pair, Plugin) {
    let pair = Pair::rsa();
    let provider = Provider::start(set(&[pair.jwk("one")])).await;
    let plugin = Plugin::ready(provider.config(more)).await;
    (provider, pair, plugin)
}
