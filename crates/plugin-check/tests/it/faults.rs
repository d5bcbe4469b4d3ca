//! For every check a plugin that fails it, and only by what the check is about.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use prost::Message;
use rat_plugin_check::{CHECKS, Level, Options, Verdict};
use rat_proto::{auth::v1 as auth, enforcement::v1 as enforcement};
use rat_proto::{executor::v1 as executor, plugin::v1 as plugin, sharing::v1 as sharing};

use crate::fake::{Answer, Fake, Fault, Instead, TOKEN, alice, batch, options, refuse};

fn instead(instead: Instead) -> Fault {
    Fault {
        instead: Some(instead),
        ..Fault::default()
    }
}

fn health(status: &str, message: &str) -> Option<Answer> {
    Some(Answer::of(&plugin::HealthCheckResponse {
        status: status.to_owned(),
        message: message.to_owned(),
    }))
}

fn token(bytes: &[u8]) -> String {
    let request = auth::AuthenticateRequest::decode(bytes);
    request.map(|request| request.token).unwrap_or_default()
}

/// Accepts the tokens that `accepts` does.
fn accept(path: &str, bytes: &[u8], accepts: fn(&str) -> bool) -> Option<Answer> {
    (path.ends_with("/Authenticate") && accepts(&token(bytes))).then(|| Answer::of(&alice()))
}

/// Answers the access question as `allows` says.
fn access(
    path: &str,
    bytes: &[u8],
    allows: impl Fn(&enforcement::CanAccessRequest) -> bool,
) -> Option<Answer> {
    path.ends_with("/CanAccess").then(|| {
        let request = enforcement::CanAccessRequest::decode(bytes).unwrap_or_default();
        Answer::of(&enforcement::CanAccessResponse {
            allowed: allows(&request),
            reason: String::new(),
        })
    })
}

fn batched(path: &str, bytes: &[u8], change: fn(&mut Vec<bool>)) -> Option<Answer> {
    path.ends_with("/BatchCanAccess").then(|| {
        let request = enforcement::BatchCanAccessRequest::decode(bytes).unwrap_or_default();
        let good = batch(request);
        let mut answer = enforcement::BatchCanAccessResponse::decode(&*good.body).unwrap();
        change(&mut answer.allowed);
        Answer::of(&answer)
    })
}

fn on(path: &str, method: &str, answer: impl FnOnce() -> Answer) -> Option<Answer> {
    path.ends_with(&format!("/{method}")).then(answer)
}

fn changed_alice(change: fn(&mut auth::AuthenticateResponse)) -> Answer {
    let mut answer = alice();
    change(&mut answer);
    Answer::of(&answer)
}

fn described(change: fn(&mut plugin::DescribeResponse)) -> Answer {
    let mut answer = plugin::DescribeResponse {
        name: "fake".to_owned(),
        version: "1".to_owned(),
        ..Default::default()
    };
    change(&mut answer);
    Answer::of(&answer)
}

/// Each check with a plugin that fails it. Those of a restart are in `process.rs`, those of a
/// plugin that is none at the end of this file.
fn faults() -> Vec<(&'static str, Fault)> {
    let mut faults = health_faults();
    faults.extend(auth_faults());
    faults.extend(slot_faults());
    faults.extend(access_faults());
    faults.extend(optional_faults());
    faults.extend(message_faults());
    faults.extend(load_faults());
    faults
}

fn health_faults() -> Vec<(&'static str, Fault)> {
    vec![
        (
            "health.answers",
            instead(|path, _, _| on(path, "HealthCheck", || refuse(13, "cannot say"))),
        ),
        (
            "health.status-word",
            instead(|path, _, _| on(path, "HealthCheck", || health("SERVING", "").unwrap())),
        ),
        (
            "health.time-limit",
            instead(|path, _, load| {
                let is_slow =
                    path.ends_with("/HealthCheck") && load.calls % 8 == 0 && load.calls > 0;
                let slow = health("healthy", "").unwrap();
                is_slow.then(|| slow.after(Duration::from_secs(60)))
            }),
        ),
        (
            "health.message",
            instead(|path, _, _| on(path, "HealthCheck", || health("healthy", "a\nb").unwrap())),
        ),
    ]
}

