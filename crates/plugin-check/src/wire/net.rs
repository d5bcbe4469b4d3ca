//! Connections: Unix socket, TCP, TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rat_config::{Address, PluginAddress};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::NoAnswer;
use crate::target::{InvalidTls, Target};

/// A byte stream to the plugin.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Opens a connection that speaks `alpn` where there is TLS.
pub(crate) async fn connect(
    target: &Target,
    alpn: &'static [u8],
    limit: Duration,
) -> Result<Box<dyn Stream>, NoAnswer> {
    match tokio::time::timeout(limit, open(target, alpn)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(NoAnswer::Dial(super::chain(&error))),
        Err(_) => Err(NoAnswer::Dial(format!(
            "nothing happened within {}",
            super::seconds(limit)
        ))),
    }
}

async fn open(target: &Target, alpn: &'static [u8]) -> io::Result<Box<dyn Stream>> {
    let (host, port) = match &target.address {
        PluginAddress::Plain(Address::Unix(path)) => {
            return Ok(Box::new(UnixStream::connect(path).await?));
        }
        PluginAddress::Plain(Address::Tcp { host, port }) => (host, *port),
        PluginAddress::Https { host, port } => (host, *port),
    };
    let tcp = TcpStream::connect((host.as_str(), port)).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = &target.tls else {
        return Ok(Box::new(tcp));
    };
    let mut config = ClientConfig::clone(tls);
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await?;
    Ok(Box::new(stream))
}

/// What TLS needs, from PEM texts.
pub(crate) fn tls(
    ca: Option<&[u8]>,
    identity: Option<(&[u8], &[u8])>,
) -> Result<Arc<ClientConfig>, InvalidTls> {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let certificates = |pem: &[u8], what: &'static str| {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(InvalidTls::new(
                what,
                "it holds no certificate in PEM format",
            )),
            Err(error) => Err(InvalidTls::new(what, &error.to_string())),
        }
    };
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in certificates(pem, "ca")? {
                roots
                    .add(certificate)
                    .map_err(|error| InvalidTls::new("ca", &error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidTls::new("tls", &error.to_string()))?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates(cert, "cert")?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| InvalidTls::new("key", &error.to_string()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| InvalidTls::new("cert", &error.to_string()))?
        }
    };
    Ok(Arc::new(config))
}
