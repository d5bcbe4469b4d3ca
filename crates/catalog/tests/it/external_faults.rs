//! An external catalog that is down, slow to tell, or does not know ratd.

use rat_catalog::{Catalog, Credentials, Error, PublishOutcome};
use rat_types::{Kind, Secret};
use serde_json::json;

use crate::support::{Lake, Write, ident, path, run, run_id, user};
use crate::upstream::{Fault, Upstream};

const TABLE: &str = "default.gold.t";

async fn with_table() -> (Upstream, Lake) {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&user(), TABLE).await.ok();
    front.append(TABLE, "first", 1).await;
    (upstream, front)
}

fn properties(value: &str) -> serde_json::Value {
    json!([{"action": "set-properties", "updates": {"a": value}}])
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_by_reading_again() {
    let (upstream, front) = with_table().await;
    for (value, fault) in [
        ("1", Fault::Lost(500)),
        ("2", Fault::Lost(502)),
        ("3", Fault::BrokenOff),
    ] {
        upstream.next([Fault::None, fault, Fault::Refused(503)]);
        let committed = front
            .commit(&user(), TABLE, json!([]), properties(value))
            .await;
        let metadata = committed.metadata();
        assert_eq!(metadata.properties()["a"], value, "{fault:?}");
    }
}

#[tokio::test]
async fn a_commit_that_was_perhaps_made_is_said_to_be_unknown() {
    let (upstream, front) = with_table().await;
    for status in [500, 502, 504] {
        upstream.next([Fault::None, Fault::Refused(status)]);
        front
            .commit(&user(), TABLE, json!([]), properties("x"))
            .await
            .fails(500, "CommitStateUnknownException");
    }
    upstream.next([Fault::None, Fault::Refused(503)]);
    front
        .commit(&user(), TABLE, json!([]), properties("x"))
        .await
        .fails(503, "ServiceUnavailableException");
    assert!(!front.metadata(TABLE).await.properties().contains_key("a"));
}

#[tokio::test]
async fn its_refusals_keep_their_meaning() {
    let (upstream, front) = with_table().await;
    for (refusal, status, exception) in [
        (400, 400, "BadRequestException"),
        (401, 503, "ServiceUnavailableException"),
        (403, 403, "ForbiddenException"),
        (404, 404, "NoSuchTableException"),
        (429, 503, "ServiceUnavailableException"),
        (501, 501, "UnsupportedOperationException"),
    ] {
        upstream.next([Fault::None, Fault::Refused(refusal)]);
        let message = front
            .commit(&user(), TABLE, json!([]), properties("x"))
            .await
            .fails(status, exception);
        if refusal != 404 {
            assert!(message.contains("as told"), "{message}");
        }
    }
    // What it always answers is no reason to try for ever.
    upstream.next([Fault::None, Fault::Refused(409)].repeat(20));
    front
        .commit(&user(), TABLE, json!([]), properties("x"))
        .await
        .fails(409, "CommitFailedException");
}

#[tokio::test]
async fn one_that_is_down_is_said_to_be_down() {
    let (upstream, front) = with_table().await;
    front.catalog.check().await.unwrap();
    drop(upstream);
    for answer in [
        front.get(&path(TABLE)).await,
        front.create(&user(), "default.gold.u").await,
        front
            .commit(&user(), TABLE, json!([]), properties("x"))
            .await,
    ] {
        let message = answer.fails(503, "ServiceUnavailableException");
        assert!(message.contains("external catalog"), "{message}");
        assert!(!message.contains("127.0.0.1"), "{message}");
    }
    let error = front.catalog.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let error = front
        .catalog
        .publish(run_id(1), &ident(TABLE))
        .await
        .unwrap_err();
    assert!(!error.is_permanent());
    assert_eq!(error.reason(), "EXTERNAL_CATALOG_UNAVAILABLE");
}

#[tokio::test]
async fn a_first_publish_whose_answer_is_lost_succeeds_when_it_is_repeated() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&run(run_id(1), TABLE, &[]), TABLE).await.ok();
    front
        .run_writes(run_id(1), TABLE, Write::Append(4))
        .await
        .ok();
    let table = ident(TABLE);
    let publish = || front.catalog.publish(run_id(1), &table);
    // Looked for, announced, created, and then nothing is heard of it any more.
    let silence = vec![Fault::Refused(503); 3];
    upstream.next([vec![Fault::None, Fault::None, Fault::Lost(500)], silence].concat());
    let error = publish().await.unwrap_err();
    assert!(
        matches!(error, Error::CommitStateUnknown { .. }),
        "{error:?}"
    );
    assert_eq!(
        front.store.tables().list_all_staged().await.unwrap().len(),
        1
    );
    let PublishOutcome::AlreadyPublished(publication) = publish().await.unwrap() else {
        panic!("it was published by the first call");
    };
    assert_eq!(publication.totals.records, 4);
    assert_eq!(front.store.tables().list_all_staged().await.unwrap(), []);
    assert_eq!(upstream.lake.metadata(TABLE).await.snapshots().len(), 1);
}

