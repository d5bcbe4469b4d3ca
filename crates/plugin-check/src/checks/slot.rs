//! Whether the plugin has the service of its slot.

use prost::Message;
use rat_config::Slot;
use rat_proto::{auth, enforcement, executor, sharing};

use crate::check::{Check, Outcome, broken, not_checked};
use crate::judge::Judge;
use crate::session::{Failure, Session};

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "slot.served",
        |judge| Box::pin(served(judge)),
        "A plugin implements the service of each slot that it fills, on the same address as PluginService.",
    ),
    Check::required(
        "slot.methods",
        |judge| Box::pin(methods(judge)),
        "A plugin implements every method of its slot's service that is not optional.",
    ),
];

/// The service of a slot.
pub(crate) fn service(slot: Slot) -> &'static str {
    match slot {
        Slot::Auth => "rat.auth.v1.AuthService",
        Slot::Executor => "rat.executor.v1.ExecutorService",
        Slot::Sharing => "rat.sharing.v1.SharingService",
        Slot::Enforcement => "rat.enforcement.v1.EnforcementService",
        Slot::Cloud => "rat.cloud.v1.CloudService",
    }
}

/// The methods of a slot that must be there, each with a request that changes nothing: it names
/// what does not exist, or nothing at all. The first one tells whether the slot is served.
pub(crate) fn probes(slot: Slot, marker: &str) -> Vec<(String, Vec<u8>)> {
    let marker = marker.to_owned();
    let of = |method: &str, request: Vec<u8>| (format!("/{}/{method}", service(slot)), request);
    match slot {
        Slot::Auth => vec![of(
            "Authenticate",
            auth::v1::AuthenticateRequest { token: marker }.encode_to_vec(),
        )],
        Slot::Executor => {
            let status = executor::v1::GetRunStatusRequest {
                run_id: marker.clone(),
            };
            let logs = executor::v1::StreamLogsRequest {
                run_id: marker.clone(),
                after: 0,
            };
            vec![
                of("GetRunStatus", status.encode_to_vec()),
                of("ListRuns", Vec::new()),
                of(
                    "Cancel",
                    executor::v1::CancelRequest { run_id: marker }.encode_to_vec(),
                ),
                of("StreamLogs", logs.encode_to_vec()),
                of("Submit", Vec::new()),
            ]
        }
        Slot::Sharing => {
            let list = sharing::v1::ListAccessRequest {
                resource_type: "table".to_owned(),
                resource_id: marker.clone(),
                user_id: marker.clone(),
                ..Default::default()
            };
            let revoke = sharing::v1::RevokeAccessRequest {
                grant_id: marker.clone(),
                revoked_by: marker,
                revoker_roles: Vec::new(),
            };
            vec![
                of("ListAccess", list.encode_to_vec()),
                of("RevokeAccess", revoke.encode_to_vec()),
                of("ShareResource", Vec::new()),
                of("TransferOwnership", Vec::new()),
            ]
        }
        Slot::Enforcement => vec![of("CanAccess", stranger(&marker, "read").encode_to_vec())],
        Slot::Cloud => {
            let request = enforcement::v1::GetCredentialsRequest {
                provider: marker.clone(),
                resource: marker,
                ..Default::default()
            };
            vec![of("GetCredentials", request.encode_to_vec())]
        }
    }
}

/// A request of somebody whom nobody knows, about a table of somebody else.
pub(crate) fn stranger(marker: &str, action: &str) -> enforcement::v1::CanAccessRequest {
    enforcement::v1::CanAccessRequest {
        user_id: marker.to_owned(),
        resource_type: "table".to_owned(),
        resource_id: format!("{marker}.gold.secret"),
        action: action.to_owned(),
        roles: Vec::new(),
        owner: format!("{marker}-owner"),
        namespace: marker.to_owned(),
    }
}

/// Whether the plugin has the service of `slot`: whatever it answers but "there is no such method".
pub(crate) async fn is_served(session: &Session, marker: &str, slot: Slot) -> bool {
    let Some((path, request)) = probes(slot, marker).into_iter().next() else {
        return false;
    };
    match session.bytes(&path, &request).await {
        Ok(_) => true,
        Err(failure) => matches!(failure, Failure::Refused(_)) && !failure.is_unimplemented(),
    }
}

async fn served(judge: &Judge) -> Outcome {
    if judge.slots.is_empty() {
        return broken("no slot's service is there: is this the address of a plugin?");
    }
    let missing: Vec<_> = judge
        .slots
        .iter()
        .filter(|slot| !judge.served.contains(slot))
        .map(|slot| service(*slot))
        .collect();
    if missing.is_empty() {
        let services: Vec<_> = judge.slots.iter().map(|slot| service(*slot)).collect();
        return Ok(services.join(", "));
    }
    let others: Vec<_> = judge.served.iter().map(|slot| service(*slot)).collect();
    broken(match others.is_empty() {
        true => format!("there is no {}", missing.join(", ")),
        false => format!(
            "there is no {}, only {}",
            missing.join(", "),
            others.join(", ")
        ),
    })
}

async fn methods(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let mut there = Vec::new();
    let mut missing = Vec::new();
    for slot in judge
        .slots
        .iter()
        .filter(|slot| judge.served.contains(slot))
    {
        for (path, request) in probes(*slot, &judge.marker) {
            let method = path.rsplit('/').next().unwrap_or_default().to_owned();
            match session.bytes(&path, &request).await {
                Err(failure) if failure.is_unimplemented() => missing.push(method),
                _ => there.push(method),
            }
        }
    }
    match (missing.is_empty(), there.is_empty()) {
        (false, _) => broken(format!("not implemented: {}", missing.join(", "))),
        (true, true) => not_checked("no slot's service is there"),
        (true, false) => Ok(there.join(", ")),
    }
}
