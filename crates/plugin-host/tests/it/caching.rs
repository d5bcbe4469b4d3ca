//! What is remembered of verified tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rat_api::{Holder, Verification};
use rat_config::Slot;
use rat_plugin_host::Options;

use crate::support::plugin::{FAR, Script, Served};
use crate::support::{Rig, fast, one};

async fn rig(options: Options, script: &std::sync::Arc<Script>) -> (Rig, Served) {
    let rig = Rig::with(options).await;
    let socket = rig.socket("auth.sock");
    let served = Served::unix(&socket, script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    (rig, served)
}

#[tokio::test]
async fn a_verified_token_is_not_verified_again_and_says_how_old_it_is() {
    let script = Script::new();
    *script.expires_at.lock().unwrap() = FAR;
    let (rig, _served) = rig(fast(), &script).await;
    let first = rig.authenticate("good").await.unwrap();
    assert_eq!(first.by, Verification::Plugin);
    for _ in 0..10 {
        let again = rig.authenticate("good").await.unwrap();
        assert_eq!(again.identity, first.identity);
        let Verification::Cached(age) = again.by else {
            panic!("{again:?}");
        };
        assert!(age < Duration::from_secs(60));
    }
    assert_eq!(script.calls(), 1);
    rig.authenticate("other").await.unwrap();
    assert_eq!(script.calls(), 2);
    let metrics = rig.host.metrics().encode();
    assert!(
        metrics.contains("rat_plugin_token_cache_total{result=\"hit\"} 10"),
        "{metrics}"
    );
    assert!(
        metrics.contains("rat_plugin_token_cache_total{result=\"miss\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn nothing_is_remembered_where_the_plugin_or_the_settings_forbid_it() {
    let off = Options {
        token_cache: None,
        ..fast()
    };
    for (options, expires_at) in [(fast(), 0), (fast(), -5), (fast(), 1), (off, FAR)] {
        let script = Script::new();
        *script.expires_at.lock().unwrap() = expires_at;
        let (rig, _served) = rig(options, &script).await;
        for _ in 0..3 {
            rig.authenticate("good").await.unwrap();
        }
        assert_eq!(script.calls(), 3, "{expires_at}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let script = Script::new();
    *script.expires_at.lock().unwrap() = FAR;
    let (rig, _served) = rig(fast(), &script).await;
    script.fail(tonic::Status::unauthenticated("not yet"));
    assert!(rig.authenticate("good").await.is_err());
    *script.error.lock().unwrap() = None;
    rig.authenticate("good").await.unwrap();
}

#[tokio::test]
async fn what_is_remembered_ends_with_the_plugins_word_and_with_the_limit() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let soon = i64::try_from(now.as_secs()).unwrap() + 2;
    let short = Options {
        token_cache: Some(Duration::from_millis(500)),
        ..fast()
    };
    for (options, expires_at) in [(fast(), soon), (short, FAR)] {
        let script = Script::new();
        *script.expires_at.lock().unwrap() = expires_at;
        let (rig, _served) = rig(options, &script).await;
        rig.authenticate("good").await.unwrap();
        let begun = std::time::Instant::now();
        while script.calls() == 1 {
            rig.authenticate("good").await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(10), "{expires_at}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn who_was_verified_stays_so_while_the_plugin_is_down_and_nobody_else_is() {
    let script = Script::new();
    *script.expires_at.lock().unwrap() = FAR;
    let (rig, served) = rig(fast(), &script).await;
    rig.authenticate("good").await.unwrap();
    served.kill();
    rig.until(Slot::Auth, Holder::Denied).await;
    let still = rig.authenticate("good").await.unwrap();
    assert!(matches!(still.by, Verification::Cached(_)));
    assert!(rig.authenticate("other").await.is_err());
    assert!(rig.auth.authenticate(None).await.is_err());
}

#[tokio::test]
async fn another_plugin_is_asked_anew() {
    let script = Script::new();
    *script.expires_at.lock().unwrap() = FAR;
    let (rig, _served) = rig(fast(), &script).await;
    rig.authenticate("good").await.unwrap();
    let (socket, next) = (rig.socket("next.sock"), Script::new());
    *next.user.lock().unwrap() = Some("somebody-else".to_owned());
    let _next = Served::unix(&socket, &next);
    rig.write(&one(Slot::Auth, &socket, ""));
    rat_api::Plugins::reload(&rig.host).await.unwrap();
    let verified = rig.authenticate("good").await.unwrap();
    assert_eq!(verified.identity.user_id, "somebody-else");
    assert_eq!(verified.by, Verification::Plugin);
}
