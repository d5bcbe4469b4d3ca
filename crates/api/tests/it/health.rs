use rat_api::Holder;
use rat_config::Slot;
use serde_json::{Value, json};

use crate::ratq::Mood;
use crate::slots::rack;
use crate::support::{Setup, api};

#[tokio::test]
async fn health_has_the_documented_shape_and_is_always_200() {
    let api = api().await;
    let answer = api.get("/health").await;
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!(
        text,
        r#"{"status":"degraded","services":{"sqlite":"healthy","storage":"healthy","catalog":"healthy","runner":"down","ratq":"healthy"},"plugins":{}}"#
    );
    answer.expect(200);
    assert_eq!(
        api.get("/api/v1/health").await.expect(200)["status"],
        "degraded"
    );
}

#[tokio::test]
async fn where_every_service_answers_all_is_well() {
    let api = Setup {
        runner: true,
        ..Setup::default()
    }
    .start()
    .await;
    assert_eq!(api.get("/health").await.expect(200)["status"], "ok");
    assert_eq!(
        api.get("/health/ready").await.expect(200)["status"],
        "ready"
    );
}

#[tokio::test]
async fn health_tells_what_holds_a_slot_that_a_plugin_is_configured_for() {
    let without = api().await.get("/health").await.expect(200);
    assert_eq!(without.get("slots"), None, "{without}");
    let api = Setup {
        plugins: rack(&[(Slot::Auth, Holder::Denied), (Slot::Cloud, Holder::Plugin)]),
        ..Setup::default()
    }
    .start()
    .await;
    let health = api.get("/health").await.expect(200);
    assert_eq!(
        health["slots"],
        json!({
            "auth": {"plugin": "auth-plugin", "on_down": "deny", "holder": "denied"},
            "cloud": {"plugin": "cloud-plugin", "on_down": "deny", "holder": "plugin"},
        })
    );
    assert_eq!(health["plugins"], json!({}));
}

#[tokio::test]
async fn plugins_stand_in_health_and_do_not_change_the_status() {
    let api = api().await;
    let plugin = rat_store::NewPlugin {
        name: "cloud-aws".to_owned(),
        slot: "cloud".to_owned(),
        image: "registry/cloud-aws:1".to_owned(),
        address: "cloud-aws:50064".to_owned(),
    };
    api.store.plugins().upsert(&plugin).await.unwrap();
    assert_eq!(
        api.get("/health").await.expect(200)["plugins"],
        json!({"cloud-aws": "unknown"})
    );
    let list = api
        .get("/api/v1/plugins?slot=cloud&status=unknown")
        .await
        .expect(200);
    assert_eq!(list["total"], 1);
    assert_eq!(list["plugins"][0]["address"], "cloud-aws:50064");
    assert_eq!(list["plugins"][0]["last_health"], Value::Null);
    assert_eq!(
        api.get("/api/v1/plugins?status=down").await.expect(200)["total"],
        0
    );
    api.get("/api/v1/plugins?status=odd")
        .await
        .refused(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let api = api().await;
    let ready = api.get("/health/ready").await.expect(503);
    assert_eq!(ready["status"], "not_ready");
    assert_eq!(ready["checks"]["sqlite"], json!({"status": "healthy"}));
    assert_eq!(ready["checks"]["runner"]["status"], "down");
    assert!(ready["checks"]["runner"]["error"].is_string());
    assert_eq!(ready["checks"]["ratq"]["status"], "healthy");
}

#[tokio::test]
async fn probes_ask_the_services_once_a_second() {
    let api = api().await;
    let probes = (0..50).map(|n| {
        api.get(if n % 2 == 0 {
            "/health"
        } else {
            "/health/ready"
        })
    });
    futures::future::join_all(probes).await;
    assert_eq!(api.ratq.probes(), 1);
}

#[tokio::test]
async fn a_service_that_is_unwell_is_down() {
    let api = Setup {
        runner: true,
        ..Setup::default()
    }
    .start()
    .await;
    api.ratq.be(Mood::Unwell);
    let health = api.get("/health").await.expect(200);
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["services"]["ratq"], "down");
    assert_eq!(health["services"]["runner"], "down");
    assert_eq!(health["services"]["storage"], "healthy");
}

