//! Who may do what, asked one by one and in batches.

use rat_api::{AccessError, Action, Holder, Resource};
use rat_config::Slot;
use tonic::Status;

use crate::support::plugin::{Script, Served, Verdicts};
use crate::support::{Rig, one, user};

fn resources(count: usize) -> Vec<Resource> {
    let namespaces = (0..count).map(|number| format!("n{number}").parse().unwrap());
    namespaces.map(|name| Resource::namespace(&name)).collect()
}

async fn rig(script: &std::sync::Arc<Script>) -> (Rig, Served) {
    let rig = Rig::new().await;
    let socket = rig.socket("enforcement.sock");
    let served = Served::unix(&socket, script);
    rig.load(&one(Slot::Enforcement, &socket, "")).await;
    rig.until(Slot::Enforcement, Holder::Plugin).await;
    (rig, served)
}

#[tokio::test]
async fn the_plugin_decides_and_its_reason_is_kept_in_one_line() {
    let script = Script::new();
    *script.allowed.lock().unwrap() = vec!["n1".to_owned()];
    let (rig, _served) = rig(&script).await;
    let enforcer = rig.host.enforcer();
    let (ada, all) = (user("ada"), resources(2));
    assert!(enforcer.is_active() && enforcer.ready().is_ok());
    assert_eq!(enforcer.check(&ada, &all[1], Action::Read).await, Ok(()));
    let denied = enforcer.check(&ada, &all[0], Action::Delete).await;
    assert_eq!(
        denied,
        Err(AccessError::Denied {
            user: "ada".to_owned(),
            action: "delete",
            resource: "namespace n0".to_owned(),
            reason: "no grant".to_owned(),
        })
    );
    // Nothing is remembered.
    script.allowed.lock().unwrap().clear();
    assert!(enforcer.check(&ada, &all[1], Action::Read).await.is_err());
    script.fail(Status::internal("no disk"));
    let failed = enforcer.check(&ada, &all[1], Action::Read).await;
    let Err(AccessError::Unavailable(message)) = failed else {
        panic!("{failed:?}");
    };
    assert!(
        message.contains("enforcement-one") && message.contains("no disk"),
        "{message}"
    );
}

#[tokio::test]
async fn a_long_list_is_decided_in_batches() {
    let script = Script::new();
    *script.allowed.lock().unwrap() = vec!["n0".to_owned(), "n2499".to_owned()];
    let (rig, _served) = rig(&script).await;
    let enforcer = rig.host.enforcer();
    let all = resources(2500);
    let verdicts = enforcer
        .filter(&user("ada"), &all, Action::Read)
        .await
        .unwrap();
    let allowed: Vec<usize> = (0..2500).filter(|place| verdicts[*place]).collect();
    assert_eq!(allowed, [0, 2499]);
    assert_eq!(*script.batches.lock().unwrap(), [1000, 1000, 500]);
    assert!(
        enforcer
            .filter(&user("ada"), &[], Action::Read)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_plugin_without_batches_is_asked_one_by_one() {
    let script = Script::new();
    *script.allowed.lock().unwrap() = vec!["n7".to_owned()];
    *script.batch.lock().unwrap() = |_| Err(Status::unimplemented("no batches"));
    let (rig, _served) = rig(&script).await;
    let all = resources(50);
    let verdicts = rig
        .host
        .enforcer()
        .filter(&user("ada"), &all, Action::Read)
        .await
        .unwrap();
    assert_eq!(verdicts.iter().filter(|allowed| **allowed).count(), 1);
    assert!(verdicts[7]);
    assert_eq!(script.calls(), 51);
}

#[tokio::test]
async fn another_number_of_verdicts_than_of_resources_refuses_all() {
    let script = Script::new();
    *script.allowed.lock().unwrap() = vec!["n0".to_owned(), "n1".to_owned()];
    let (rig, _served) = rig(&script).await;
    let enforcer = rig.host.enforcer();
    let wrong: [Verdicts; 3] = [
        |_| Ok(Vec::new()),
        |verdicts| Ok(verdicts[1..].to_vec()),
        |verdicts| Ok([verdicts, vec![true]].concat()),
    ];
    for wrong in wrong {
        *script.batch.lock().unwrap() = wrong;
        let verdicts = enforcer
            .filter(&user("ada"), &resources(2), Action::Read)
            .await;
        assert_eq!(verdicts, Ok(vec![false, false]));
    }
    *script.batch.lock().unwrap() = |_| Err(Status::internal("no disk"));
    let failed = enforcer
        .filter(&user("ada"), &resources(2), Action::Read)
        .await;
    assert!(
        matches!(failed, Err(AccessError::Unavailable(_))),
        "{failed:?}"
    );
}
