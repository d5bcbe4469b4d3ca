//! TLS with a plugin: who may have signed its certificate, and what ratd shows of itself.
//!
//! The files are read at every connection, so that a renewed certificate needs no reload.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rat_config::{FileReference, PluginTls};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How TLS is spoken with one plugin.
#[derive(Debug)]
pub(crate) struct Tls {
    host: String,
    files: PluginTls,
}

impl Tls {
    /// `host` is what the certificate has to carry.
    pub(crate) fn new(host: &str, files: &PluginTls) -> Self {
        Self {
            host: host.to_owned(),
            files: files.clone(),
        }
    }

    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        application: &[u8],
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| format!("{} is no name that a certificate can carry", self.host))?;
        let mut config = self.config().await?;
        config.alpn_protocols = vec![application.to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let connected = connector.connect(name, stream).await;
        let connected =
            connected.map_err(|error| format!("TLS with {} failed: {error}", self.host))?;
        let agreed = connected.get_ref().1.alpn_protocol();
        // Connect over HTTP/1.1 is what a server without ALPN speaks anyway.
        if agreed != Some(application) && application == b"h2" {
            return Err(format!(
                "{} speaks TLS, but not HTTP/2 in it (no h2 in ALPN)",
                self.host
            ));
        }
        Ok(connected)
    }

    async fn config(&self) -> Result<ClientConfig, String> {
        let roots = match &self.files.ca {
            Some(file) => authorities(&rat_service::config::path_of(file)).await?,
            None => system_authorities()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(roots);
        let Some((certificate, key)) = &self.files.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let (path, chain) = certificates(certificate).await?;
        let key = private_key(key).await?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("{} and its key cannot be used: {error}", path.display()))
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = tokio::fs::read(path).await;
    bytes.map_err(|error| format!("failed to read {}: {error}", path.display()))
}

async fn certificates(
    file: &FileReference,
) -> Result<(PathBuf, Vec<CertificateDer<'static>>), String> {
    let path = rat_service::config::path_of(file);
    let chain = parse(&path, &read(&path).await?)?;
    Ok((path, chain))
}

fn parse(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!("{} holds no certificate", path.display())),
        Err(error) => Err(format!("{} is not PEM: {error}", path.display())),
    }
}

async fn private_key(file: &FileReference) -> Result<PrivateKeyDer<'static>, String> {
    let path = rat_service::config::path_of(file);
    PrivateKeyDer::from_pem_slice(&read(&path).await?)
        .map_err(|error| format!("{} holds no private key: {error}", path.display()))
}

async fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in parse(path, &read(path).await?)? {
        roots
            .add(certificate)
            .map_err(|error| format!("{} holds no authority: {error}", path.display()))?;
    }
    Ok(roots)
}

/// The system's authorities, read once: hundreds of files.
fn system_authorities() -> Result<RootCertStore, String> {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    match roots.is_empty() {
        true => Err("the system has no certificate authorities; name one as tls.ca".to_owned()),
        false => Ok(roots.clone()),
    }
}
