//! Files that have to load as they are: the two examples of the plugin system's description, and
//! our own.

use expect_test::expect;
use rat_config::{OnDown, Protocol, Settings, Slot};

use crate::support::{EXAMPLE, example_uncommented, load, problems};

#[test]
fn the_example_with_all_plugins_loads_unchanged() {
    let settings = load(include_str!("seed/pro.yaml"));
    let shown: Vec<_> = settings
        .plugins
        .iter()
        .map(|(slot, plugin)| {
            let (name, address, on_down) = (&plugin.name, &plugin.address, plugin.on_down);
            format!(
                "{slot}: {name} at {address}, {on_down}, {:?}\n",
                plugin.config
            )
        })
        .collect();
    expect![[r#"
        auth: auth-keycloak at auth-keycloak:50060, deny, {"client_id", "keycloak_url", "realm"}
        executor: container-executor at container-executor:50061, builtin, {}
        sharing: sharing-plugin at sharing-plugin:50062, builtin, {}
        enforcement: enforcement-plugin at enforcement-plugin:50063, deny, {}
        cloud: cloud-aws at cloud-aws:50064, builtin, {"region", "role_arn"}
    "#]]
    .assert_eq(&shown.concat());
    let cloud = &settings.plugins[&Slot::Cloud];
    assert_eq!(
        cloud.config.values()["role_arn"],
        "arn:aws:iam::123456789012:role/rat-data-access"
    );
    assert_eq!(
        settings.warnings.len(),
        5,
        "plain TCP to five hosts: {:?}",
        settings.warnings
    );
}

#[test]
fn the_example_of_a_plugin_of_ones_own_loads_unchanged() {
    let settings = load(include_str!("seed/custom-auth.yaml"));
    let plugin = &settings.plugins[&Slot::Auth];
    assert_eq!(plugin.name.as_str(), "my-auth-plugin");
    assert_eq!(plugin.image, "my-auth-plugin:latest");
    assert_eq!(plugin.address.to_string(), "my-auth-plugin:50060");
    assert_eq!(
        (plugin.protocol, plugin.on_down),
        (Protocol::Grpc, OnDown::Deny)
    );
    assert_eq!(settings.plugins.len(), 1);
}

#[test]
fn the_root_example_holds_the_defaults() {
    let defaults = Settings::load(None, &Default::default()).unwrap();
    assert_eq!(load(EXAMPLE), defaults);
    assert!(defaults.warnings.is_empty());
}

#[test]
fn the_commented_out_settings_of_the_root_example_are_right() {
    // Taken in all at once, they collide in exactly these points.
    expect![[r#"
        rat.yaml:62:13: database.url_file: must not be given together with url
        rat.yaml:76:8: catalog.uri: is only used with `type: rest`
        rat.yaml:77:14: catalog.warehouse: is only used with `type: rest`
        rat.yaml:79:15: catalog.token_file: is only used with `type: rest`
        rat.yaml:82:14: catalog.client_id: is only used with `type: rest`
        rat.yaml:83:23: catalog.client_secret_file: is only used with `type: rest`
        rat.yaml:84:14: catalog.token_uri: is only used with `type: rest`
        rat.yaml:85:10: catalog.scope: is only used with `type: rest`
        rat.yaml:87:12: catalog.ca_file: is only used with `type: rest`
    "#]]
    .assert_eq(&problems(&example_uncommented()));
    let without = |text: &str, line: &str| {
        let kept = text
            .lines()
            .filter(|kept| !kept.trim_start().starts_with(line));
        kept.map(|kept| format!("{kept}\n")).collect::<String>()
    };
    let mut text = example_uncommented();
    for line in [
        "url_file:",
        "uri:",
        "warehouse:",
        "token_file:",
        "client_id:",
        "client_secret_file:",
        "token_uri:",
        "scope:",
        "ca_file:",
    ] {
        text = without(&text, line);
    }
    let settings = load(&text);
    assert_eq!(settings.plugins.len(), 5);
    assert_eq!(settings.plugins[&Slot::Executor].on_down, OnDown::Hold);
    assert!(settings.plugins[&Slot::Auth].tls.identity.is_some());
}
