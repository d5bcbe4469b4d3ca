//! What ratd needs for its database.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rat_config::{Address, DatabaseSource};
use url::Url;

use super::STATE;
use super::network::Network;

/// What ratd needs for its database.
#[derive(Debug, Default)]
pub(super) struct Database {
    pub(super) network: Network,
    /// Of a database file that is not in ratd's own folder.
    pub(super) folder: Option<PathBuf>,
    /// That brings the database up.
    pub(super) unit: Option<&'static str>,
}

impl Database {
    pub(super) fn of(source: &DatabaseSource) -> Result<Self> {
        let url = match source {
            // Only ratd may look into it.
            DatabaseSource::File(_) => {
                return Ok(Self {
                    network: Network::any(),
                    ..Self::default()
                });
            }
            DatabaseSource::Url(url) => url,
        };
        if let Some(file) = url.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            let folder = Path::new(file)
                .parent()
                .filter(|folder| !folder.starts_with(STATE));
            return Ok(Self {
                folder: folder.map(Path::to_owned),
                ..Self::default()
            });
        }
        let url = Url::parse(url)?;
        let host = url.host_str().unwrap_or_default();
        let is_folder =
            |text: &str| text.starts_with('/') || text.to_lowercase().starts_with("%2f");
        let in_query = url
            .query_pairs()
            .any(|(key, value)| key == "host" && is_folder(&value));
        if is_folder(host) || in_query {
            return Ok(Self {
                unit: Some("postgresql.service"),
                ..Self::default()
            });
        }
        let host = Address::Tcp {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: 5432,
        };
        Ok(Self {
            network: Network::reach(&host),
            unit: host.is_local().then_some("postgresql.service"),
            ..Self::default()
        })
    }
}
