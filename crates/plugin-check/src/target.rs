//! The plugin that is judged: its address, and what TLS needs.

use std::sync::Arc;

use rat_config::{Address, PluginAddress};
use tokio_rustls::rustls::ClientConfig;

use crate::wire;

/// Where the plugin is.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) address: PluginAddress,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// PEM texts for an `https://` address.
#[derive(Debug, Clone, Default)]
pub struct TlsTexts {
    /// Authorities instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// Client certificate and its private key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// A certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the TLS file given as {what} cannot be used: {problem}")]
pub struct InvalidTls {
    what: &'static str,
    problem: String,
}

impl InvalidTls {
    pub(crate) fn new(what: &'static str, problem: &str) -> Self {
        Self {
            what,
            problem: problem.to_owned(),
        }
    }
}

impl Target {
    /// The plugin at `address`.
    ///
    /// # Errors
    /// A PEM text holds no certificate or key, or there are some for an address without TLS.
    pub fn new(address: PluginAddress, tls: &TlsTexts) -> Result<Self, InvalidTls> {
        let is_https = matches!(address, PluginAddress::Https { .. });
        if !is_https {
            return match tls.ca.is_none() && tls.identity.is_none() {
                true => Ok(Self { address, tls: None }),
                false => Err(InvalidTls::new(
                    "ca, cert or key",
                    "the address is not https://host:port",
                )),
            };
        }
        let identity = tls
            .identity
            .as_ref()
            .map(|(cert, key)| (cert.as_slice(), key.as_slice()));
        let tls = wire::tls(tls.ca.as_deref(), identity)?;
        Ok(Self {
            address,
            tls: Some(tls),
        })
    }

    /// What the plugin is called in requests.
    pub(crate) fn authority(&self) -> String {
        match &self.address {
            PluginAddress::Plain(Address::Unix(_)) => "localhost".to_owned(),
            PluginAddress::Plain(address) => address.to_string(),
            PluginAddress::Https { .. } => {
                let text = self.address.to_string();
                text.trim_start_matches("https://").to_owned()
            }
        }
    }
}
