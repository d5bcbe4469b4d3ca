//! What plugins on the SDK serve besides the contract: standard health, reflection, Connect.

use prost::Message;
use rat_config::{Protocol, Slot};
use serde_json::Value;

use super::slot;
use crate::check::{Check, Outcome, broken, not_checked};
use crate::judge::Judge;
use crate::session::{Failure, HEALTH, decode, quote};
use crate::wire::{Code, Http1Reply, NoAnswer, Posted, Sent, post};

const STANDARD_HEALTH: &str = "/grpc.health.v1.Health/Check";
const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

pub(crate) const CHECKS: &[Check] = &[
    Check::advised(
        "standard.grpc-health",
        |judge| Box::pin(standard_health(judge)),
        "A plugin on the SDK serves grpc.health.v1: SERVING unless its status is \"down\".",
    ),
    Check::advised(
        "standard.reflection",
        |judge| Box::pin(reflection(judge)),
        "A plugin on the SDK serves server reflection, so that grpcurl needs no .proto files.",
    ),
    Check::advised(
        "connect.json",
        |judge| Box::pin(json(judge)),
        "A plugin on the SDK answers every method as JSON over HTTP/1.1, so that curl is enough to test it.",
    ),
    Check::advised(
        "connect.binary",
        |judge| Box::pin(binary(judge)),
        "A plugin on the SDK answers every method as binary protobuf over HTTP/1.1.",
    ),
    Check::advised(
        "connect.error",
        |judge| Box::pin(error(judge)),
        "An error over HTTP/1.1 is a JSON object with code and message, and its HTTP status fits the code.",
    ),
];

