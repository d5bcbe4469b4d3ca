//! A provider with one RSA key and one of Ed25519, and tokens like Keycloak's.

use std::hint::black_box;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    Ed25519KeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::microseconds;

/// The key of the plugin's own tests.
const RSA: &[u8] = include_bytes!("../../../../../plugin-auth-keycloak/tests/it/keys/rsa.der");
/// Long enough for everything.
const LIFETIME: u64 = 24 * 3600;

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Rsa,
    Edwards,
}

pub(super) struct Provider {
    url: String,
    rsa: RsaKeyPair,
    edwards: Ed25519KeyPair,
    random: SystemRandom,
    expires: u64,
    server: JoinHandle<()>,
}

impl Provider {
    pub(super) async fn start() -> Result<Self> {
        let random = SystemRandom::new();
        let rsa = RsaKeyPair::from_pkcs8(RSA).map_err(|error| anyhow!("no RSA key: {error}"))?;
        let document = Ed25519KeyPair::generate_pkcs8(&random);
        let document = document.map_err(|_| anyhow!("no key can be made"))?;
        let edwards = Ed25519KeyPair::from_pkcs8(document.as_ref());
        let edwards = edwards.map_err(|error| anyhow!("no key: {error}"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let public: PublicKeyComponents<Vec<u8>> = rsa.public().into();
        let keys = json!({"keys": [
            {"kty": "RSA", "kid": "rsa", "use": "sig", "n": encode(&public.n), "e": encode(&public.e)},
            {"kty": "OKP", "crv": "Ed25519", "kid": "edwards", "x": encode(edwards.public_key())},
        ]});
        let discovery = json!({
            "issuer": format!("{url}/realms/rat"), "jwks_uri": format!("{url}/keys"),
        });
        let server = tokio::spawn(serve(listener, discovery.to_string(), keys.to_string()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(Self {
            url,
            rsa,
            edwards,
            random,
            expires: now + LIFETIME,
            server,
        })
    }

    /// Of the plugin.
    pub(super) fn config(&self) -> Value {
        json!({
            "keycloak_url": self.url, "realm": "rat", "client_id": "rat-api",
            "algorithms": ["RS256", "EdDSA"], "prefetch_interval": "100ms",
        })
    }

    pub(super) fn token(&self, kind: Kind, number: usize) -> String {
        let (algorithm, id) = match kind {
            Kind::Rsa => ("RS256", "rsa"),
            Kind::Edwards => ("EdDSA", "edwards"),
        };
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": id});
        let claims = json!({
            "exp": self.expires, "iat": self.expires - LIFETIME, "auth_time": self.expires - LIFETIME,
            "jti": format!("onrtac:{number:032x}"), "iss": format!("{}/realms/rat", self.url),
            "aud": "account", "sub": format!("00000000-0000-4000-8000-{number:012x}"),
            "typ": "Bearer", "azp": "rat-api", "sid": format!("{number:032x}"), "acr": "1",
            "realm_access": {"roles": ["default-roles-rat", "offline_access", "uma_authorization"]},
            "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
            "scope": "openid profile email", "email_verified": true, "name": "Anna Analyst",
            "preferred_username": "analyst", "given_name": "Anna", "family_name": "Analyst",
            "email": "analyst@example.com", "policy": ["/demo:analyst"],
        });
        let message = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = match kind {
            Kind::Rsa => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(
                        &RSA_PKCS1_SHA256,
                        &self.random,
                        message.as_bytes(),
                        &mut signature,
                    )
                    .expect("the buffer has the length of the key");
                signature
            }
            Kind::Edwards => self.edwards.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", encode(signature))
    }

    /// Verifies so many signatures, with nothing around it.
    pub(super) fn verify(
        &self,
        tokens: &[String],
        count: usize,
        times: &mut Vec<f64>,
    ) -> Result<()> {
        let public: PublicKeyComponents<Vec<u8>> = self.rsa.public().into();
        let parts: Vec<(&str, Vec<u8>)> = tokens
            .iter()
            .map(|token| {
                let (message, signature) = token.rsplit_once('.').context("no signature")?;
                Ok((message, URL_SAFE_NO_PAD.decode(signature)?))
            })
            .collect::<Result<_>>()?;
        for (message, signature) in parts.iter().cycle().take(count) {
            let begun = Instant::now();
            let verified = public.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                black_box(message.as_bytes()),
                black_box(signature),
            );
            times.push(microseconds(begun.elapsed()));
            ensure!(verified.is_ok(), "the signature is wrong");
        }
        Ok(())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn serve(listener: TcpListener, discovery: String, keys: String) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = [0; 4096];
        let Ok(length) = stream.read(&mut head).await else {
            continue;
        };
        let body = match head[..length].starts_with(b"GET /keys ") {
            true => &keys,
            false => &discovery,
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        // Whoever went away asks again.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}
