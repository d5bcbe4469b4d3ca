//! Who asks the catalog, and how far that reaches.
//!
//! Whoever mounts the router puts a [`Caller`] into the extensions of each request. The catalog
//! never sees a token.

use rat_types::{Identity, RunId, TableIdent};

use crate::Error;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A person or a program of theirs: everything, as far as the layers above let it through.
    User(Identity),
    /// A run: reads what its pipeline names, writes its own branch of its own table.
    Run(RunScope),
    /// A query: reads.
    Query(QueryScope),
}

/// How far a run's token reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunScope {
    /// The run.
    pub run_id: RunId,
    /// The one table that the run writes.
    pub ident: TableIdent,
    /// The tables that its pipeline names.
    pub readable: Vec<TableIdent>,
}

/// How far a query's token reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryScope {
    /// Who asks.
    pub identity: Identity,
    /// What may be read.
    pub readable: Readable,
}

/// A set of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// Every table.
    All,
}

impl Caller {
    /// The run, if it is one.
    pub(crate) fn run(&self) -> Option<&RunScope> {
        match self {
            Self::Run(scope) => Some(scope),
            Self::User(_) | Self::Query(_) => None,
        }
    }

    /// # Errors
    /// [`Error::Forbidden`] if the caller may not read `table`.
    pub(crate) fn check_read(&self, table: &TableIdent) -> Result<(), Error> {
        match self {
            Self::User(_)
            | Self::Query(QueryScope {
                readable: Readable::All,
                ..
            }) => Ok(()),
            Self::Run(scope) if scope.ident == *table || scope.readable.contains(table) => Ok(()),
            Self::Run(scope) => Err(Error::forbidden(format!(
                "run {} may not read table {table}, which its pipeline does not name",
                scope.run_id
            ))),
        }
    }

    /// # Errors
    /// [`Error::Forbidden`] if the caller may not see which namespaces and tables there are.
    pub(crate) fn check_list(&self) -> Result<(), Error> {
        match self {
            Self::User(_) | Self::Query(_) => Ok(()),
            Self::Run(scope) => Err(Error::forbidden(format!(
                "run {} may not list the catalog",
                scope.run_id
            ))),
        }
    }

    /// # Errors
    /// [`Error::Forbidden`] unless the caller is a user.
    pub(crate) fn check_user(&self, operation: &str) -> Result<&Identity, Error> {
        match self {
            Self::User(identity) => Ok(identity),
            Self::Run(scope) => Err(Error::forbidden(format!(
                "run {} may not {operation}",
                scope.run_id
            ))),
            Self::Query(_) => Err(Error::forbidden(format!("a query may not {operation}"))),
        }
    }

    /// # Errors
    /// [`Error::Forbidden`] unless the caller is a user or the run whose table this is.
    pub(crate) fn check_write(&self, table: &TableIdent) -> Result<(), Error> {
        match self {
            Self::User(_) => Ok(()),
            Self::Run(scope) if scope.ident == *table => Ok(()),
            Self::Run(scope) => Err(Error::forbidden(format!(
                "run {} may write table {} and no other",
                scope.run_id, scope.ident
            ))),
            Self::Query(_) => Err(Error::forbidden("a query may not write")),
        }
    }
}