#[tokio::test]
async fn what_hangs_is_down_and_holds_up_no_probe() {
    let api = Setup {
        runner: true,
        ..Setup::default()
    }
    .start()
    .await;
    api.ratq.be(Mood::Stuck);
    let begin = std::time::Instant::now();
    let probes = (0..20).map(|_| api.get("/health"));
    for answer in futures::future::join_all(probes).await {
        let services = answer.expect(200)["services"].clone();
        let expected = json!({"sqlite": "healthy", "storage": "healthy", "catalog": "healthy",
                              "runner": "down", "ratq": "down"});
        assert_eq!(services, expected);
    }
    // Twice the limit, on a machine with other work.
    let took = begin.elapsed();
    assert!(took < std::time::Duration::from_secs(4), "{took:?}");
    assert_eq!(api.ratq.probes(), 1);

    api.ratq.be(Mood::Well);
    let is_well = || async { api.get("/health").await.expect(200)["status"] == "ok" };
    crate::support::wait_for("all is well again", is_well).await;
}

#[tokio::test]
async fn what_a_killed_probe_left_is_in_nobodys_way() {
    let api = api().await;
    std::fs::write(api.lake().join(".rat-health-probe"), "old").unwrap();
    let services = api.get("/health").await.expect(200)["services"].clone();
    assert_eq!(services["storage"], "healthy");
    assert_eq!(std::fs::read_dir(api.lake()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_lake_that_cannot_be_written_is_down() {
    let api = api().await;
    std::fs::remove_dir_all(api.lake()).unwrap();
    std::fs::write(api.lake(), "not a folder").unwrap();
    let ready = api.get("/health/ready").await.expect(503);
    assert_eq!(ready["checks"]["storage"]["status"], "down");
    assert!(!ready.to_string().contains("lake"), "no paths: {ready}");
}

#[tokio::test]
async fn a_probe_leaves_nothing_in_the_lake() {
    let api = api().await;
    api.get("/health").await;
    assert_eq!(std::fs::read_dir(api.lake()).unwrap().count(), 0);
}

#[tokio::test]
async fn liveness_tells_the_version() {
    let api = api().await;
    assert_eq!(
        api.get("/health/live").await.expect(200),
        json!({"status": "ok", "version": "1.2.3", "git_commit": "abc",
               "build_time": "2026-01-31T08:00:00Z"})
    );
}

#[tokio::test]
async fn features_have_the_documented_shape() {
    let expected = |auth| {
        json!({"edition": "community", "auth": auth, "sharing": false, "enforcement": false,
               "container_executor": false, "cloud_aws": false, "pipeline_triggers": false,
               "pipeline_versions": false})
    };
    let open = api().await;
    assert_eq!(open.get("/features").await.expect(200), expected(false));
    assert_eq!(
        open.get("/api/v1/features").await.expect(200),
        expected(false)
    );
    let locked = Setup {
        key: Some("k"),
        ..Setup::default()
    }
    .start()
    .await;
    assert_eq!(locked.get("/features").await.expect(200), expected(true));
}

#[tokio::test]
async fn features_say_where_people_log_in_if_the_settings_do() {
    let setup = Setup {
        key: Some("k"),
        configure: |config| {
            config.login = Some(rat_config::Login {
                issuer: "https://example.org/realms/rat".to_owned(),
                client_id: "rat-cli".to_owned(),
                scopes: vec!["profile".to_owned()],
            });
        },
        ..Setup::default()
    };
    let features = setup.start().await.get("/features").await.expect(200);
    assert_eq!(
        features["login"],
        json!({"issuer": "https://example.org/realms/rat", "client_id": "rat-cli",
               "scopes": ["profile"]})
    );
}

#[tokio::test]
async fn everybody_is_the_anonymous_administrator_where_there_is_no_authentication() {
    let api = api().await;
    assert_eq!(
        api.get("/api/v1/me").await.expect(200),
        json!({"user_id": "anonymous", "email": "", "display_name": "", "roles": ["admin"]})
    );
}