#[tokio::test]
async fn of_two_who_create_a_table_one_loses() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&run(run_id(1), TABLE, &[]), TABLE).await.ok();
    front
        .run_writes(run_id(1), TABLE, Write::Append(4))
        .await
        .ok();
    // Somebody creates it after ratd has looked: both of its steps are refused.
    upstream.lake.create(&user(), TABLE).await.ok();
    upstream.next([Fault::Refused(404)]);
    let outcome = front
        .catalog
        .publish(run_id(1), &ident(TABLE))
        .await
        .unwrap();
    assert!(
        matches!(outcome, PublishOutcome::Conflict { .. }),
        "{outcome:?}"
    );
    front
        .catalog
        .discard(run_id(1), &ident(TABLE))
        .await
        .unwrap();
    let left = front.files(TABLE);
    assert!(
        left.iter().all(|file| file.ends_with(".metadata.json")),
        "{left:?}"
    );
    assert_eq!(left.len(), 1, "theirs: {left:?}");
}

#[tokio::test]
async fn a_bearer_token_is_shown_and_never_told() {
    let upstream = Upstream::start().await;
    upstream.wants_token("hunter2");
    let token = |text: &str| Credentials::Token(Secret::new(text));
    let known = upstream
        .lake
        .in_front_of(upstream.with(token("hunter2")))
        .await;
    known.create(&user(), TABLE).await.ok();
    let unknown = upstream
        .lake
        .in_front_of(upstream.with(token("hunter3")))
        .await;
    let message = unknown
        .get(&path(TABLE))
        .await
        .fails(503, "ServiceUnavailableException");
    assert!(
        message.contains("401") && !message.contains("hunter"),
        "{message}"
    );
    assert!(!format!("{:?}", unknown.catalog).contains("hunter"));
}

#[tokio::test]
async fn a_client_gets_its_token_and_another_when_that_has_expired() {
    let upstream = Upstream::start().await;
    upstream.wants_token("token-1");
    let client = |secret: &str| Credentials::Client {
        token_uri: None,
        id: "rat".to_owned(),
        secret: Secret::new(secret),
        scope: Some("all".to_owned()),
    };
    let front = upstream
        .lake
        .in_front_of(upstream.with(client("s3cret")))
        .await;
    front.create(&user(), TABLE).await.ok();
    front.append(TABLE, "first", 1).await;
    assert_eq!(upstream.granted(), 1, "one token for many requests");
    upstream.wants_token("token-2");
    front.append(TABLE, "second", 1).await;
    assert_eq!(upstream.granted(), 2);

    let wrong = upstream
        .lake
        .in_front_of(upstream.with(client("wr0ng")))
        .await;
    let message = wrong
        .get(&path(TABLE))
        .await
        .fails(503, "ServiceUnavailableException");
    assert!(
        message.contains("no token") && !message.contains("wr0ng"),
        "{message}"
    );
}

#[tokio::test]
async fn a_certificate_is_believed_only_if_its_authority_is_known() {
    let (upstream, certificate) = Upstream::start_with_tls().await;
    let stranger = upstream.front().await;
    stranger
        .get(&path(TABLE))
        .await
        .fails(503, "ServiceUnavailableException");
    let mut external = upstream.with(Credentials::None);
    external.authorities = Some(certificate.into_bytes());
    let front = upstream.lake.in_front_of(external.clone()).await;
    front.create(&user(), TABLE).await.ok();

    let root = "file:///srv/lake".parse().unwrap();
    for nonsense in ["", "no certificate at all"] {
        external.authorities = Some(nonsense.into());
        let refused = Catalog::in_front_of(front.store.clone(), &root, external.clone());
        assert_eq!(
            refused.unwrap_err().reason(),
            "EXTERNAL_CATALOG_CONFIGURATION"
        );
    }
}

#[tokio::test]
async fn a_slip_in_the_address_does_not_look_like_an_empty_catalog() {
    let upstream = Upstream::start().await;
    let mut external = upstream.with(Credentials::None);
    external.uri = external.uri.join("elsewhere/").unwrap();
    let front = upstream.lake.in_front_of(external).await;
    let message = front
        .get(&path(TABLE))
        .await
        .fails(503, "ServiceUnavailableException");
    assert!(message.contains("no catalog at its address"), "{message}");
    let error = front.catalog.list_tables(None, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Upstream);
}