fn auth_faults() -> Vec<(&'static str, Fault)> {
    vec![
        (
            "auth.bad-token.empty",
            instead(|path, bytes, _| accept(path, bytes, str::is_empty)),
        ),
        (
            "auth.bad-token.garbage",
            instead(|path, _, _| on(path, "Authenticate", || refuse(14, "the database is away"))),
        ),
        (
            "auth.bad-token.jwt",
            instead(|path, bytes, _| accept(path, bytes, |token| token.starts_with("eyJ"))),
        ),
        (
            "auth.bad-token.unicode",
            instead(|path, bytes, _| accept(path, bytes, |token| token.contains('\0'))),
        ),
        (
            "auth.bad-token.long",
            instead(|path, bytes, _| accept(path, bytes, |token| token.len() > 500_000)),
        ),
        (
            "auth.refusal-code",
            instead(|path, _, _| on(path, "Authenticate", || refuse(13, "no"))),
        ),
        (
            "auth.no-secret-echo",
            instead(|path, bytes, _| {
                let shown = token(bytes)
                    .chars()
                    .filter(char::is_ascii_graphic)
                    .collect::<String>();
                on(path, "Authenticate", || {
                    refuse(16, &format!("{shown:.80} is wrong"))
                })
            }),
        ),
        (
            "auth.idempotent",
            instead(|path, _, load| {
                let code = if load.calls % 2 == 0 { 16 } else { 7 };
                on(path, "Authenticate", || refuse(code, ""))
            }),
        ),
        (
            "auth.identity",
            instead(|path, bytes, _| {
                let is_right = token(bytes) == TOKEN;
                let answer = || changed_alice(|answer| answer.user_id.clear());
                on(path, "Authenticate", answer).filter(|_| is_right)
            }),
        ),
        (
            "auth.expires-at",
            instead(|path, bytes, _| {
                let is_right = token(bytes) == TOKEN;
                let answer = || changed_alice(|answer| answer.expires_at *= 1_000);
                on(path, "Authenticate", answer).filter(|_| is_right)
            }),
        ),
        (
            "auth.near-miss",
            instead(|path, bytes, _| accept(path, bytes, |token| token.starts_with(TOKEN))),
        ),
        (
            "auth.parallel",
            instead(|path, bytes, load| {
                accept(path, bytes, |_| true).filter(|_| load.under_way > 20)
            }),
        ),
        (
            "auth.authorize-nobody",
            instead(|path, _, _| {
                on(path, "Authorize", || {
                    Answer::of(&auth::AuthorizeResponse {
                        allowed: true,
                        reason: String::new(),
                    })
                })
            }),
        ),
    ]
}

