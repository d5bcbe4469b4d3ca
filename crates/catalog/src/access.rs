//! Who may do what, asked of whoever mounts the routes.
//!
//! A user, and a query on behalf of one, may do what an [`AccessControl`] allows them. A run is
//! not asked about: what it may read was decided when it started, and stands in its scope.
//!
//! What somebody may not read does not exist for them: it is left out of lists and answered with
//! 404, as a name would be that nobody has. What they may read and not change is answered with
//! 403.

use std::sync::Arc;

use futures::future::BoxFuture;
use rat_types::{Identity, NamespaceName, TableIdent};

use crate::name::Namespace;
use crate::{Caller, Error};

/// What is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A namespace that is to be.
    NewNamespace,
    /// A namespace, with its layers.
    Namespace(NamespaceName),
    /// A table.
    Table(TableIdent),
}

/// What is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Look at it. A namespace may be read by who may read anything in it.
    Read,
    /// Make it, or make something in it.
    Create,
    /// Change it.
    Write,
    /// Remove it.
    Delete,
}

/// Something that was not allowed. Answers that come of it carry this in their extensions, for
/// the audit log of whoever mounted the routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Who wanted it.
    pub user: String,
    /// What they wanted: `table.read`.
    pub action: String,
    /// With what.
    pub resource: String,
    /// Why not, in the words of who decided.
    pub reason: String,
    /// What the user is told where they may know of the resource.
    pub message: String,
}

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is not allowed.
    Denied(Box<Denial>),
    /// Nobody is there to say.
    Unavailable(String),
}

/// Says who may do what.
pub trait AccessControl: Send + Sync + 'static {
    /// `Ok` where `identity` may do `deed` to `subject`.
    fn check<'a>(
        &'a self,
        identity: &'a Identity,
        subject: &'a Subject,
        deed: Deed,
    ) -> BoxFuture<'a, Result<(), Refusal>>;

    /// Those of `tables` that `identity` may read, in their order.
    fn readable_tables<'a>(
        &'a self,
        identity: &'a Identity,
        tables: Vec<TableIdent>,
    ) -> BoxFuture<'a, Result<Vec<TableIdent>, Refusal>>;

    /// Those of `namespaces` that `identity` may read, in their order.
    fn readable_namespaces<'a>(
        &'a self,
        identity: &'a Identity,
        namespaces: Vec<NamespaceName>,
    ) -> BoxFuture<'a, Result<Vec<NamespaceName>, Refusal>>;
}

/// No access control: every user may do everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unrestricted;

impl AccessControl for Unrestricted {
    fn check<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a Subject,
        _: Deed,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn readable_tables<'a>(
        &'a self,
        _: &'a Identity,
        tables: Vec<TableIdent>,
    ) -> BoxFuture<'a, Result<Vec<TableIdent>, Refusal>> {
        Box::pin(std::future::ready(Ok(tables)))
    }

    fn readable_namespaces<'a>(
        &'a self,
        _: &'a Identity,
        namespaces: Vec<NamespaceName>,
    ) -> BoxFuture<'a, Result<Vec<NamespaceName>, Refusal>> {
        Box::pin(std::future::ready(Ok(namespaces)))
    }
}

/// A caller before the access control of this place.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) caller: Caller,
    pub(crate) access: Arc<dyn AccessControl>,
}

impl Gate {
    /// On whose behalf the caller acts; `None` for a run.
    fn identity(&self) -> Option<&Identity> {
        match &self.caller {
            Caller::User(identity) => Some(identity),
            Caller::Query(scope) => Some(&scope.identity),
            Caller::Run(_) => None,
        }
    }

    async fn check(&self, subject: Subject, deed: Deed) -> Result<(), Refusal> {
        match self.identity() {
            Some(identity) => self.access.check(identity, &subject, deed).await,
            None => Ok(()),
        }
    }

    /// # Errors
    /// [`Error::Hidden`] where the caller may not read the table, whether it exists or not.
    pub(crate) async fn read_table(&self, table: &TableIdent) -> Result<(), Error> {
        self.caller.check_read(table)?;
        let read = self.check(Subject::Table(table.clone()), Deed::Read).await;
        read.map_err(|refusal| hidden("table", &table.to_string(), refusal))
    }

    /// # Errors
    /// [`Error::Denied`] where the caller may read the table and not do this, [`Error::Hidden`]
    /// where they may not even read it.
    pub(crate) async fn change_table(&self, table: &TableIdent, deed: Deed) -> Result<(), Error> {
        let Err(refusal) = self.check(Subject::Table(table.clone()), deed).await else {
            return Ok(());
        };
        // Who may not know of it learns nothing new.
        self.read_table(table).await?;
        Err(refused(refusal))
    }

    /// # Errors
    /// [`Error::Hidden`] where the caller may read neither the namespace nor anything in it.
    pub(crate) async fn read_namespace(&self, namespace: &Namespace) -> Result<(), Error> {
        self.caller.check_list()?;
        let subject = Subject::Namespace(namespace.name().clone());
        let read = self.check(subject, Deed::Read).await;
        read.map_err(|refusal| hidden("namespace", &namespace.to_string(), refusal))
    }

    /// # Errors
    /// As [`Self::change_table`].
    pub(crate) async fn change_namespace(
        &self,
        namespace: &Namespace,
        deed: Deed,
    ) -> Result<(), Error> {
        let subject = Subject::Namespace(namespace.name().clone());
        let Err(refusal) = self.check(subject, deed).await else {
            return Ok(());
        };
        self.read_namespace(namespace).await?;
        Err(refused(refusal))
    }

    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn new_namespace(&self) -> Result<(), Error> {
        let created = self.check(Subject::NewNamespace, Deed::Create).await;
        created.map_err(refused)
    }

    /// Those of `tables` that the caller may read.
    pub(crate) async fn readable_tables(
        &self,
        tables: Vec<TableIdent>,
    ) -> Result<Vec<TableIdent>, Error> {
        match self.identity() {
            Some(identity) => {
                let readable = self.access.readable_tables(identity, tables).await;
                readable.map_err(refused)
            }
            None => Ok(tables),
        }
    }

    /// Those of `namespaces` that the caller may read.
    pub(crate) async fn readable_namespaces(
        &self,
        namespaces: Vec<NamespaceName>,
    ) -> Result<Vec<NamespaceName>, Error> {
        match self.identity() {
            Some(identity) => {
                let readable = self.access.readable_namespaces(identity, namespaces).await;
                readable.map_err(refused)
            }
            None => Ok(namespaces),
        }
    }
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Denied(denial) => Error::Denied { denial },
        Refusal::Unavailable(message) => Error::AccessUnavailable { message },
    }
}

fn hidden(what: &'static str, name: &str, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Denied(denial) => Error::Hidden {
            what,
            name: name.to_owned(),
            denial,
        },
        Refusal::Unavailable(message) => Error::AccessUnavailable { message },
    }
}
