//! A provider behind TLS, whose authority the system does not know.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use crate::support::{Pair, Plugin, now, set};

/// An authority, and a certificate that it signed for `127.0.0.1`.
fn certificates() -> (String, ServerConfig) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
    (authority, config)
}

/// Its address.
async fn provider(config: ServerConfig, pair: &Pair) -> (String, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let discovery = json!({
        "issuer": format!("{url}/realms/rat"), "jwks_uri": format!("{url}/keys"),
    });
    let keys = set(&[pair.jwk("one")]).to_string();
    let discovery = discovery.to_string();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            let is_keys = head[..length].starts_with(b"GET /keys ");
            let body = if is_keys { &keys } else { &discovery };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (url, AbortOnDropHandle::new(server))
}

fn config(url: &str, authority: &Path) -> serde_json::Value {
    json!({
        "keycloak_url": url, "realm": "rat", "ca_file": authority, "prefetch_interval": "50ms",
    })
}

#[tokio::test]
async fn a_provider_is_believed_by_the_authority_that_is_configured_and_by_no_other() {
    let (authority, server) = certificates();
    let pair = Pair::rsa();
    let (url, _server) = provider(server, &pair).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    let plugin = Plugin::ready(config(&url, &file)).await;
    let claims = json!({
        "iss": format!("{url}/realms/rat"), "sub": "anna", "exp": now() + 60, "typ": "Bearer",
    });
    assert_eq!(plugin.accepts(&pair.token(&claims)).await.user_id, "anna");

    std::fs::write(&file, certificates().0).unwrap();
    let plugin = Plugin::start(config(&url, &file)).await;
    while !plugin.becomes("down").await.contains("certificate") {
        tokio::task::yield_now().await;
    }
}