fn slot_faults() -> Vec<(&'static str, Fault)> {
    vec![
        (
            "slot.served",
            instead(|path, _, _| (!path.contains("rat.plugin")).then(|| refuse(12, ""))),
        ),
        (
            "slot.methods",
            instead(|path, _, _| on(path, "ListRuns", || refuse(12, ""))),
        ),
        (
            "executor.unknown-run.status",
            instead(|path, _, _| {
                on(path, "GetRunStatus", || {
                    Answer::of(&executor::GetRunStatusResponse::default())
                })
            }),
        ),
        (
            "executor.unknown-run.cancel",
            instead(|path, _, _| on(path, "Cancel", || refuse(13, "no such run"))),
        ),
        (
            "executor.unknown-run.logs",
            instead(|path, _, _| {
                let waits = refuse(5, "").after(Duration::from_secs(60));
                on(path, "StreamLogs", || waits)
            }),
        ),
        (
            "executor.empty-submit",
            instead(|path, _, _| {
                on(path, "Submit", || {
                    Answer::of(&executor::SubmitResponse { state: 1 })
                })
            }),
        ),
        (
            "executor.list-runs",
            instead(|path, _, _| {
                let run = executor::RunSummary {
                    run_id: "a".to_owned(),
                    state: 2,
                    attempt: 1,
                };
                on(path, "ListRuns", || {
                    Answer::of(&executor::ListRunsResponse {
                        runs: vec![run.clone(), run],
                        next_page_token: String::new(),
                    })
                })
            }),
        ),
        (
            "sharing.nothing-shared",
            instead(|path, _, _| {
                on(path, "ListAccess", || {
                    Answer::of(&sharing::ListAccessResponse {
                        grants: vec![sharing::AccessGrant::default()],
                    })
                })
            }),
        ),
        (
            "sharing.unknown-grant",
            instead(|path, _, _| {
                on(path, "RevokeAccess", || {
                    Answer::of(&sharing::RevokeAccessResponse { revoked: true })
                })
            }),
        ),
        (
            "sharing.incomplete-share",
            instead(|path, bytes, _| {
                let is_whole = !bytes.is_empty();
                on(path, "ShareResource", || {
                    Answer::of(&sharing::ShareResourceResponse::default())
                })
                .filter(|_| is_whole)
            }),
        ),
        (
            "sharing.incomplete-transfer",
            instead(|path, _, _| {
                on(path, "TransferOwnership", || {
                    Answer::of(&sharing::TransferOwnershipResponse { transferred: true })
                })
            }),
        ),
        (
            "cloud.unknown-provider",
            instead(|path, _, _| on(path, "GetCredentials", credentials)),
        ),
        (
            "cloud.nothing-for-nobody",
            instead(|path, bytes, _| {
                let request = enforcement::GetCredentialsRequest::decode(bytes).unwrap_or_default();
                on(path, "GetCredentials", credentials).filter(|_| request.provider == "aws")
            }),
        ),
        (
            "cloud.refusal-code",
            instead(|path, _, _| on(path, "GetCredentials", || refuse(13, "no"))),
        ),
    ]
}

fn credentials() -> Answer {
    Answer::of(&enforcement::GetCredentialsResponse {
        credentials: [("AWS_ACCESS_KEY_ID".to_owned(), "secret".to_owned())].into(),
        expires_at: 0,
    })
}

fn access_faults() -> Vec<(&'static str, Fault)> {
    const KNOWN: [&str; 7] = ["list", "read", "create", "write", "delete", "run", "share"];
    vec![
        (
            "enforcement.answers",
            instead(|path, bytes, _| {
                let request = enforcement::CanAccessRequest::decode(bytes).unwrap_or_default();
                on(path, "CanAccess", || refuse(3, "what is that?"))
                    .filter(|_| request.action == "run")
            }),
        ),
        (
            "enforcement.stranger",
            instead(|path, bytes, _| access(path, bytes, |_| true)),
        ),
        (
            "enforcement.unknown-words",
            instead(|path, bytes, _| {
                access(path, bytes, |request| {
                    !KNOWN.contains(&request.action.as_str())
                })
            }),
        ),
        (
            "enforcement.repeatable",
            instead(|path, bytes, load| access(path, bytes, |_| load.calls % 3 == 0)),
        ),
        (
            "enforcement.batch",
            instead(|path, bytes, _| batched(path, bytes, |verdicts| verdicts.rotate_left(1))),
        ),
        (
            "enforcement.batch-size",
            instead(|path, bytes, _| batched(path, bytes, |verdicts| verdicts.truncate(100))),
        ),
    ]
}

