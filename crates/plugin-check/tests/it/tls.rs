//! A plugin behind TLS.

use std::sync::Arc;

use rat_plugin_check::{Silent, Target, TlsTexts, Verdict};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto, pki_types::PrivateKeyDer};

use crate::fake::{options, serve_stream};

#[tokio::test]
async fn a_plugin_behind_tls_is_judged_with_its_own_authority_and_not_without() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tasks.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve_stream(stream).await;
                }
            });
        }
    };
    let address = format!("https://localhost:{port}").parse().unwrap();
    let judge = async {
        let ours = TlsTexts {
            ca: Some(certified.cert.pem().into_bytes()),
            identity: None,
        };
        let only = ["health", "auth", "connect", "connection.reachable"];
        let judge = |tls: TlsTexts| {
            let target = Target::new(Clone::clone(&address), &tls).unwrap();
            rat_plugin_check::run(target, options(&only), &Silent)
        };
        (
            judge(ours).await.unwrap(),
            judge(TlsTexts::default()).await.unwrap(),
        )
    };
    let (with, without) = tokio::select! {
        both = judge => both,
        () = serve => unreachable!("it serves for ever"),
    };
    assert!(with.is_success(true), "{:#?}", with.checks);
    let reachable = without.finding("connection.reachable").unwrap();
    assert_eq!(reachable.verdict, Verdict::Fail);
    assert!(
        reachable.detail.contains("certificate"),
        "{}",
        reachable.detail
    );
}

#[test]
fn certificates_for_an_address_without_tls_are_an_error() {
    let tls = TlsTexts {
        ca: Some(b"x".to_vec()),
        identity: None,
    };
    assert!(Target::new("127.0.0.1:1".parse().unwrap(), &tls).is_err());
    assert!(Target::new("https://localhost:1".parse().unwrap(), &tls).is_err());
}
