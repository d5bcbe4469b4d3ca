//! Plugins that do not do what they should: ratd stays up, says which, where and why, and nobody
//! is let in.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rat_api::{AuthenticationError, Holder};
use rat_config::Slot;
use rat_plugin_host::Options;
use rat_store::PluginStatus;
use tokio::time::Instant;
use tonic::Status;

use crate::support::plugin::{Script, Served, Services};
use crate::support::{Rig, fast, one};

/// Nobody is let in, and the slot says `message` with everything that names the plugin.
async fn refuses_with(rig: &Rig, socket: &Path, message: &str) {
    rig.until_message(Slot::Auth, message).await;
    let state = rig.slot(Slot::Auth);
    assert_eq!(state.holder, Holder::Denied);
    let named = format!(
        "the auth plugin auth-one at unix:{} is down: ",
        socket.display()
    );
    assert!(state.message.starts_with(&named), "{}", state.message);
    let refused = rig.authenticate("good").await.unwrap_err();
    let AuthenticationError::Unavailable(told) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(told, "the auth plugin auth-one does not answer");
    rig.until_row("auth-one", |row| {
        row.status == PluginStatus::Down && row.message.contains(message)
    })
    .await;
}

#[tokio::test]
async fn a_plugin_that_is_absent_at_the_start_is_found_when_it_comes() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    rig.load(&one(Slot::Auth, &socket, "")).await;
    refuses_with(&rig, &socket, "No such file or directory").await;
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.until(Slot::Auth, Holder::Plugin).await;
    let verified = rig.authenticate("good").await.unwrap();
    assert_eq!(verified.identity.user_id, "user-of-good");
    rig.until_row("auth-one", |row| {
        row.status == PluginStatus::Healthy
            && row.message == "all well"
            && row.latency_us.is_some()
            && row.last_health.is_some()
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn who_calls_before_the_first_check_waits_for_it() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    script.health_delay.store(300, Ordering::SeqCst);
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    let state = rig.slot(Slot::Auth);
    assert_eq!(state.holder, Holder::Denied);
    assert!(state.message.contains("not known yet"), "{state:?}");
    let verified = rig.authenticate("good").await.unwrap();
    assert_eq!(verified.identity.user_id, "user-of-good");
    assert_eq!(rig.slot(Slot::Auth).holder, Holder::Plugin);
}

#[tokio::test]
async fn who_calls_before_a_first_check_that_fails_is_refused_after_it() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    // Longer than a check may take.
    script.health_delay.store(60_000, Ordering::SeqCst);
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    let refused = rig.authenticate("good").await;
    assert!(matches!(refused, Err(AuthenticationError::Unavailable(_))));
    assert!(rig.slot(Slot::Auth).message.contains("no answer within"));
    assert_eq!(script.calls(), 0);
}

#[tokio::test]
async fn a_plugin_that_is_slow_within_the_limit_is_well_and_beyond_it_is_down() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    // Nine tenths of the limit, then eleven.
    script.health_delay.store(450, Ordering::SeqCst);
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    script.health_delay.store(550, Ordering::SeqCst);
    refuses_with(&rig, &socket, "HealthCheck: no answer within 500ms").await;
    script.health_delay.store(0, Ordering::SeqCst);
    rig.until(Slot::Auth, Holder::Plugin).await;
}

#[tokio::test]
async fn a_call_that_hangs_ends_at_its_deadline_and_the_plugin_stays() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    script.delay.store(60_000, Ordering::SeqCst);
    let begun = Instant::now();
    let refused = rig.authenticate("good").await;
    assert!(matches!(refused, Err(AuthenticationError::Unavailable(_))));
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(3),
        "{took:?}"
    );
    assert_eq!(
        script.calls(),
        1,
        "a call that may still be executed is not repeated"
    );
    script.delay.store(0, Ordering::SeqCst);
    assert_eq!(rig.slot(Slot::Auth).holder, Holder::Plugin);
    rig.authenticate("good").await.unwrap();
}

