//! A ratd behind TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{rat, run};

/// A server that is always well, and the authority that signed its certificate.
fn server() -> (String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // A client that does not trust us goes away.
            if stream.read(&mut [0; 4096]).is_err() {
                continue;
            }
            let body = r#"{"status": "ok"}"#;
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 16\r\n\r\n";
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (url, authority)
}

#[test]
fn the_systems_authorities_are_believed_and_nobody_else() {
    let (url, authority) = server();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    let health = || {
        run(rat()
            .args(["--server", &url, "health", "-o", "json"])
            .env("SSL_CERT_FILE", &file)
            .env_remove("SSL_CERT_DIR"))
    };
    std::fs::write(&file, authority).unwrap();
    assert_eq!(
        health(),
        (0, "{\"status\": \"ok\"}\n".into(), String::new())
    );
    std::fs::write(&file, server().1).unwrap();
    let (code, out, err) = health();
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.starts_with(&format!("error: cannot reach ratd at {url}"))
            && err.contains("certificate"),
        "{err}"
    );
}
