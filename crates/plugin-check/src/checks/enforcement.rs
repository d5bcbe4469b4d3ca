//! The enforcement slot: what it says of somebody whom nobody knows.

use std::time::Instant;

use rat_config::Slot;
use rat_proto::enforcement::v1::{
    BatchCanAccessRequest, BatchCanAccessResponse, CanAccessResponse, ResourceRef,
};

use super::{ENFORCEMENT_PROTO, slot};
use crate::check::{Check, Miss, Outcome, broken, not_checked};
use crate::judge::Judge;
use crate::session::{Failure, Session};
use crate::wire::seconds;

const CAN_ACCESS: &str = "/rat.enforcement.v1.EnforcementService/CanAccess";
const BATCH: &str = "/rat.enforcement.v1.EnforcementService/BatchCanAccess";
/// Most resources in a batch.
const MAX_BATCH: usize = 1_000;

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "enforcement.answers",
        |judge| Box::pin(answers(judge)),
        "CanAccess answers allowed or not for every action: list, read, create, write, delete, run, share.",
    )
    .of(Slot::Enforcement)
    .from(ENFORCEMENT_PROTO),
    Check::advised(
        "enforcement.stranger",
        |judge| Box::pin(stranger(judge)),
        "A user whom nobody knows may not delete or share somebody else's table.",
    )
    .of(Slot::Enforcement),
    Check::advised(
        "enforcement.unknown-words",
        |judge| Box::pin(unknown_words(judge)),
        "An action or a kind of resource that the plugin does not know is not allowed.",
    )
    .of(Slot::Enforcement),
    Check::required(
        "enforcement.repeatable",
        |judge| Box::pin(repeatable(judge)),
        "The same question has the same answer.",
    )
    .of(Slot::Enforcement),
    Check::required(
        "enforcement.batch",
        |judge| Box::pin(batch(judge)),
        "BatchCanAccess answers one verdict for each resource, in their order, the same as CanAccess; it may be UNIMPLEMENTED.",
    )
    .of(Slot::Enforcement)
    .from(ENFORCEMENT_PROTO),
    Check::required(
        "enforcement.batch-size",
        |judge| Box::pin(batch_size(judge)),
        "BatchCanAccess takes up to 1,000 resources and answers within 10 seconds; it may be UNIMPLEMENTED.",
    )
    .of(Slot::Enforcement)
    .from(ENFORCEMENT_PROTO),
];

async fn verdict(judge: &Judge, session: &Session, action: &str) -> Result<bool, Failure> {
    let request = slot::stranger(&judge.marker, action);
    let answer: CanAccessResponse = session.unary(CAN_ACCESS, &request).await?;
    Ok(answer.allowed)
}

async fn answers(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let mut allowed = Vec::new();
    for action in ["list", "read", "create", "write", "delete", "run", "share"] {
        match verdict(judge, &session, action).await {
            Ok(true) => allowed.push(action),
            Ok(false) => {}
            Err(failure) if judge.was_down() => {
                return not_checked(format!("the plugin is down, and {failure}"));
            }
            Err(failure) => return broken(format!("{action}: {failure}")),
        }
    }
    Ok(match allowed.is_empty() {
        true => "an unknown user may do nothing".to_owned(),
        false => format!("an unknown user may {}", allowed.join(", ")),
    })
}

async fn stranger(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    for action in ["delete", "share"] {
        if let Ok(true) = verdict(judge, &session, action).await {
            return broken(format!(
                "{action} is allowed: does this plugin allow everything?"
            ));
        }
    }
    Ok("not allowed".to_owned())
}

async fn unknown_words(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let action = slot::stranger(&judge.marker, &judge.marker);
    let mut kind = slot::stranger(&judge.marker, "read");
    kind.resource_type = judge.marker.clone();
    for (what, request) in [("action", action), ("kind of resource", kind)] {
        let answer = session
            .unary::<_, CanAccessResponse>(CAN_ACCESS, &request)
            .await;
        match answer {
            Ok(answer) if answer.allowed => {
                return broken(format!("an {what} that does not exist is allowed"));
            }
            Ok(_) | Err(Failure::Refused(_)) => {}
            Err(Failure::None(error)) => return broken(error.to_string()),
        }
    }
    Ok("not allowed".to_owned())
}

async fn repeatable(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let first = verdict(judge, &session, "read").await?;
    for _ in 0..9 {
        if verdict(judge, &session, "read").await? != first {
            return broken("the same question was answered allowed and not allowed");
        }
    }
    Ok("ten times the same".to_owned())
}

async fn ask(
    judge: &Judge,
    session: &Session,
    resources: Vec<ResourceRef>,
) -> Result<Option<Vec<bool>>, Miss> {
    let request = BatchCanAccessRequest {
        user_id: judge.marker.clone(),
        roles: Vec::new(),
        action: "read".to_owned(),
        resources,
    };
    let answer = session
        .unary::<_, BatchCanAccessResponse>(BATCH, &request)
        .await;
    match answer {
        Ok(answer) => Ok(Some(answer.allowed)),
        Err(failure) if failure.is_unimplemented() => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Tables, of which the user who is asked for owns every third one.
fn tables(judge: &Judge, count: usize) -> Vec<ResourceRef> {
    let table = |number: usize| ResourceRef {
        resource_type: "table".to_owned(),
        resource_id: format!("{}.gold.table_{number}", judge.marker),
        owner: match number % 3 {
            0 => judge.marker.clone(),
            _ => format!("{}-owner", judge.marker),
        },
        namespace: judge.marker.clone(),
    };
    (0..count).map(table).collect()
}

async fn batch(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let resources = tables(judge, 7);
    let Some(together) = ask(judge, &session, resources.clone()).await? else {
        return Ok("UNIMPLEMENTED: ratd asks CanAccess for each".to_owned());
    };
    let mut alone = Vec::new();
    for resource in &resources {
        let mut request = slot::stranger(&judge.marker, "read");
        request.resource_id = resource.resource_id.clone();
        request.owner = resource.owner.clone();
        let answer: CanAccessResponse = session.unary(CAN_ACCESS, &request).await?;
        alone.push(answer.allowed);
    }
    if together != alone {
        return broken(format!("alone {alone:?}, in a batch {together:?}"));
    }
    match ask(judge, &session, Vec::new()).await? {
        Some(none) if !none.is_empty() => broken("verdicts for no resources"),
        _ => Ok(format!("{} verdicts, the same as alone", together.len())),
    }
}

async fn batch_size(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let begin = Instant::now();
    match ask(judge, &session, tables(judge, MAX_BATCH)).await? {
        None => Ok("UNIMPLEMENTED: ratd asks CanAccess for each".to_owned()),
        Some(verdicts) if verdicts.len() == MAX_BATCH => Ok(format!(
            "{MAX_BATCH} verdicts in {}",
            seconds(begin.elapsed())
        )),
        Some(verdicts) => broken(format!(
            "{} verdicts for {MAX_BATCH} resources",
            verdicts.len()
        )),
    }
}
