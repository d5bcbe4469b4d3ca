//! Plugins that end when nobody calls them: a question of ratd's own must not start them again.

use std::time::{Duration, Instant};

use rat_api::Holder;
use rat_config::Slot;
use tokio::time::sleep;

use crate::support::plugin::{Script, Served};
use crate::support::{Rig, fast, one, wait_for};

const IDLE: Duration = Duration::from_millis(1000);

/// Waits until nothing was asked for several times the interval.
async fn until_quiet(script: &Script) -> usize {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let before = script.checks();
        sleep(fast().health_interval * 10).await;
        if script.checks() == before {
            return before;
        }
        assert!(Instant::now() < deadline, "its health is asked on and on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_nobody_calls_is_left_alone_until_the_next_call() {
    let rig = Rig::with(fast()).await;
    let socket = rig.socket("auth.sock");
    let script = Script::new();
    let served = Served::unix(&socket, &script);
    let idle = format!(", idle_stop: {}ms", IDLE.as_millis());
    rig.load(&one(Slot::Auth, &socket, &idle)).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let asked = until_quiet(&script).await;
    assert!(asked > 0);
    assert_eq!(rig.slot(Slot::Auth).holder, Holder::Plugin, "as it was");
    // It ends, as it does with --idle-stop; its successor is behind the same socket.
    served.kill();
    let _served = Served::unix(&socket, &script);
    assert_eq!(until_quiet(&script).await, asked, "nobody noticed");
    rig.authenticate("token").await.unwrap();
    wait_for("its health is asked again", || {
        match script.checks() > asked {
            true => Ok(()),
            false => Err(format!("{asked}")),
        }
    })
    .await;
    rig.stop().await;
}
