//! Giving something away.
//!
//! ratd keeps the owners. Where a sharing plugin keeps the grants, it is told first, so that it
//! can adapt them; the owner changes only when it has agreed.

use rat_config::Slot;
use rat_types::{Kind, NamespaceName, TableIdent};

use crate::access::{Access, Action, Resource, ResourceKind};
use crate::enforcement::zone_ident;
use crate::fault::Fault;
use crate::slot::{Holder, SlotError};
use crate::state::AppState;

/// Makes `to` the owner of `resource`, if the caller may share it.
pub(crate) async fn give(
    state: &AppState,
    access: &Access,
    resource: &Resource,
    to: &str,
) -> Result<(), Fault> {
    require(state, resource).await?;
    if state.enforcement.owner_of(resource).await? == to {
        return Ok(());
    }
    access.check(resource, Action::Share).await?;
    give_away(state, access, resource, None, to).await.map(drop)
}

/// Makes `to` the owner of `resource`; false where it is no longer `giver`'s, if one is named. That
/// the caller may do that was checked.
///
/// One at a time, so that the sharing plugin hears of owners in the order in which they are stored.
pub(crate) async fn give_away(
    state: &AppState,
    access: &Access,
    resource: &Resource,
    giver: Option<&str>,
    to: &str,
) -> Result<bool, Fault> {
    let _transfer = state.memory.transfers.lock().await;
    let from = state.enforcement.owner_of(resource).await?;
    // What was given to somebody else meanwhile is not the giver's to give.
    if giver.is_some_and(|giver| giver != from) {
        return Ok(false);
    }
    let owned = resource.clone().owned_by(from);
    tell(state, access, &owned, to).await?;
    store(state, &owned, to).await?;
    Ok(true)
}

/// Tells the sharing plugin, where there is one.
async fn tell(
    state: &AppState,
    access: &Access,
    resource: &Resource,
    to: &str,
) -> Result<(), Fault> {
    if !is_shareable(resource.kind) {
        return Ok(());
    }
    match state
        .sharing
        .transfer(access.identity(), resource, to)
        .await
    {
        Ok(()) => Ok(()),
        Err(SlotError::NotAvailable { .. }) => {
            // The plugin would keep grants of the old owner's.
            let mut slots = state.plugins.slots().into_iter();
            let down = slots.find(|slot| {
                slot.slot == Slot::Sharing && slot.plugin.is_some() && slot.holder != Holder::Plugin
            });
            match down {
                None => Ok(()),
                Some(slot) => Err(SlotError::Unavailable {
                    slot: "sharing",
                    message: slot.message,
                }
                .into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether there can be grants on this kind of resource.
pub(crate) fn is_shareable(kind: ResourceKind) -> bool {
    match kind {
        ResourceKind::Namespace | ResourceKind::Pipeline | ResourceKind::Table => true,
        ResourceKind::LandingZone | ResourceKind::Plugin => false,
    }
}

async fn store(state: &AppState, resource: &Resource, to: &str) -> Result<(), Fault> {
    let owners = state.store.owners();
    let (id, from) = (resource.id.as_str(), resource.owner.as_str());
    match resource.kind {
        ResourceKind::Namespace => {
            let name: NamespaceName = id.parse()?;
            owners.give_namespace(&name, from, to).await?;
        }
        ResourceKind::Pipeline => {
            let ident: TableIdent = id.parse()?;
            owners.give_pipeline(&ident, from, to).await?;
        }
        ResourceKind::Table => {
            let ident: TableIdent = id.parse()?;
            owners.give_table(&ident, from, to).await?;
        }
        ResourceKind::LandingZone => {
            let ident = zone_ident(id).ok_or_else(|| missing(resource))?;
            owners.give_zone(&ident, from, to).await?;
        }
        ResourceKind::Plugin => {
            return Err(Fault::new(Kind::InvalidArgument, "a plugin has no owner"));
        }
    }
    Ok(())
}

/// A 404 where there is no such resource.
pub(crate) async fn require(state: &AppState, resource: &Resource) -> Result<(), Fault> {
    let (store, id) = (&state.store, resource.id.as_str());
    let exists = match resource.kind {
        ResourceKind::Namespace => store.namespaces().get(&id.parse()?).await?.is_some(),
        ResourceKind::Pipeline => store.pipelines().get(&id.parse()?).await?.is_some(),
        ResourceKind::Table => match state.catalog.table_summary(&id.parse()?).await {
            Ok(_) => true,
            Err(error) if error.kind() == Kind::NotFound => false,
            // It is there, and damaged.
            Err(error) if error.kind() == Kind::Internal => true,
            Err(error) => return Err(error.into()),
        },
        ResourceKind::LandingZone => match zone_ident(id) {
            Some(ident) => store.zones().get(&ident).await?.is_some(),
            None => false,
        },
        ResourceKind::Plugin => store.plugins().get(id).await?.is_some(),
    };
    match exists {
        true => Ok(()),
        false => Err(missing(resource)),
    }
}

fn missing(resource: &Resource) -> Fault {
    let kind = resource.kind.as_str().replace('_', " ");
    Fault::not_found(format!("{kind} {} does not exist", resource.id))
}
