//! Names in Iceberg's terms: a list of levels, and a table in it.

use rat_types::{InvalidName, Layer, NamespaceName, TableIdent};

use crate::Error;

/// A namespace in Iceberg's sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// A namespace of RAT: `[ns]`.
    Top(NamespaceName),
    /// One of its layers: `[ns, bronze]`. It exists because its namespace does.
    Layered(NamespaceName, Layer),
}

impl Namespace {
    /// # Errors
    /// Another number of levels, or a level that is not a valid name.
    pub(crate) fn parse<S: AsRef<str>>(levels: &[S]) -> Result<Self, Error> {
        match levels {
            [name] => Ok(Self::Top(name.as_ref().parse()?)),
            [name, layer] => Ok(Self::Layered(
                name.as_ref().parse()?,
                layer.as_ref().parse()?,
            )),
            _ => Err(Error::invalid(
                "a namespace has one level (its name) or two (its name and bronze, silver or gold)",
            )),
        }
    }

    /// From a path segment or query parameter: levels joined by the unit separator.
    pub(crate) fn parse_joined(text: &str) -> Result<Self, Error> {
        Self::parse(&text.split('\u{1f}').collect::<Vec<_>>())
    }

    pub(crate) fn name(&self) -> &NamespaceName {
        match self {
            Self::Top(name) | Self::Layered(name, _) => name,
        }
    }

    pub(crate) fn layer(&self) -> Option<Layer> {
        match self {
            Self::Top(_) => None,
            Self::Layered(_, layer) => Some(*layer),
        }
    }

    pub(crate) fn levels(&self) -> Vec<String> {
        match self {
            Self::Top(name) => vec![name.to_string()],
            Self::Layered(name, layer) => vec![name.to_string(), layer.to_string()],
        }
    }

    /// The table `name` in this namespace.
    ///
    /// # Errors
    /// A namespace without layer, or an invalid name.
    pub(crate) fn table(&self, name: &str) -> Result<TableIdent, Error> {
        match self {
            Self::Layered(namespace, layer) => {
                let (namespace, layer) = (namespace.clone(), *layer);
                Ok(TableIdent {
                    namespace,
                    layer,
                    name: name.parse()?,
                })
            }
            Self::Top(namespace) => Err(Error::invalid(format!(
                "tables live in the layers of a namespace: [{namespace}, bronze], \
                 [{namespace}, silver] or [{namespace}, gold]"
            ))),
        }
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.levels().join("."))
    }
}

/// A namespace to look for. A name that no namespace can have is one that does not exist.
///
/// # Errors
/// [`Error::NoSuchNamespace`].
pub(crate) fn existing_namespace(joined: &str) -> Result<Namespace, Error> {
    Namespace::parse_joined(joined).map_err(|_| Error::NoSuchNamespace {
        namespace: joined.replace('\u{1f}', "."),
    })
}

/// A table to look for. A name that no table can have is one that does not exist.
///
/// # Errors
/// [`Error::NoSuchTable`].
pub(crate) fn existing_table(joined: &str, name: &str) -> Result<TableIdent, Error> {
    let found = Namespace::parse_joined(joined).and_then(|namespace| namespace.table(name));
    found.map_err(|_| Error::NoSuchTable {
        table: format!("{}.{name}", joined.replace('\u{1f}', ".")),
    })
}

/// The namespace of a table as Iceberg levels.
pub(crate) fn levels(table: &TableIdent) -> [String; 2] {
    [table.namespace.to_string(), table.layer.to_string()]
}

/// The run of a branch name `run-<id>`.
pub(crate) fn run_of_branch(name: &str) -> Option<rat_types::RunId> {
    let id = name.strip_prefix("run-")?;
    let run: Result<rat_types::RunId, InvalidName> = id.parse();
    run.ok().filter(|run| run.branch() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_have_one_or_two_levels() {
        let top = Namespace::parse_joined("shop").unwrap();
        assert_eq!((top.levels(), top.layer()), (vec!["shop".to_owned()], None));
        let gold = Namespace::parse_joined("shop\u{1f}gold").unwrap();
        assert_eq!(gold.to_string(), "shop.gold");
        assert_eq!(gold.table("daily").unwrap().to_string(), "shop.gold.daily");
        assert!(top.table("daily").is_err());
        for bad in [
            "",
            "Shop",
            "shop\u{1f}platinum",
            "a\u{1f}gold\u{1f}b",
            "shop\u{1f}",
            "a.gold",
        ] {
            assert!(Namespace::parse_joined(bad).is_err(), "{bad:?}");
            assert!(matches!(
                existing_namespace(bad),
                Err(Error::NoSuchNamespace { .. })
            ));
        }
    }

    #[test]
    fn only_branches_of_runs_have_a_run() {
        let id = "0190a000-0000-7000-8000-000000000001";
        assert!(run_of_branch(&format!("run-{id}")).is_some());
        for other in [
            "main",
            "run-",
            "run-1",
            id,
            "run-0190A000-0000-7000-8000-000000000001",
        ] {
            assert!(run_of_branch(other).is_none(), "{other}");
        }
    }
}
