//! A plugin that does as its callers tell it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use rat_plugin_sdk::auth::{AuthenticateRequest, AuthenticateResponse};
use rat_plugin_sdk::enforcement::{CanAccessRequest, CanAccessResponse};
use rat_plugin_sdk::executor::{
    CancelRequest, CancelResponse, GetRunStatusRequest, GetRunStatusResponse, ListRunsRequest,
    ListRunsResponse, RunSummary, StreamLogsRequest, StreamLogsResponse, SubmitRequest,
    SubmitResponse,
};
use rat_plugin_sdk::runner::LogEntry;
use rat_plugin_sdk::testing::Harness;
use rat_plugin_sdk::{
    Auth, Code, Enforcement, Executor, Health, Invalid, Plugin, ResponseStream, Server, Status,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tonic::metadata::{MetadataMap, MetadataValue};

/// No test waits longer than this for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// What must not get out.
pub(crate) const SECRET: &str = "the-secret-in-the-panic";

pub(crate) const AUTHENTICATE: &str = "/rat.auth.v1.AuthService/Authenticate";
pub(crate) const STREAM_LOGS: &str = "/rat.executor.v1.ExecutorService/StreamLogs";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    name: String,
    #[serde(default)]
    size: Option<u8>,
    #[serde(default, rename = "keys")]
    _keys: BTreeMap<String, Key>,
    #[serde(default)]
    mood: Mood,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    #[serde(rename = "owner")]
    _owner: String,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mood {
    #[default]
    Fine,
    Tired,
    Ill,
    Confused,
}

/// Counts how often the plugin was made.
static MADE: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Workshop {
    config: Config,
    made: u64,
}

impl Plugin for Workshop {
    const NAME: &str = "work-shop";
    const VERSION: &str = "1.2.3";
    type Config = Config;

    async fn configure(config: Config) -> Result<Self, Invalid> {
        let mistakes = [
            (config.name == "nobody").then(|| Invalid::new("name", "nobody may not be it")),
            (config.size == Some(13)).then(|| Invalid::new("size", "must not be unlucky")),
        ];
        assert!(config.name != "panic", "{SECRET}");
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        Invalid::unless(mistakes.into_iter().flatten(), Self { config, made })
    }

    async fn health(&self) -> Health {
        match self.config.mood {
            Mood::Fine => Health::healthy("all is well"),
            Mood::Tired => Health::degraded("yawn"),
            Mood::Ill => Health::down("two\nlines"),
            Mood::Confused => panic!("{SECRET}"),
        }
    }
}

impl Auth for Workshop {
    /// The token is the order: `code 5` fails with that code, `panic` panics, `hang` never ends.
    async fn authenticate(
        &self,
        request: AuthenticateRequest,
    ) -> Result<AuthenticateResponse, Status> {
        let (order, argument) = request
            .token
            .split_once(' ')
            .unwrap_or((&request.token, ""));
        match order {
            "panic" => panic!("{SECRET}"),
            "hang" => std::future::pending().await,
            "code" => {
                let code = Code::from_i32(argument.parse().expect("a number"));
                Err(Status::new(code, "as \"ordered\": 100% ä"))
            }
            "detail" => {
                let detail = b"\x12\x08as it is\x1a\x1c\x0a\x15type.example/rat.Text\x12\x03abc";
                let mut metadata = MetadataMap::new();
                metadata.insert("x-try-again", MetadataValue::from_static("never"));
                Err(Status::with_details_and_metadata(
                    Code::NotFound,
                    "with a detail",
                    detail.as_slice().into(),
                    metadata,
                ))
            }
            _ => Ok(AuthenticateResponse {
                user_id: request.token.clone(),
                // Tells a plugin from its successor.
                email: format!("{}", self.made),
                roles: vec!["admin".to_owned(), "ä\"\\".to_owned()],
                display_name: self.config.name.clone(),
                expires_at: 9_007_199_254_740_993,
            }),
        }
    }
}

impl Enforcement for Workshop {
    async fn can_access(&self, request: CanAccessRequest) -> Result<CanAccessResponse, Status> {
        Ok(CanAccessResponse {
            allowed: request.owner == request.user_id,
            reason: String::new(),
        })
    }
}

impl Executor for Workshop {
    async fn submit(&self, request: SubmitRequest) -> Result<SubmitResponse, Status> {
        let run = request
            .run
            .ok_or_else(|| Status::invalid_argument("no run"))?;
        let length: usize = run.sources.values().map(String::len).sum();
        Err(Status::resource_exhausted(format!("{length} bytes")))
    }

    async fn cancel(&self, _: CancelRequest) -> Result<CancelResponse, Status> {
        Err(Status::not_found("no such run"))
    }

    async fn get_run_status(&self, _: GetRunStatusRequest) -> Result<GetRunStatusResponse, Status> {
        Ok(GetRunStatusResponse::default())
    }

    /// The id is the order.
    async fn stream_logs(
        &self,
        request: StreamLogsRequest,
    ) -> Result<ResponseStream<StreamLogsResponse>, Status> {
        let entries = |range: std::ops::Range<u64>| stream::iter(range.map(|seq| Ok(entry(seq))));
        Ok(match request.run_id.as_str() {
            "unknown" => return Err(Status::not_found("no such run")),
            "none" => stream::empty().boxed(),
            "broken" => entries(1..3)
                .chain(stream::iter([Err(Status::aborted("it broke"))]))
                .boxed(),
            "panic" => entries(1..2)
                .chain(stream::once(async {
                    // What tonic has gathered before the panic would be lost with it.
                    tokio::task::yield_now().await;
                    panic!("{SECRET}")
                }))
                .boxed(),
            "endless" => entries(1..2).chain(stream::pending()).boxed(),
            "busy" => entries(1..u64::MAX).boxed(),
            _ => entries(request.after + 1..request.after + 4).boxed(),
        })
    }

    async fn list_runs(&self, request: ListRunsRequest) -> Result<ListRunsResponse, Status> {
        let run = RunSummary {
            run_id: request.page_token,
            state: 2,
            attempt: 1,
        };
        Ok(ListRunsResponse {
            runs: vec![run; request.page_size as usize],
            next_page_token: String::new(),
        })
    }
}

fn entry(seq: u64) -> StreamLogsResponse {
    StreamLogsResponse {
        entries: vec![LogEntry {
            seq,
            at: None,
            level: 2,
            message: format!("line {seq}"),
        }],
    }
}

pub(crate) fn server() -> Server<Workshop> {
    Server::new().auth().executor().enforcement()
}

pub(crate) async fn start() -> Harness {
    start_with(server(), json!({"name": "shop"})).await
}

pub(crate) async fn start_with(server: Server<Workshop>, config: Value) -> Harness {
    Harness::start(server, config).await.unwrap()
}

/// `work`, which must end in time.
pub(crate) async fn in_time<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(LIMIT, work)
        .await
        .expect("it ends in time")
}