fn optional_faults() -> Vec<(&'static str, Fault)> {
    vec![
        (
            "describe.answers",
            instead(|path, _, _| on(path, "Describe", || refuse(12, ""))),
        ),
        (
            "describe.slots",
            instead(|path, _, _| {
                on(path, "Describe", || {
                    described(|answer| answer.slots = vec!["auth".to_owned()])
                })
            }),
        ),
        (
            "describe.config-schema",
            instead(|path, _, _| {
                on(path, "Describe", || {
                    described(|answer| answer.config_schema = "{\"type\": 7}".to_owned())
                })
            }),
        ),
        (
            "configure.refuses-garbage",
            instead(|path, _, _| {
                on(path, "Configure", || {
                    Answer::of(&plugin::ConfigureResponse {})
                })
            }),
        ),
        (
            "configure.no-secret-echo",
            instead(|path, bytes, _| {
                let request = plugin::ConfigureRequest::decode(bytes).unwrap_or_default();
                on(path, "Configure", || {
                    refuse(3, &format!("cannot read {}", request.config))
                })
            }),
        ),
        (
            "configure.idempotent",
            instead(|path, _, load| {
                on(path, "Configure", || refuse(9, "configured already")).filter(|_| load.calls > 8)
            }),
        ),
        (
            "standard.grpc-health",
            instead(|path, _, _| {
                let answer = Answer {
                    body: vec![8, 2],
                    ..Answer::of(&plugin::HealthCheckRequest {})
                };
                on(path, "Check", || answer)
            }),
        ),
        (
            "standard.reflection",
            instead(|path, _, _| on(path, "ServerReflectionInfo", || refuse(12, ""))),
        ),
        (
            "connect.json",
            Fault {
                http1: Some(|kind| {
                    (kind == "application/json").then_some((
                        200,
                        "application/json",
                        "{\"status\": 1}",
                    ))
                }),
                ..Fault::default()
            },
        ),
        (
            "connect.binary",
            Fault {
                http1: Some(|kind| {
                    (kind == "application/proto").then_some((415, "text/plain", "what?"))
                }),
                ..Fault::default()
            },
        ),
        (
            "connect.error",
            Fault {
                http1: Some(|_| Some((200, "application/json", "{\"code\": \"unauthenticated\"}"))),
                ..Fault::default()
            },
        ),
    ]
}

fn message_faults() -> Vec<(&'static str, Fault)> {
    let dies_beyond = |of| Fault {
        dies_of: Some(of),
        takes_large: true,
        ..Fault::default()
    };
    vec![
        (
            "message.unknown-field",
            instead(|path, bytes, _| {
                on(path, "HealthCheck", || refuse(3, "what is that?")).filter(|_| !bytes.is_empty())
            }),
        ),
        (
            "message.unknown-method",
            instead(|path, _, _| {
                on(path, "RatCheckNoSuchMethod", || {
                    Answer::of(&plugin::DescribeRequest {})
                })
            }),
        ),
        (
            "message.unknown-service",
            instead(|path, _, _| {
                on(path, "NoSuchMethod", || {
                    Answer::of(&plugin::DescribeRequest {})
                })
            }),
        ),
        (
            "message.unimplemented",
            instead(|path, _, _| on(path, "NoSuchMethod", || refuse(13, "no"))),
        ),
        (
            "message.malformed",
            Fault {
                takes_malformed: true,
                ..Fault::default()
            },
        ),
        (
            "message.cut-short",
            Fault {
                takes_half: true,
                takes_malformed: true,
                ..Fault::default()
            },
        ),
        ("message.5-mib", dies_beyond(|_, length| length > 5 << 20)),
        ("message.20-mib", dies_beyond(|_, length| length > 20 << 20)),
        (
            "message.limit",
            Fault {
                takes_large: true,
                ..Fault::default()
            },
        ),
    ]
}

