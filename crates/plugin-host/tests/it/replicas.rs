//! A plugin behind a name with several addresses.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rat_api::{GrantPermission, Grantee, Holder, NewGrant, Resource, SlotError};
use rat_config::Slot;
use rat_store::PluginStatus;

use crate::support::plugin::{Script, Served, port};
use crate::support::{Rig, line, user, wait_for};

const NAME: &str = "plugin.example";

async fn rig_with(addresses: &[std::net::SocketAddr], slot: Slot) -> Rig {
    let rig = Rig::new().await;
    rig.names.set(NAME, addresses);
    let section = line(slot, &format!("{NAME}:50060"), "");
    rig.load(&format!("plugins:\n{section}")).await;
    rig
}

#[tokio::test]
async fn calls_go_round_all_replicas() {
    let ((first, one), (second, two)) = (port(), port());
    let (left, right) = (Script::new(), Script::new());
    let _servers = (Served::tcp(first, &left), Served::tcp(second, &right));
    let rig = rig_with(&[one, two], Slot::Auth).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.until_row("auth-one", |row| row.status == PluginStatus::Healthy)
        .await;
    for _ in 0..100 {
        rig.authenticate("good").await.unwrap();
    }
    assert_eq!((left.calls(), right.calls()), (50, 50));
}

#[tokio::test]
async fn a_dead_replica_costs_no_call_and_is_told_and_comes_back() {
    let ((first, one), (second, two)) = (port(), port());
    let (left, right) = (Script::new(), Script::new());
    let _left = Served::tcp(first, &left);
    drop(second);
    let rig = rig_with(&[one, two], Slot::Auth).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    for _ in 0..50 {
        rig.authenticate("good").await.unwrap();
    }
    let told = format!("1 of 2 replicas cannot be used; {two}: ");
    rig.until_row("auth-one", |row| {
        row.status == PluginStatus::Degraded && row.message.starts_with(&told)
    })
    .await;
    let second = std::net::TcpListener::bind(two).unwrap();
    let _right = Served::tcp(second, &right);
    rig.until_row("auth-one", |row| row.status == PluginStatus::Healthy)
        .await;
    for _ in 0..50 {
        rig.authenticate("good").await.unwrap();
    }
    assert_eq!(right.calls(), 25);
}

#[tokio::test]
async fn a_replica_that_dies_under_load_costs_no_call_that_may_be_repeated() {
    let ((first, one), (second, two)) = (port(), port());
    let (left, right) = (Script::new(), Script::new());
    left.delay.store(20, Ordering::SeqCst);
    right.delay.store(20, Ordering::SeqCst);
    let left_server = Served::tcp(first, &left);
    let _right = Served::tcp(second, &right);
    let rig = rig_with(&[one, two], Slot::Auth).await;
    rig.until_row("auth-one", |row| row.status == PluginStatus::Healthy)
        .await;
    let calls = (0..200).map(async |number| {
        tokio::time::sleep(Duration::from_millis(number)).await;
        rig.authenticate("good").await
    });
    let calls = futures::future::join_all(calls);
    let kill = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        left_server.kill();
    };
    let (answers, ()) = tokio::join!(calls, kill);
    for answer in answers {
        assert_eq!(answer.unwrap().identity.user_id, "user-of-good");
    }
    assert!(left.calls() > 10, "{}", left.calls());
}

#[tokio::test]
async fn a_call_that_must_not_be_repeated_is_not_sent_to_another_replica() {
    let ((first, one), (second, two)) = (port(), port());
    let (left, right) = (Script::new(), Script::new());
    left.delay.store(60_000, Ordering::SeqCst);
    right.delay.store(60_000, Ordering::SeqCst);
    let (left_server, right_server) = (Served::tcp(first, &left), Served::tcp(second, &right));
    let rig = rig_with(&[one, two], Slot::Sharing).await;
    rig.until(Slot::Sharing, Holder::Plugin).await;
    rig.until_row("sharing-one", |row| row.status == PluginStatus::Healthy)
        .await;
    let sharing = rig.host.sharing();
    let grant = NewGrant {
        grantee: Grantee::User("bob".to_owned()),
        resource: Resource::namespace(&"shop".parse().unwrap()),
        permission: GrantPermission::Read,
    };
    let ada = user("ada");
    let share = sharing.share(&ada, &grant);
    let kill = async {
        wait_for("it arrives", || match left.calls() + right.calls() {
            0 => Err("nowhere".to_owned()),
            _ => Ok(()),
        })
        .await;
        match left.calls() {
            0 => right_server.kill(),
            _ => left_server.kill(),
        }
    };
    let (shared, ()) = tokio::join!(share, kill);
    let Err(SlotError::Unavailable { message, .. }) = shared else {
        panic!("{shared:?}");
    };
    assert!(message.contains("the connection broke"), "{message}");
    assert_eq!(left.calls() + right.calls(), 1);
    assert_eq!(rig.slot(Slot::Sharing).holder, Holder::Plugin);
}

#[tokio::test]
async fn a_name_that_moves_is_followed() {
    let ((first, one), (second, two)) = (port(), port());
    let (old, new) = (Script::new(), Script::new());
    let old_server = Served::tcp(first, &old);
    let _new = Served::tcp(second, &new);
    let rig = rig_with(&[one], Slot::Auth).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.names.set(NAME, &[two]);
    old_server.kill();
    wait_for("the new place is asked", || match new.checks() {
        0 => Err(format!("{:?}", rig.slot(Slot::Auth))),
        _ => Ok(()),
    })
    .await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.authenticate("good").await.unwrap();
    assert_eq!((old.calls(), new.calls()), (0, 1));
}
