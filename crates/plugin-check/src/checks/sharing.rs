//! The sharing slot, as far as it can be judged without a grant.

use prost::Message;
use rat_config::Slot;
use rat_proto::sharing::v1::{
    ListAccessResponse, RevokeAccessResponse, ShareResourceRequest, TransferOwnershipRequest,
    TransferOwnershipResponse,
};

use super::{SHARING_PROTO, slot};
use crate::check::{Check, Outcome, broken};
use crate::judge::Judge;
use crate::session::{Failure, decode};

const SHARE: &str = "/rat.sharing.v1.SharingService/ShareResource";
const TRANSFER: &str = "/rat.sharing.v1.SharingService/TransferOwnership";

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "sharing.nothing-shared",
        |judge| Box::pin(nothing_shared(judge)),
        "ListAccess answers with the grants on a resource: none for one that nobody has heard of.",
    )
    .of(Slot::Sharing)
    .from(SHARING_PROTO),
    Check::required(
        "sharing.unknown-grant",
        |judge| Box::pin(unknown_grant(judge)),
        "RevokeAccess of a grant that there is not answers revoked = false, or NOT_FOUND.",
    )
    .of(Slot::Sharing)
    .from(SHARING_PROTO),
    Check::required(
        "sharing.incomplete-share",
        |judge| Box::pin(incomplete_share(judge)),
        "ShareResource refuses a request that names no resource, no grantee or no permission.",
    )
    .of(Slot::Sharing),
    Check::required(
        "sharing.incomplete-transfer",
        |judge| Box::pin(incomplete_transfer(judge)),
        "TransferOwnership refuses a request that names no resource or no new owner.",
    )
    .of(Slot::Sharing),
];

/// The probe that calls `method`.
fn probe(judge: &Judge, method: &str) -> (String, Vec<u8>) {
    let found = slot::probes(Slot::Sharing, &judge.marker)
        .into_iter()
        .find(|(path, _)| path.ends_with(method));
    found.unwrap_or_default()
}

async fn nothing_shared(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let (path, request) = probe(judge, "ListAccess");
    match session.bytes(&path, &request).await {
        Ok(reply) => {
            let answer: ListAccessResponse = decode(&reply)?;
            match answer.grants.len() {
                0 => Ok("no grants".to_owned()),
                count => broken(format!("{count} grants on a table that does not exist")),
            }
        }
        Err(Failure::Refused(refusal)) => Ok(refusal.to_string()),
        Err(Failure::None(error)) => broken(error.to_string()),
    }
}

async fn unknown_grant(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let (path, request) = probe(judge, "RevokeAccess");
    match session.bytes(&path, &request).await {
        Ok(reply) => {
            let answer: RevokeAccessResponse = decode(&reply)?;
            match answer.revoked {
                true => broken("it says that it revoked a grant that there is not"),
                false => Ok("revoked = false".to_owned()),
            }
        }
        Err(Failure::Refused(refusal)) => Ok(refusal.to_string()),
        Err(Failure::None(error)) => broken(error.to_string()),
    }
}

async fn incomplete_share(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let complete = ShareResourceRequest {
        grantor_id: judge.marker.clone(),
        grantee_id: judge.marker.clone(),
        resource_type: "table".to_owned(),
        resource_id: format!("{}.gold.none", judge.marker),
        permission: 1,
        grantee_type: 1,
        ..Default::default()
    };
    let without = |change: fn(&mut ShareResourceRequest)| {
        let mut request = complete.clone();
        change(&mut request);
        request.encode_to_vec()
    };
    let requests = [
        ("empty", Vec::new()),
        ("without a grantee", without(|r| r.grantee_id.clear())),
        ("without a resource", without(|r| r.resource_id.clear())),
        ("without a permission", without(|r| r.permission = 0)),
    ];
    for (what, request) in requests {
        match session.bytes(SHARE, &request).await {
            Ok(_) => return broken(format!("a request {what} was accepted")),
            Err(Failure::Refused(_)) => {}
            Err(Failure::None(error)) => return broken(error.to_string()),
        }
    }
    Ok("four incomplete requests are refused".to_owned())
}

async fn incomplete_transfer(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let ownerless = TransferOwnershipRequest {
        resource_type: "table".to_owned(),
        resource_id: format!("{}.gold.none", judge.marker),
        requested_by: judge.marker.clone(),
        ..Default::default()
    };
    for request in [Vec::new(), ownerless.encode_to_vec()] {
        match session.bytes(TRANSFER, &request).await {
            Ok(reply) if decode::<TransferOwnershipResponse>(&reply)?.transferred => {
                return broken("an incomplete request was accepted");
            }
            Ok(_) | Err(Failure::Refused(_)) => {}
            Err(Failure::None(error)) => return broken(error.to_string()),
        }
    }
    Ok("two incomplete requests are refused".to_owned())
}
