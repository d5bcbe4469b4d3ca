FOLDER = "/var/lib/secrets"
PASSWORD = "correct-horse-battery-staple"
SECRET_TOKEN = "open-sesame-of-alice"
PATTERNS = "/run/patterns"


# Where the secrets are, and who knows each.
CREDENTIALS = {
    "ratd.service": "/run/credentials/ratd.service/database-url",
    PLUGIN: "/run/credentials/rat-plugin-auth.service/tokens",
}
SECRETS = [f"{FOLDER}/database-url", f"{FOLDER}/tokens", *CREDENTIALS.values()]
# What everybody may read.
SETTINGS = "/etc/rat/rat.yaml"


def count(command: str) -> int:
    """Lines that name a secret, of what a command prints."""
    return int(machine.succeed(f"{{ {command}; }} 2>/dev/null | grep -acF -f {PATTERNS} || true").strip())


def who_is(unit: str) -> str:
    """What runs a command as the very user and groups of a service's process."""
    status = machine.succeed(f"cat /proc/{main_process(unit)}/status")
    found = {key: words.split() for key, _, words in (line.partition(":") for line in status.splitlines())}
    groups = f"--groups={','.join(found['Groups'])}" if found["Groups"] else "--clear-groups"
    return f"setpriv --reuid={found['Uid'][0]} --regid={found['Gid'][0]} {groups}"


def readable(becoming: str) -> list[str]:
    """Which files somebody can read who knows all their names."""
    look = 'for file; do head -c 1 "$file" > /dev/null 2>&1 && echo "$file"; done; true'
    return machine.succeed(shlex.join([*shlex.split(becoming), "sh", "-c", look, "sh", SETTINGS, *SECRETS])).split()


machine.start()

with subtest("without its secrets nothing pretends to run, and the sockets listen"):
    machine.wait_for_unit("ratd.socket", timeout=SOON)
    machine.wait_for_unit("ratq.service", timeout=SOON)
    assert machine.get_unit_property("ratd.service", "ActiveState") != "active"

with subtest("once they are there, everything starts without a hand"):
    tokens = json.dumps({SECRET_TOKEN: {"user_id": "alice", "roles": ["admin"]}})
    url = f"postgres://ratd:{PASSWORD}@%2Frun%2Fpostgresql/ratd"
    machine.succeed(
        f"install -d -m 700 {FOLDER}",
        "umask 077; "
        f"printf '%s\\n' {PASSWORD} {SECRET_TOKEN} > {PATTERNS}; "
        f"printf %s {shlex.quote(tokens)} > {FOLDER}/tokens; printf %s {shlex.quote(url)} > {FOLDER}/database-url",
    )
    all_is_well(60)
    until("the token is known", lambda: curl("/api/v1/me", token=SECRET_TOKEN)[0] == 200, 60)
    api("/api/v1/me", token="another", expect=401)

with subtest("no secret is in a unit, in rat.yaml, or in the effective settings"):
    assert count("cat " + PATTERNS) == 2, "the search itself does not find them"
    assert count("cat /etc/systemd/system/rat* /run/systemd/system/rat* /etc/rat/*; systemctl show 'rat*'") == 0
    ratd = machine.succeed(f"readlink /proc/{main_process('ratd.service')}/exe").strip()
    assert count(f"{ratd} dump-config --config /etc/rat/rat.yaml") == 0
    assert count(f"curl -sS -H 'Authorization: Bearer {SECRET_TOKEN}' http://127.0.0.1:8080/api/v1/plugins") == 0

with subtest("no secret is in the store, or wherever programs and settings lie"):
    named = "{ systemctl cat 'rat*'; readlink -f /etc/rat/rat.yaml; } | grep -oE '/(nix/store|opt|etc)/[^/ :]+' | sort -u"
    places = machine.succeed(named).split()
    assert places
    assert count(f"cat {PATTERNS}; grep -rhaF -f {PATTERNS} {' '.join(places)}") == 2, places

with subtest("no secret is on a command line or in an environment"):
    # The search names none either: it has them in a file.
    assert count("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'") == 0

with subtest("no secret is in the journal"):
    assert count("journalctl --no-pager -b") == 0

with subtest("no other file has a secret"):
    everywhere = "/etc /run /var /tmp /root /home /srv /dev/shm"
    found = machine.succeed(f"grep -rlaF -D skip -f {PATTERNS} {everywhere} 2>/dev/null || true").split()
    assert sorted(found) == sorted([PATTERNS, *SECRETS]), found

with subtest("nobody else can read them"):
    assert readable("env") == [SETTINGS, *SECRETS], "root cannot read them"
    for unit in [*DAEMONS, PLUGIN]:
        # rat-runner and ratq share a group with ratd, and must not share this.
        own = [CREDENTIALS[unit]] if unit in CREDENTIALS else []
        found = readable(who_is(unit))
        assert found == [SETTINGS, *own], (unit, found)
    for other in [
        "runuser -u nobody --",
        "runuser -u postgres --",
        "systemd-run --quiet --wait --pipe --property=DynamicUser=yes",
        "systemd-run --quiet --wait --pipe --property=DynamicUser=yes --property=SupplementaryGroups=rat-lake",
    ]:
        found = readable(other)
        assert found == [SETTINGS], (other, found)
