//! What a good plugin answers, for every slot.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use rat_proto::{auth::v1 as auth, enforcement::v1 as enforcement};
use rat_proto::{executor::v1 as executor, plugin::v1 as plugin, sharing::v1 as sharing};
use serde_json::json;

use super::TOKEN;

/// What is answered to a call.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u32,
    pub(crate) message: String,
    pub(crate) body: Vec<u8>,
    pub(crate) delay: Duration,
}

impl Answer {
    pub(crate) fn of(message: &impl Message) -> Self {
        Self {
            code: 0,
            message: String::new(),
            body: message.encode_to_vec(),
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

pub(crate) fn refuse(code: u32, message: &str) -> Answer {
    Answer {
        code,
        message: message.to_owned(),
        body: Vec::new(),
        delay: Duration::ZERO,
    }
}

/// Answers with the decoded request, or refuses what does not decode.
fn with<Q: Message + Default>(
    bytes: &[u8],
    takes_malformed: bool,
    answer: impl FnOnce(Q) -> Answer,
) -> Answer {
    match Q::decode(bytes) {
        Ok(request) => answer(request),
        Err(_) if takes_malformed => answer(Q::default()),
        Err(_) => refuse(3, "that is no such message"),
    }
}

/// What a good plugin answers.
pub(crate) fn answer(path: &str, bytes: &[u8], lenient: bool) -> Answer {
    let method = path.rsplit('/').next().unwrap();
    match method {
        "HealthCheck" => with(bytes, lenient, |_: plugin::HealthCheckRequest| {
            Answer::of(&plugin::HealthCheckResponse {
                status: "healthy".to_owned(),
                message: "well".to_owned(),
            })
        }),
        "Describe" => Answer::of(&plugin::DescribeResponse {
            name: "fake".to_owned(),
            version: "1.0".to_owned(),
            slots: ["auth", "executor", "sharing", "enforcement", "cloud"]
                .map(str::to_owned)
                .to_vec(),
            config_schema: json!({"type": "object", "required": ["realm"]}).to_string(),
        }),
        "Configure" => with(bytes, lenient, configure),
        "Authenticate" => with(
            bytes,
            lenient,
            |request: auth::AuthenticateRequest| match request.token == TOKEN {
                true => Answer::of(&alice()),
                false => refuse(16, "the token is not known"),
            },
        ),
        "Authorize" => Answer::of(&auth::AuthorizeResponse::default()),
        "GetRunStatus" | "Cancel" | "StreamLogs" => {
            with(bytes, lenient, |_: executor::CancelRequest| {
                refuse(5, "there is no such run")
            })
        }
        "Submit" => refuse(3, "there is no run in it"),
        "ListRuns" => with(bytes, lenient, list_runs),
        "ListAccess" => with(bytes, lenient, |_: sharing::ListAccessRequest| {
            Answer::of(&sharing::ListAccessResponse::default())
        }),
        "RevokeAccess" => with(bytes, lenient, |_: sharing::RevokeAccessRequest| {
            Answer::of(&sharing::RevokeAccessResponse { revoked: false })
        }),
        "ShareResource" | "TransferOwnership" => refuse(3, "something is missing"),
        "CanAccess" => with(bytes, lenient, |request: enforcement::CanAccessRequest| {
            Answer::of(&enforcement::CanAccessResponse {
                allowed: request.owner == request.user_id,
                reason: String::new(),
            })
        }),
        "BatchCanAccess" => with(bytes, lenient, batch),
        "GetCredentials" => refuse(3, "the provider is not served"),
        "Check" => Answer {
            body: vec![8, 1],
            ..Answer::of(&plugin::HealthCheckRequest {})
        },
        "ServerReflectionInfo" => reflection(),
        _ => refuse(12, "there is no such method"),
    }
}

pub(crate) fn alice() -> auth::AuthenticateResponse {
    auth::AuthenticateResponse {
        user_id: "alice".to_owned(),
        roles: vec!["admin".to_owned()],
        expires_at: i64::try_from(
            std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .unwrap()
                .as_secs()
                + 60,
        )
        .unwrap(),
        ..Default::default()
    }
}

fn configure(request: plugin::ConfigureRequest) -> Answer {
    match serde_json::from_str::<serde_json::Value>(&request.config) {
        Ok(_) => Answer::of(&plugin::ConfigureResponse {}),
        Err(_) => refuse(3, "the configuration is no JSON"),
    }
}

fn list_runs(request: executor::ListRunsRequest) -> Answer {
    let all = ["c", "b", "a"];
    let begin: usize = request.page_token.parse().unwrap_or_default();
    let end = (begin + request.page_size as usize).min(all.len());
    let runs = all[begin..end].iter().map(|id| executor::RunSummary {
        run_id: (*id).to_owned(),
        state: 3,
        attempt: 1,
    });
    Answer::of(&executor::ListRunsResponse {
        runs: runs.collect(),
        next_page_token: match end < all.len() {
            true => end.to_string(),
            false => String::new(),
        },
    })
}

pub(crate) fn batch(request: enforcement::BatchCanAccessRequest) -> Answer {
    let verdicts = request
        .resources
        .iter()
        .map(|resource| resource.owner == request.user_id);
    Answer::of(&enforcement::BatchCanAccessResponse {
        allowed: verdicts.collect(),
    })
}

fn reflection() -> Answer {
    let services = [
        "rat.plugin.v1.PluginService",
        "rat.auth.v1.AuthService",
        "rat.executor.v1.ExecutorService",
        "rat.sharing.v1.SharingService",
        "rat.enforcement.v1.EnforcementService",
        "rat.cloud.v1.CloudService",
    ];
    let mut list = Vec::new();
    for service in services {
        let mut name = Vec::new();
        prost::encoding::string::encode(1, &service.to_owned(), &mut name);
        prost::encoding::bytes::encode(1, &name, &mut list);
    }
    let mut body = Vec::new();
    prost::encoding::bytes::encode(6, &list, &mut body);
    Answer {
        body,
        ..Answer::of(&plugin::HealthCheckRequest {})
    }
}

/// The answer over HTTP/1.1.
pub(crate) fn connect(path: &str, kind: &str, answer: &Answer) -> (u16, &'static str, Bytes) {
    let json = "application/json";
    let (status, word) = match answer.code {
        0 => (200, ""),
        1 => (499, "canceled"),
        3 => (400, "invalid_argument"),
        4 => (504, "deadline_exceeded"),
        5 => (404, "not_found"),
        8 => (429, "resource_exhausted"),
        12 => (501, "unimplemented"),
        13 => (500, "internal"),
        14 => (503, "unavailable"),
        16 => (401, "unauthenticated"),
        code => panic!("code {code} is not expected over HTTP/1.1"),
    };
    if kind == "application/connect+proto" {
        // Every stream of this plugin ends with an error at once.
        let end = json!({"error": {"code": word, "message": answer.message}}).to_string();
        let mut frame = vec![2];
        frame.extend_from_slice(&u32::try_from(end.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(end.as_bytes());
        return (200, "application/connect+proto", frame.into());
    }
    if status != 200 {
        let text = json!({"code": word, "message": answer.message}).to_string();
        return (status, json, text.into());
    }
    match kind {
        "application/proto" => (200, "application/proto", answer.body.clone().into()),
        _ if path.ends_with("HealthCheck") => {
            let health = plugin::HealthCheckResponse::decode(&*answer.body).unwrap();
            let text = json!({"status": health.status, "message": health.message});
            (200, json, text.to_string().into())
        }
        _ => (415, json, Bytes::new()),
    }
}
