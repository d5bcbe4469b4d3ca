//! The cloud slot: what it hands out, and what it does not.

use rat_config::Slot;
use rat_proto::enforcement::v1::{GetCredentialsRequest, GetCredentialsResponse};

use super::CLOUD_PROTO;
use crate::check::{Check, Outcome, broken};
use crate::judge::Judge;
use crate::session::Failure;
use crate::wire::Code;

const GET: &str = "/rat.cloud.v1.CloudService/GetCredentials";

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "cloud.unknown-provider",
        |judge| Box::pin(unknown_provider(judge)),
        "GetCredentials refuses a provider that the plugin does not serve.",
    )
    .of(Slot::Cloud)
    .from(CLOUD_PROTO),
    Check::required(
        "cloud.nothing-for-nobody",
        |judge| Box::pin(nobody(judge)),
        "Credentials are good for the named resource alone: a request that names none gets none.",
    )
    .of(Slot::Cloud)
    .from(CLOUD_PROTO),
    Check::advised(
        "cloud.refusal-code",
        |judge| Box::pin(refusal_code(judge)),
        "A provider that the plugin does not serve is answered INVALID_ARGUMENT.",
    )
    .of(Slot::Cloud)
    .from(CLOUD_PROTO),
];

async fn ask(judge: &Judge, provider: &str, resource: &str) -> Result<Failure, String> {
    let session = judge.connect().await.map_err(|error| error.to_string())?;
    let request = GetCredentialsRequest {
        provider: provider.to_owned(),
        resource: resource.to_owned(),
        user_id: judge.marker.clone(),
        ..Default::default()
    };
    let answer = session
        .unary::<_, GetCredentialsResponse>(GET, &request)
        .await;
    match answer {
        // How many, never which.
        Ok(answer) => Err(format!(
            "{} credentials were handed out",
            answer.credentials.len()
        )),
        Err(failure) => Ok(failure),
    }
}

async fn unknown_provider(judge: &Judge) -> Outcome {
    match ask(judge, &judge.marker, &judge.marker).await {
        Ok(Failure::Refused(refusal)) => Ok(refusal.to_string()),
        Ok(Failure::None(error)) => broken(error.to_string()),
        Err(text) => broken(text),
    }
}

async fn nobody(judge: &Judge) -> Outcome {
    for provider in ["", "aws", "gcp", "azure"] {
        match ask(judge, provider, "").await {
            Ok(Failure::Refused(_)) => {}
            Ok(Failure::None(error)) => return broken(format!("{provider:?}: {error}")),
            Err(text) => return broken(format!("{provider:?} without a resource: {text}")),
        }
    }
    Ok("refused for every provider".to_owned())
}

async fn refusal_code(judge: &Judge) -> Outcome {
    match ask(judge, &judge.marker, &judge.marker).await {
        Ok(failure) if failure.code() == Some(Code::INVALID_ARGUMENT) => Ok(failure.to_string()),
        Ok(failure) => broken(failure.to_string()),
        Err(text) => broken(text),
    }
}