#[derive(Clone, PartialEq, Message)]
struct HealthReply {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ReflectionRequest {
    #[prost(string, tag = "7")]
    list_services: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReflectionReply {
    #[prost(message, optional, tag = "6")]
    services: Option<ServiceList>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceList {
    #[prost(message, repeated, tag = "1")]
    service: Vec<ServiceName>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceName {
    #[prost(string, tag = "1")]
    name: String,
}

async fn standard_health(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let reply = match session.bytes(STANDARD_HEALTH, &[]).await {
        Ok(reply) => reply,
        Err(failure) if failure.is_unimplemented() => return broken("it is not served"),
        Err(failure) => return Err(failure.into()),
    };
    let status = decode::<HealthReply>(&reply)?.status;
    let own = judge.alive().await?.status;
    let expected = if matches!(own.as_str(), "healthy" | "degraded") {
        1
    } else {
        2
    };
    let word = match status {
        1 => "SERVING",
        2 => "NOT_SERVING",
        _ => "neither SERVING nor NOT_SERVING",
    };
    match status == expected {
        true => Ok(word.to_owned()),
        false => broken(format!("it says {word}, and HealthCheck {:?}", quote(&own))),
    }
}

async fn reflection(judge: &Judge) -> Outcome {
    if judge.options.protocol == Protocol::Connect {
        return not_checked("over HTTP/1.1 there are no streams in both directions");
    }
    let session = judge.connect().await?;
    let request = ReflectionRequest {
        list_services: "*".to_owned(),
    };
    for path in REFLECTION {
        let reply = match session.bytes(path, &request.encode_to_vec()).await {
            Ok(reply) => reply,
            Err(failure) if failure.is_unimplemented() => continue,
            Err(failure) => return Err(failure.into()),
        };
        let answer: ReflectionReply = decode(&reply)?;
        let names: Vec<String> = answer
            .services
            .unwrap_or_default()
            .service
            .into_iter()
            .map(|service| service.name)
            .collect();
        let own = judge.served.iter().map(|slot| slot::service(*slot));
        for wanted in std::iter::once("rat.plugin.v1.PluginService").chain(own) {
            if !names.iter().any(|name| name == wanted) {
                return broken(format!("it does not know {wanted}"));
            }
        }
        return Ok(format!("{} services", names.len()));
    }
    broken("it is not served")
}

async fn ask(judge: &Judge, path: &str, kind: &str, body: &[u8]) -> Result<Http1Reply, NoAnswer> {
    let limit = judge.options.limits.call;
    let posted = Posted {
        path,
        kind,
        sent: Sent::Whole(body),
        timeout: None,
    };
    post(&judge.target, posted, limit).await
}

fn http(reply: &Http1Reply) -> String {
    format!(
        "HTTP status {}, content type {:?}",
        reply.status,
        quote(&reply.kind)
    )
}

async fn json(judge: &Judge) -> Outcome {
    let reply = ask(judge, HEALTH, "application/json", b"{}").await?;
    if reply.status != 200 || !reply.kind.starts_with("application/json") {
        return broken(http(&reply));
    }
    let Ok(answer) = serde_json::from_slice::<Value>(&reply.body) else {
        return broken("the answer is no JSON");
    };
    let own = judge.alive().await?.status;
    match answer["status"].as_str() {
        Some(status) if status == own => Ok(quote(status)),
        other => broken(format!(
            "status is {:?} as JSON and {:?} over gRPC",
            quote(other.unwrap_or_default()),
            quote(&own)
        )),
    }
}

async fn binary(judge: &Judge) -> Outcome {
    let reply = ask(judge, HEALTH, "application/proto", &[]).await?;
    if reply.status != 200 || !reply.kind.starts_with("application/proto") {
        return broken(http(&reply));
    }
    let answer = rat_proto::plugin::v1::HealthCheckResponse::decode(reply.body);
    let own = judge.alive().await?.status;
    match answer {
        Ok(answer) if answer.status == own => Ok(quote(&own)),
        Ok(answer) => broken(format!(
            "the status is {:?}, and {:?} over gRPC",
            quote(&answer.status),
            quote(&own)
        )),
        Err(error) => broken(format!("the answer does not decode: {error}")),
    }
}

/// HTTP statuses of the Connect protocol by code.
const STATUSES: [(&str, u16); 16] = [
    ("canceled", 499),
    ("unknown", 500),
    ("invalid_argument", 400),
    ("deadline_exceeded", 504),
    ("not_found", 404),
    ("already_exists", 409),
    ("permission_denied", 403),
    ("resource_exhausted", 429),
    ("failed_precondition", 400),
    ("aborted", 409),
    ("out_of_range", 400),
    ("unimplemented", 501),
    ("internal", 500),
    ("unavailable", 503),
    ("data_loss", 500),
    ("unauthenticated", 401),
];

async fn error(judge: &Judge) -> Outcome {
    let Some(slot) = judge.served.iter().find(|slot| refuses_unary(**slot)) else {
        return not_checked("no method is known to refuse something");
    };
    let Some((path, request)) = slot::probes(*slot, &judge.marker).into_iter().next() else {
        return not_checked("no method is known to refuse something");
    };
    let session = judge.connect().await?;
    let code = match session.bytes(&path, &request).await {
        Ok(_) => return not_checked("over gRPC there is no error"),
        Err(Failure::Refused(refusal)) => refusal.code,
        Err(Failure::None(error)) => return Err(error.into()),
    };
    let reply = ask(judge, &path, "application/proto", &request).await?;
    if !reply.kind.starts_with("application/json") {
        return broken(http(&reply));
    }
    let Ok(answer) = serde_json::from_slice::<Value>(&reply.body) else {
        return broken("the answer is no JSON");
    };
    let word = answer["code"].as_str().unwrap_or_default();
    let Some((_, status)) = STATUSES.iter().find(|(name, _)| *name == word) else {
        return broken(format!("the code is {:?}", quote(word)));
    };
    if !is_same(code, word) {
        return broken(format!("{code} over gRPC, and {word} over HTTP/1.1"));
    }
    match reply.status == *status {
        true => Ok(format!("{word}, {status}")),
        false => broken(format!("{word} with the HTTP status {}", reply.status)),
    }
}

/// Whether the slot's first probe is one that a plugin refuses.
fn refuses_unary(slot: Slot) -> bool {
    matches!(slot, Slot::Auth | Slot::Executor | Slot::Cloud)
}

fn is_same(code: Code, word: &str) -> bool {
    let name = code.to_string().to_lowercase();
    // The two protocols spell it differently.
    name == word || (name == "cancelled" && word == "canceled")
}
