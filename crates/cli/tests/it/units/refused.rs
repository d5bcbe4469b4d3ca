//! What cannot be had in units.

use super::{folder, write};

#[test]
fn what_units_cannot_do_is_refused_with_the_setting_that_asks_for_it() {
    let auth = "plugins: {auth: {image: a, address: 'unix:/a.sock'}}";
    let cases: [(&str, &[&str], i32, &str); 23] = [
        ("server: {listen: 'x:y'}", &[], 78, "server.listen"),
        (
            "server: {listen: 'data.example.org:80'}",
            &[],
            1,
            "server.listen: systemd listens on",
        ),
        (
            "plugins: {auth: {image: a, address: 'unix:/run/a'}, cloud: {image: b, address: 'unix:/run/a'}}",
            &[],
            1,
            "plugins.cloud.address: is that of plugins.auth, and systemd has a socket for each slot",
        ),
        (
            "storage: {url: 'file:///home/a/lake'}",
            &[],
            1,
            "storage.url: /home/a/lake is in /home, which the units do not see; take a folder",
        ),
        (
            "storage: {url: 'file:///var/lib/rat'}",
            &[],
            1,
            "storage.url: /var/lib/rat is ratd's",
        ),
        (
            "storage: {url: 'file:///var/lib'}",
            &[],
            1,
            "storage.url: /var/lib is a folder of the system that holds more than RAT's data; take",
        ),
        (
            "database: {url: 'sqlite:/etc/rat.db'}",
            &[],
            1,
            "database.url: /etc is a folder of the system",
        ),
        (
            "database: {url: 'sqlite:rat.db'}",
            &[],
            1,
            "database.url: must have an absolute path, and not one from where ratd is started; put the file",
        ),
        (
            "runner: {temp_dir: /var/tmp/spill}",
            &[],
            1,
            "runner.temp_dir: /var/tmp/spill is in /var/tmp, which the units do not see; take a folder",
        ),
        (
            "runner: {temp_dir: /var/lib/rat/spill}",
            &[],
            1,
            "runner.temp_dir: /var/lib/rat/spill is in /var/lib/rat, ratd's own folder; take",
        ),
        (
            "runner: {temp_dir: /var/lib/postgresql/15}",
            &[],
            1,
            "runner.temp_dir: /var/lib/postgresql/15 is in /var/lib/postgresql, where something else",
        ),
        (
            "runner: {address: 'unix:/tmp/runner.sock'}",
            &[],
            1,
            "runner.address: /tmp/runner.sock is in /tmp, which the units do not see",
        ),
        (
            "runner: {address: '0.0.0.0:50052'}",
            &[],
            1,
            "runner.address: 0.0.0.0:50052 is not for this machine alone; leave it out, or give",
        ),
        (
            "runner: {address: 'runner.example.org:50052'}",
            &[],
            1,
            "runner.address: runner.example.org:50052 is not for this machine alone; leave it out",
        ),
        (
            "ratq: {address: '[::]:50053'}",
            &[],
            1,
            "ratq.address: [::]:50053 is not for this machine alone; leave it out",
        ),
        (
            "plugins: {auth: {image: a, address: '127.0.0.1:50060', config: {realm: a}}}",
            &[],
            1,
            "plugins.auth.config: a plugin on rat-plugin-sdk takes it over a Unix socket only, and not \
             on 127.0.0.1:50060; have its address be unix:/run/rat/plugins/auth.sock, or say",
        ),
        (
            "plugins: {auth: {image: a, address: 'localhost:50060', config: {realm: a}}}",
            &["--network=auth=any"],
            1,
            "plugins.auth.config: a plugin on rat-plugin-sdk takes it over a Unix socket only",
        ),
        (
            "{}",
            &["--without-sdk=auth"],
            1,
            "auth: rat.yaml has no plugin for it",
        ),
        (
            "plugins: {auth: {image: a, address: 'unix:/a.sock', idle_stop: 1m}}",
            &["--without-sdk=auth"],
            1,
            "plugins.auth.idle_stop: is done by rat-plugin-sdk",
        ),
        (
            "runner: {temp_dir: '/srv/a b'}",
            &[],
            1,
            "/srv/a b has characters",
        ),
        (
            "{}",
            &["--network=auth=any"],
            1,
            "auth: rat.yaml has no plugin for it",
        ),
        (
            auth,
            &["--network=auth=login.example.org"],
            2,
            "systemd knows no host names",
        ),
        (
            auth,
            &["--credential=auth:key=key.pem"],
            2,
            "the absolute path of a file",
        ),
    ];
    for (index, (settings, arguments, wanted, message)) in cases.into_iter().enumerate() {
        let folder = folder(&format!("units-refused-{index}"));
        let (code, out, err) = write(&folder, settings, arguments);
        assert_eq!(
            (code, out.as_str()),
            (wanted, ""),
            "{settings} {arguments:?}: {err}"
        );
        // Long messages of clap are wrapped.
        let err = err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(err.contains(message), "{settings} {arguments:?}: {err}");
        assert!(
            !folder.join("lib").exists(),
            "{settings}: nothing is written"
        );
    }
}