fn load_faults() -> Vec<(&'static str, Fault)> {
    vec![
        (
            "load.parallel-calls",
            instead(|path, _, load| {
                on(path, "HealthCheck", || refuse(8, "too many")).filter(|_| load.under_way > 30)
            }),
        ),
        (
            "load.parallel-connections",
            Fault {
                max_connections: Some(10),
                ..Fault::default()
            },
        ),
        (
            "deadline.expired",
            Fault {
                dies_of: Some(|headers, _| headers.get("grpc-timeout").is_some_and(|t| t == "1n")),
                ..Fault::default()
            },
        ),
        (
            "deadline.honoured",
            Fault {
                ignores_deadlines: true,
                ..Fault::default()
            },
        ),
        (
            "cancel.mid-call",
            Fault {
                resents_cancelling: true,
                ..Fault::default()
            },
        ),
        (
            "connection.half-open",
            Fault {
                max_connections: Some(100),
                is_patient: true,
                ..Fault::default()
            },
        ),
        (
            "connection.silence",
            Fault {
                is_patient: true,
                ..Fault::default()
            },
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_fails_before_a_plugin_that_breaks_its_sentence() {
    let judged = futures::stream::iter(faults()).map(|(id, fault)| async move {
        let fake = Fake::start(fault);
        let wanted = Options {
            // What is missing is not judged unless it is asked for.
            slots: match id {
                "slot.served" => vec![rat_config::Slot::Auth],
                _ => Vec::new(),
            },
            ..options(&[id])
        };
        let report = fake.judge(wanted).await;
        let finding = report
            .finding(id)
            .unwrap_or_else(|| panic!("{id} was not done"));
        let expected = match (finding.check.level, id) {
            (Level::Required, _) => Verdict::Fail,
            (Level::Advised, _) => Verdict::Warn,
        };
        (
            id,
            finding.verdict == expected,
            finding.verdict,
            finding.detail.clone(),
        )
    });
    let judged: Vec<_> = judged.buffer_unordered(8).collect().await;
    let wrong: Vec<_> = judged
        .iter()
        .filter(|(_, is_right, ..)| !is_right)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_over_connect_that_breaks_its_sentence_fails_as_well() {
    // Those of the messages themselves, which are sent in another way.
    let wanted = [
        "health.answers",
        "auth.bad-token.garbage",
        "auth.no-secret-echo",
        "auth.near-miss",
        "executor.unknown-run.cancel",
        "message.malformed",
        "message.unknown-method",
        "deadline.honoured",
    ];
    for (id, fault) in faults().into_iter().filter(|(id, _)| wanted.contains(id)) {
        let fake = Fake::start(fault);
        let over_connect = Options {
            protocol: rat_config::Protocol::Connect,
            ..options(&[id])
        };
        let report = fake.judge(over_connect).await;
        let finding = report.finding(id).unwrap();
        assert_ne!(finding.verdict, Verdict::Pass, "{id}: {}", finding.detail);
        assert_ne!(
            finding.verdict,
            Verdict::NotChecked,
            "{id}: {}",
            finding.detail
        );
    }
}

#[test]
fn every_check_has_a_plugin_that_fails_it() {
    let covered: BTreeSet<&str> = faults().into_iter().map(|(id, _)| id).collect();
    let missing: Vec<&str> = CHECKS
        .iter()
        .map(|check| check.id)
        .filter(|id| !covered.contains(id))
        .collect();
    // The first has its own test below, the others are in process.rs.
    assert_eq!(
        missing,
        [
            "connection.reachable",
            "restart.graceful-stop",
            "restart.after-kill",
            "restart.same-answers"
        ]
    );
}

#[tokio::test]
async fn something_else_on_the_address_is_not_reachable_and_ends_nothing_but_the_check() {
    use tokio::io::AsyncWriteExt;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ssh.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let greet = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        }
    };
    let judge = rat_plugin_check::run(
        crate::fake::target(&socket),
        options(&[]),
        &rat_plugin_check::Silent,
    );
    let report = tokio::select! {
        report = judge => report.unwrap(),
        () = greet => unreachable!("it greets for ever"),
    };
    let reachable = report.finding("connection.reachable").unwrap();
    assert_eq!(reachable.verdict, Verdict::Fail, "{}", reachable.detail);
    let served = report.finding("slot.served").unwrap();
    assert_eq!(served.verdict, Verdict::Fail, "{}", served.detail);
}

#[tokio::test]
async fn a_plugin_that_died_of_a_check_fails_it_and_the_rest_is_not_checked() {
    let fake = Fake::start(Fault {
        dies_of: Some(|_, length| length > 5 << 20),
        ..Fault::default()
    });
    let report = fake.judge(options(&["message", "cancel"])).await;
    let of = |id: &str| {
        let finding = report.finding(id).unwrap();
        (finding.verdict, finding.detail.clone())
    };
    assert_eq!(of("message.malformed").0, Verdict::Pass);
    let (verdict, detail) = of("message.5-mib");
    assert_eq!(verdict, Verdict::Fail);
    assert!(
        detail.contains("HealthCheck is not answered afterwards"),
        "{detail}"
    );
    let (verdict, detail) = of("cancel.mid-call");
    assert_eq!(verdict, Verdict::NotChecked);
    assert_eq!(detail, "the plugin has not answered since message.5-mib");
}