#[tokio::test]
async fn a_plugin_that_accepts_and_says_nothing_is_down() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    // It is never even accepted: the kernel connects.
    let _listener = UnixListener::bind(&socket).unwrap();
    rig.load(&one(Slot::Auth, &socket, "")).await;
    refuses_with(&rig, &socket, "no answer within 500ms").await;
}

/// A server that writes `bytes` to whoever connects.
fn babble(socket: &Path, bytes: &'static [u8]) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut heard = [0; 1024];
                let _ = stream.read(&mut heard);
                let _ = stream.write_all(bytes);
                let _ = stream.read(&mut heard);
            });
        }
    });
}

#[tokio::test]
async fn garbage_is_called_garbage() {
    for (bytes, message) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "it does not speak HTTP/2 as it should",
        ),
        (&[0xff; 4096][..], "it does not speak HTTP/2 as it should"),
        (&b""[..], "cannot be reached"),
    ] {
        let rig = Rig::new().await;
        let socket = rig.socket("auth.sock");
        babble(&socket, bytes);
        rig.load(&one(Slot::Auth, &socket, "")).await;
        refuses_with(&rig, &socket, message).await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_service_that_is_no_plugin_is_told_apart() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let executor = crate::executor::server(&Services(script));
    let listener = UnixListener::bind(&socket).unwrap();
    let _served = Served::serve(listener, tonic::service::Routes::new(executor));
    rig.load(&one(Slot::Auth, &socket, "")).await;
    let message = "no plugin: it does not have rat.plugin.v1.PluginService";
    refuses_with(&rig, &socket, message).await;
}

#[tokio::test]
async fn a_web_server_is_told_apart() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let path = socket.clone();
    let _served = Served::spawn(async move |_| {
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        let answer = axum::routing::any(|| async { "<html>welcome</html>" });
        let pages = axum::Router::new().fallback_service(answer);
        axum::serve(listener, pages).await.unwrap();
    });
    rig.load(&one(Slot::Auth, &socket, "")).await;
    let message = "it does not speak gRPC: HTTP status 200 with content type text/plain";
    refuses_with(&rig, &socket, message).await;
}

#[tokio::test]
async fn a_status_outside_the_contract_is_down_by_its_name() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    script.be("SERVING", "I am \u{1b}[31mfine\nreally");
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    let message = "\"SERVING\", which is none of healthy, degraded and down: I am  [31mfine really";
    refuses_with(&rig, &socket, message).await;
    script.be("degraded", "one disk less");
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.authenticate("good").await.unwrap();
    rig.until_row("auth-one", |row| row.status == PluginStatus::Degraded)
        .await;
    script.be("down", "no disk");
    refuses_with(&rig, &socket, "no disk").await;
}

#[tokio::test]
async fn an_answer_of_ten_megabytes_is_not_taken() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    script.size.store(10 << 20, Ordering::SeqCst);
    let refused = rig.authenticate("good").await;
    assert!(matches!(refused, Err(AuthenticationError::Unavailable(_))));
    let metrics = rig.host.metrics().encode();
    assert!(metrics.contains("code=\"too_large\""), "{metrics}");
    script.size.store(10, Ordering::SeqCst);
    rig.authenticate("good").await.unwrap();
    script.be("healthy", &"x".repeat(10 << 20));
    refuses_with(&rig, &socket, "its answer has more than 4194304 bytes").await;
}

