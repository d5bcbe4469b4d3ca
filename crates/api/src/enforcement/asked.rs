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

impl Enforcement {
    /// The table that a run writes, where it belongs to somebody else than the pipeline: who may
    /// run the pipeline may write the pipeline's own table, and no other that has its name.
    async fn foreign_target(
        &self,
        creator: &Identity,
        ident: &TableIdent,
    ) -> Result<Option<Resource>, CheckError> {
        if !self.is_active() {
            return Ok(None);
        }
        let table = Resource::table(ident);
        let owner = self.owner_of(&table).await?;
        if owner.is_empty() || owner == creator.user_id {
            return Ok(None);
        }
        let pipeline = self.owner_of(&Resource::pipeline(ident)).await?;
        Ok((owner != pipeline).then_some(table))
    }
}

impl RunAccess for Enforcement {
    fn check<'a>(
        &'a self,
        creator: &'a Identity,
        reads: Reads<'a>,
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        Box::pin(async move {
            let named = |resource| (resource, Action::Read, "names");
            let tables = reads.tables.iter().map(Resource::table).map(named);
            let zones = reads.zones.iter().map(Resource::zone).map(named);
            let foreign = self.foreign_target(creator, reads.own).await;
            let own = foreign.map_err(|error| match Refusal::from(error) {
                Refusal::Denied(denial) => ReadError::Denied(denial.message),
                Refusal::Unavailable(why) => ReadError::Unavailable(why),
            })?;
            let own = own.into_iter().flat_map(|table| {
                let written = (table.clone(), Action::Write, "writes");
                [(table, Action::Read, "writes"), written]
            });
            for (resource, action, how) in own.chain(tables).chain(zones) {
                match Self::check(self, creator, &resource, action).await {
                    Ok(()) => {}
                    Err(CheckError::Denied(denial)) => {
                        self.audit.denied(&denial, "", "", "a run's access");
                        return Err(ReadError::Denied(format!(
                            "{}, which the pipeline {how}",
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
