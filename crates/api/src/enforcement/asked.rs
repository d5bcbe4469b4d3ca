//! Enforcement as others ask for it: the catalog about its users, the scheduler about its runs.

use futures::future::BoxFuture;
use rat_catalog::{AccessControl, Deed, Refusal, Subject};
use rat_scheduler::{ReadError, Reads, RunAccess};
use rat_types::{Identity, NamespaceName, TableIdent};

use super::{CheckError, Enforcement};
use crate::access::{Action, Resource, ResourceKind};

impl AccessControl for Enforcement {
    fn check<'a>(
        &'a self,
        identity: &'a Identity,
        subject: &'a Subject,
        deed: Deed,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let action = match deed {
                Deed::Read => Action::Read,
                Deed::Create => Action::Create,
                Deed::Write => Action::Write,
                Deed::Delete => Action::Delete,
            };
            let resource = match subject {
                Subject::NewNamespace => Resource::all(ResourceKind::Namespace, None),
                Subject::Namespace(name) if deed == Deed::Read => {
                    return Ok(self.read_namespace(identity, name).await?);
                }
                Subject::Namespace(name) => Resource::namespace(name),
                Subject::Table(ident) => Resource::table(ident),
            };
            Ok(Self::check(self, identity, &resource, action).await?)
        })
    }

    fn readable_tables<'a>(
        &'a self,
        identity: &'a Identity,
        tables: Vec<TableIdent>,
    ) -> BoxFuture<'a, Result<Vec<TableIdent>, Refusal>> {
        Box::pin(async move { Ok(self.visible_tables(identity, tables).await?) })
    }

    fn readable_namespaces<'a>(
        &'a self,
        identity: &'a Identity,
        namespaces: Vec<NamespaceName>,
    ) -> BoxFuture<'a, Result<Vec<NamespaceName>, Refusal>> {
        Box::pin(async move { Ok(self.visible_namespaces(identity, namespaces).await?) })
    }
}

impl RunAccess for Enforcement {
    fn check<'a>(
        &'a self,
        creator: &'a Identity,
        reads: Reads<'a>,
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        Box::pin(async move {
            let tables = reads.tables.iter().map(Resource::table);
            let zones = reads.zones.iter().map(Resource::zone);
            for resource in tables.chain(zones) {
                match Self::check(self, creator, &resource, Action::Read).await {
                    Ok(()) => {}
                    Err(CheckError::Denied(denial)) => {
                        self.audit.denied(&denial, "", "", "a run's read");
                        return Err(ReadError::Denied(format!(
                            "{}, which the pipeline names",
                            denial.message
                        )));
                    }
                    Err(other) => match Refusal::from(other) {
                        Refusal::Denied(denial) => return Err(ReadError::Denied(denial.message)),
                        Refusal::Unavailable(why) => return Err(ReadError::Unavailable(why)),
                    },
                }
            }
            Ok(())
        })
    }
}
