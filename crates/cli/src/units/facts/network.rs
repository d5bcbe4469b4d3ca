//! Whom a process has to reach over the network.

use rat_config::{Address, Catalog, PluginAddress};

const LOCALHOST: &str = "localhost";
const ANY: &str = "any";

/// Whom a process may reach: nobody, those that are named, or anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::units) struct Network(Vec<String>);

impl Network {
    pub(super) fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self::default().and(Self(names.into_iter().collect()))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().cloned()
    }

    pub(super) fn any() -> Self {
        Self(vec![ANY.to_owned()])
    }

    pub(super) fn reach(address: &Address) -> Self {
        match address {
            Address::Unix(_) => Self::default(),
            address if address.is_local() => Self(vec![LOCALHOST.to_owned()]),
            Address::Tcp { .. } => Self::any(),
        }
    }

    pub(super) fn reach_plugin(address: &PluginAddress) -> Self {
        match address {
            PluginAddress::Plain(address) => Self::reach(address),
            PluginAddress::Https { host, port } => Self::reach(&Address::Tcp {
                host: host.clone(),
                port: *port,
            }),
        }
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        for name in other.0 {
            if !self.0.contains(&name) {
                self.0.push(name);
            }
        }
        self
    }

    pub(super) fn reach_catalog(catalog: &Catalog) -> Self {
        match catalog {
            Catalog::Builtin => Self::default(),
            Catalog::Rest(_) => Self::any(),
        }
    }

    fn is_any(&self) -> bool {
        self.0.iter().any(|name| name == ANY)
    }

    /// Which template of a daemon is the one: they reach this machine alone, or anybody.
    pub(in crate::units) fn variant(&self) -> &'static str {
        match self.0.is_empty() {
            true => "none",
            false if self.is_any() => "any",
            false => "local",
        }
    }

    /// Which template of a plugin is the one.
    pub(in crate::units) fn variant_of_plugin(&self) -> &'static str {
        match self.variant() {
            "local" => "some",
            other => other,
        }
    }
}
