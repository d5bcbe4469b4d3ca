CLOUD = "rat-plugin-cloud.service"
QUESTIONS = "/run/scenario/questions.json"
ANSWERS = "/run/scenario/answers.json"
LAKE = "/var/lib/rat/lake"


def ask(unit: str, *questions: list[str]) -> list[str]:
    """Runs the probe in place of a service's program, in the very sandbox of its unit."""
    override = f"/run/systemd/system/{unit}.d/probe.conf"
    text = f"[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nExecStart=\nExecStart={PYTHON} /etc/scenario/probe.py {QUESTIONS}\nStandardOutput=truncate:{ANSWERS}\n"
    machine.succeed(
        f"mkdir -p $(dirname {override}) $(dirname {QUESTIONS})",
        f"printf %s {shlex.quote(json.dumps(questions))} > {QUESTIONS}",
        f"printf %s {shlex.quote(text)} > {override}",
        f"systemctl daemon-reload; systemctl stop {unit}; systemctl start {unit}",
        f"rm {override}; systemctl daemon-reload",
    )
    answers: list[str] = json.loads(machine.succeed(f"cat {ANSWERS}"))
    print(f"           {unit}: {answers}", flush=True)
    return answers


boot()
PYTHON = machine.succeed("readlink -f $(command -v python3)").strip()

with subtest("systemd-analyze scores every unit at 2.0 or better"):
    for unit in [*DAEMONS, PLUGIN, CLOUD, "rat-sockets.service"]:
        line = machine.succeed(f"systemd-analyze security --no-pager {unit} | grep 'Overall exposure'")
        score = float(line.split(": ")[1].split()[0])
        print(f"           {unit}: {score}", flush=True)
        assert score <= 2.0, line

# Callers would start what is asked here.
machine.succeed("systemctl stop ratd.service ratd-internal.socket rat-plugin-auth.socket rat-plugin-cloud.socket")
machine.succeed(f"systemctl stop {PLUGIN} {CLOUD}")

with subtest("a plugin cannot read what is another's"):
    assert ask(PLUGIN, ["write_state", "own"], ["read", "/run/credentials/rat-plugin-auth.service/tokens"]) == ["ok", "ok"]
    found = ask(
        CLOUD,
        ["write_state", "own"],
        ["read", "/var/lib/rat-plugins/cloud/own"],
        ["read", "/var/lib/rat-plugins/auth/own"],
        ["read", "/run/credentials/rat-plugin-auth.service/tokens"],
        ["look", "/run/credentials/ratd.service"],
        ["look", LAKE],
        ["read", "/etc/scenario/tokens"],
    )
    assert found[:2] == ["ok", "ok"] and "ok" not in found[2:], found

with subtest("a plugin without a network reaches nobody"):
    found = ask(
        PLUGIN,
        ["connect", "127.0.0.1", "8080"],
        ["call", "/run/rat/runner.sock"],
        ["call", "/run/rat/ratq.sock"],
        ["call", "/run/postgresql/.s.PGSQL.5432"],
    )
    assert "ok" not in found, found

with subtest("a plugin with a network reaches whom it names, and nobody else"):
    for number in (2, 3):
        address = f"127.0.0.{number}"
        machine.succeed(f"systemd-run --unit=listener-{number} {PYTHON} -m http.server --bind {address} 9999")
        machine.wait_for_open_port(9999, address, timeout=SOON)
    found = ask(CLOUD, ["connect", "127.0.0.2", "9999"], ["connect", "127.0.0.3", "9999"], ["connect", "127.0.0.1", "8080"])
    assert found[0] == "ok" and "ok" not in found[1:], found

with subtest("nothing is written outside of one's own folders"):
    outside = [["write", f"{folder}/written"] for folder in ("/etc", "/usr", "/var/lib", "/run/rat", "/opt", "/srv")]
    assert "ok" not in ask(PLUGIN, *outside)
    assert "ok" not in ask("ratd.service", *outside)
    found = ask("rat-runner.service", ["write", f"{LAKE}/written"], ["write", "/var/lib/rat/written"], *outside)
    assert found[0] == "ok" and "ok" not in found[1:], found
    found = ask("ratq.service", ["read", f"{LAKE}/written"], ["write", f"{LAKE}/written"], *outside)
    assert found[0] == "ok" and "ok" not in found[1:], found

with subtest("there is nothing to see, and nothing to gain"):
    for unit in [PLUGIN, CLOUD, *DAEMONS]:
        found = ask(unit, ["see_others"], ["new_namespace"], ["mount"], ["written_code"])
        assert "ok" not in found, (unit, found)