#[tokio::test]
async fn what_a_plugin_refuses_is_refused_and_what_it_leaves_open_is_not() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let missing = rig.auth.authenticate(None).await;
    assert_eq!(missing, Err(AuthenticationError::Missing));
    for refusal in [
        Status::unauthenticated("expired"),
        Status::permission_denied("locked"),
        Status::not_found("who?"),
        Status::invalid_argument("not a token"),
        Status::internal("a bug"),
        Status::unknown("?"),
        Status::unimplemented("?"),
        Status::cancelled("?"),
        Status::resource_exhausted("?"),
    ] {
        script.fail(refusal.clone());
        let refused = rig.authenticate("good").await;
        assert_eq!(refused, Err(AuthenticationError::Refused), "{refusal:?}");
        assert_eq!(rig.slot(Slot::Auth).holder, Holder::Plugin);
    }
    for no_answer in [Status::unavailable("?"), Status::deadline_exceeded("?")] {
        script.fail(no_answer.clone());
        let refused = rig.authenticate("good").await;
        let unavailable = matches!(refused, Err(AuthenticationError::Unavailable(_)));
        assert!(unavailable, "{no_answer:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_caller_without_a_name_is_not_let_in() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    *script.user.lock().unwrap() = Some(String::new());
    let refused = rig.authenticate("good").await;
    assert!(matches!(refused, Err(AuthenticationError::Unavailable(_))));
}

#[tokio::test]
async fn a_socket_that_ratd_may_not_open_is_told() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let _served = Served::unix(&socket, &Script::new());
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Where the tests run as root, who may open everything, this thread does it as nobody.
    let nobody = nix::unistd::Uid::from_raw(65534);
    nix::unistd::setfsuid(nobody);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    rig.until_message(Slot::Auth, "Permission denied").await;
    nix::unistd::setfsuid(nix::unistd::geteuid());
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    rig.until(Slot::Auth, Holder::Plugin).await;
}

#[tokio::test]
async fn an_address_that_takes_no_connection_is_given_up_after_the_limit() {
    // Two connections that nobody accepts fill it; the third one is not even refused.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.unwrap();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let waiting = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
    let rig = Rig::new().await;
    let section = crate::support::line(Slot::Auth, &address.to_string(), "");
    let begun = Instant::now();
    rig.load(&format!("plugins:\n{section}")).await;
    let message = format!("failed to connect to {address} within 500ms");
    rig.until_message(Slot::Auth, &message).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    drop(waiting);
}

#[tokio::test]
async fn a_name_that_is_gone_is_told_and_one_that_was_known_is_kept() {
    let rig = Rig::new().await;
    let (listener, address) = crate::support::plugin::port();
    let script = Script::new();
    let _served = Served::tcp(listener, &script);
    let section = format!(
        "plugins:\n{}",
        crate::support::line(Slot::Auth, "plugin.example:50060", "")
    );
    rig.load(&section).await;
    let message = "the name plugin.example is not known: no such name";
    rig.until_message(Slot::Auth, message).await;
    rig.names.set("plugin.example", &[address]);
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.names.remove("plugin.example");
    let checks = script.checks();
    crate::support::wait_for("it is still asked", || match script.checks() > checks + 3 {
        true => Ok(()),
        false => Err(format!("{} checks", script.checks())),
    })
    .await;
    rig.authenticate("good").await.unwrap();
}

#[tokio::test]
async fn a_plugin_that_flaps_lets_nobody_in_while_it_is_down_and_floods_nothing() {
    let rig = Rig::with(Options {
        health_interval: Duration::from_millis(20),
        ..fast()
    })
    .await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Auth, &socket, "")).await;
    let mut events = rig.host.events();
    for round in 0..10 {
        script.be("healthy", "up");
        rig.until(Slot::Auth, Holder::Plugin).await;
        rig.authenticate("good").await.unwrap();
        script.be("down", "down");
        rig.until(Slot::Auth, Holder::Denied).await;
        let calls = script.calls();
        assert!(rig.authenticate("good").await.is_err(), "round {round}");
        assert_eq!(script.calls(), calls, "a plugin that is down is not asked");
    }
    let mut count = 0;
    while let Ok(event) = events.try_recv() {
        count += 1;
        assert_ne!(event.from, event.to);
    }
    assert!((19..=20).contains(&count), "{count} changes");
}
