//! Plugins, grants, owners and the audit log on the command line.

use serde_json::json;

use crate::support::{Server, error, ok};

#[test]
fn plugins_are_listed_with_what_holds_their_slot() {
    let server = Server::start(|_| {
        ok(json!({"plugins": [
            {"name": "auth-keycloak", "slot": "auth", "image": "i", "address": "unix:/run/a.sock",
             "status": "down", "message": "connection\nrefused", "version": "1.2", "latency_us": null,
             "last_health": "2026-01-31T08:00:00.000000Z", "on_down": "deny", "holder": "denied",
             "holder_reason": "x"},
        ], "total": 1}))
    });
    let (code, out, _) = server.rat(&["plugins", "-o", "csv"]);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "plugin,slot,status,holder,on_down,version,asked,address,message\n\
         auth-keycloak,auth,down,denied,deny,1.2,2026-01-31T08:00:00.000000Z,unix:/run/a.sock,\
         \"connection\nrefused\"\n"
    );
    let (_, out, _) = server.rat(&["plugins"]);
    assert!(
        out.contains("auth-keycloak") && out.contains("denied"),
        "{out}"
    );
    assert_eq!(server.seen()[0], "GET /api/v1/plugins");
}

#[test]
fn reloading_says_what_changed() {
    let server = Server::start(|_| {
        ok(json!({"added": ["a"], "changed": [], "removed": ["b"], "unchanged": ["c"]}))
    });
    let (code, out, _) = server.rat(&["plugin", "reload", "-o", "csv"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "plugin,change\na,added\nb,removed\nc,unchanged\n")
    );
    assert_eq!(server.changes(), ["POST /api/v1/admin/plugins/reload"]);

    let server = Server::start(|_| error(400, "INVALID_ARGUMENT", "plugins.auth: is wrong"));
    let (code, _, err) = server.rat(&["plugin", "reload"]);
    assert_eq!(code, 1);
    assert!(err.contains("plugins.auth: is wrong"), "{err}");
}

#[test]
fn a_thing_is_shared_and_taken_back() {
    let grant = json!({
        "grant_id": "g1", "grantee_id": "ben", "grantee_type": "user", "resource_type": "pipeline",
        "resource_id": "shop.gold.daily", "permission": "write", "granted_by": "ana",
        "granted_at": null,
    });
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => (201, "", grant.to_string()),
        "GET" => ok(json!({"grants": [grant], "total": 1})),
        _ => (204, "", String::new()),
    });
    let share = [
        "share",
        "pipeline",
        "shop.gold.daily",
        "--user",
        "ben",
        "--allow",
        "write",
    ];
    let (code, out, err) = server.rat(&share);
    assert_eq!((code, out.as_str()), (0, "g1\n"), "{err}");
    assert!(
        err.contains("The user ben may write pipeline shop.gold.daily."),
        "{err}"
    );
    assert_eq!(
        server.requests()[0].json(),
        json!({
            "grantee_id": "ben", "grantee_type": "user", "resource_type": "pipeline",
            "resource_id": "shop.gold.daily", "permission": "write",
        })
    );
    let (_, out, _) = server.rat(&["shares", "pipeline", "shop.gold.daily", "-o", "csv"]);
    assert_eq!(
        out,
        "grant,kind,name,to,allows,by,given\n\
         g1,pipeline,shop.gold.daily,user ben,write,ana,\n"
    );
    let asked = server.requests()[1].query.clone();
    assert_eq!(asked, "resource_type=pipeline&resource_id=shop.gold.daily");
    let (code, _, _) = server.rat(&["unshare", "g1"]);
    assert_eq!(code, 0);
    assert_eq!(server.changes()[1], "DELETE /api/v1/sharing/g1");
    for wrong in [
        vec!["share", "pipeline", "shop.gold.daily"],
        vec!["share", "zone", "shop.raw", "--user", "ben"],
        vec!["share", "pipeline", "p", "--user", "ben", "--role", "r"],
        vec!["unshare", "../x"],
        vec!["unshare", ".."],
        vec!["shares", "pipeline"],
    ] {
        let (code, _, err) = server.rat(&wrong);
        assert_eq!(code, 2, "{wrong:?}: {err}");
    }
}

#[test]
fn things_get_another_owner() {
    let server = Server::start(|_| {
        ok(json!({"transferred": [
            {"resource_type": "namespace", "resource_id": "shop"},
            {"resource_type": "landing_zone", "resource_id": "shop.raw"},
        ], "total": 2}))
    });
    let (code, out, _) = server.rat(&[
        "transfer",
        "--from",
        "anonymous",
        "--to",
        "ana",
        "-o",
        "csv",
    ]);
    assert_eq!(
        (code, out.as_str()),
        (0, "kind,name\nnamespace,shop\nlanding_zone,shop.raw\n")
    );
    let zone = server.rat(&["transfer", "zone", "shop.raw", "--to", "ana"]);
    assert_eq!(zone.0, 0);
    let bodies: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.json())
        .collect();
    assert_eq!(
        bodies,
        [
            json!({"from": "anonymous", "to": "ana"}),
            json!({"resource_type": "landing_zone", "resource_id": "shop.raw", "to": "ana"}),
        ]
    );
    for wrong in [
        vec!["transfer", "--to", "ana"],
        vec!["transfer", "--from", "anonymous"],
        vec!["transfer", "zone", "--to", "ana"],
        vec!["transfer", "zone", "shop.raw", "--from", "x", "--to", "ana"],
    ] {
        assert_eq!(server.rat(&wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn the_audit_log_is_filtered_and_listed() {
    let server = Server::start(|_| {
        ok(json!({"entries": [
            {"id": "i", "user_id": "ana", "action": "pipeline.write", "resource": "shop.gold.daily",
             "detail": "PUT /api/v1/x: no", "ip": "10.0.0.1", "request_id": "r1", "status": 403,
             "outcome": "denied", "created_at": "2026-01-31T08:00:00.000000Z"},
        ], "total": 1}))
    });
    let filter = [
        "audit",
        "--user",
        "ana",
        "--action",
        "pipeline.write",
        "--resource",
        "shop.gold.daily",
        "--since",
        "2026-01-01T00:00:00Z",
        "--limit",
        "5",
        "-o",
        "csv",
    ];
    let (code, out, _) = server.rat(&filter);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "when,user,action,resource,outcome,status,ip,request,detail\n\
         2026-01-31T08:00:00.000000Z,ana,pipeline.write,shop.gold.daily,denied,403,10.0.0.1,r1,\
         PUT /api/v1/x: no\n"
    );
    let query = server.requests()[0].query.clone();
    assert_eq!(
        query,
        "limit=5&user=ana&action=pipeline.write&resource=shop.gold.daily\
         &since=2026-01-01T00%3A00%3A00.000000Z"
    );
    assert_eq!(server.rat(&["audit", "--since", "yesterday"]).0, 2);
}
