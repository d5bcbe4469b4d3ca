//! TLS: who may have signed the plugin's certificate, and what ratd shows.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rat_api::Holder;
use rat_config::Slot;
use rcgen::{CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use crate::support::plugin::{Script, Served, Services, port};
use crate::support::{Rig, line};

/// An authority, and certificates of it, as PEM files.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        for name in ["localhost", "ratd"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            let path = |end: &str| folder.path().join(format!("{name}.{end}"));
            fs::write(path("pem"), certificate.pem()).unwrap();
            fs::write(path("key"), key.serialize_pem()).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&self.read(name)).unwrap()
    }
}

/// A plugin with the certificate of `localhost` that asks for one of `clients`.
fn serve(
    authority: &Authority,
    clients: Option<&Authority>,
    script: &Arc<Script>,
) -> (Served, std::net::SocketAddr) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.certificate("ca.pem")).unwrap();
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&authority.read("localhost.key")).unwrap();
    let chain = vec![authority.certificate("localhost.pem")];
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = port();
    listener.set_nonblocking(true).unwrap();
    let routes = Services(Arc::clone(script)).routes();
    let served = Served::spawn(async move |_| {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let service = TowerToHyperService::new(routes.prepare().into_axum_router());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let server = auto::Builder::new(TokioExecutor::new()).http2_only();
            let service = service.clone();
            tokio::spawn(async move {
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (served, address)
}

/// The `plugins:` section for a plugin at `localhost`.
fn section(address: std::net::SocketAddr, tls: &str) -> String {
    let address = format!("https://localhost:{}", address.port());
    format!(
        "plugins:\n{}",
        line(
            Slot::Auth,
            &address,
            &format!(", tls: {{{tls}}}, config: {{a: 1}}")
        )
    )
}

async fn rig(address: std::net::SocketAddr, tls: &str) -> Rig {
    let rig = Rig::new().await;
    rig.names.set("localhost", &[address]);
    rig.load(&section(address, tls)).await;
    rig
}

#[tokio::test]
async fn a_plugin_with_a_certificate_of_the_named_authority_is_asked_over_tls() {
    let (authority, script) = (Authority::new(), Script::new());
    let (_served, address) = serve(&authority, None, &script);
    let tls = format!("ca: '{}'", authority.path("ca.pem").display());
    let rig = rig(address, &tls).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.authenticate("good").await.unwrap();
    // TLS is fit for what a configuration may hold.
    assert_eq!(script.configurations(), [r#"{"a":1}"#]);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused_with_the_reason() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (_served, address) = serve(&authority, None, &Script::new());
    let tls = format!("ca: '{}'", other.path("ca.pem").display());
    let rig = rig(address, &tls).await;
    rig.until_message(
        Slot::Auth,
        "TLS with localhost failed: invalid peer certificate",
    )
    .await;
    let state = rig.slot(Slot::Auth);
    assert!(
        state
            .message
            .contains("the auth plugin auth-one at https://localhost"),
        "{state:?}"
    );
    assert!(rig.authenticate("good").await.is_err());
}

#[tokio::test]
async fn ratd_shows_its_certificate_to_a_plugin_that_asks_for_one() {
    let (authority, clients, script) = (Authority::new(), Authority::new(), Script::new());
    let (_served, address) = serve(&authority, Some(&clients), &script);
    let ca = authority.path("ca.pem");
    let with = |clients: &Authority| {
        format!(
            "ca: '{}', cert: '{}', key: '{}'",
            ca.display(),
            clients.path("ratd.pem").display(),
            clients.path("ratd.key").display()
        )
    };
    let rig = rig(address, &with(&clients)).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.authenticate("good").await.unwrap();
    for tls in [with(&Authority::new()), format!("ca: '{}'", ca.display())] {
        rig.write(&section(address, &tls));
        rat_api::Plugins::reload(&rig.host).await.unwrap();
        rig.until(Slot::Auth, Holder::Denied).await;
    }
}

#[tokio::test]
async fn a_file_that_is_missing_or_wrong_is_named_and_read_again_when_it_is_mended() {
    let (authority, script) = (Authority::new(), Script::new());
    let (_served, address) = serve(&authority, None, &script);
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("own-ca.pem");
    let rig = rig(address, &format!("ca: '{}'", ca.display())).await;
    rig.until_message(Slot::Auth, "own-ca.pem: No such file")
        .await;
    fs::write(&ca, "no certificate").unwrap();
    rig.until_message(Slot::Auth, "own-ca.pem holds no certificate")
        .await;
    fs::write(&ca, authority.read("ca.pem")).unwrap();
    rig.until(Slot::Auth, Holder::Plugin).await;
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let (listener, address) = port();
    let _served = Served::tcp(listener, &Script::new());
    let authority = Authority::new();
    let tls = format!("ca: '{}'", authority.path("ca.pem").display());
    let rig = rig(address, &tls).await;
    rig.until_message(Slot::Auth, "TLS with localhost failed")
        .await;
}
