CLOUD = "rat-plugin-cloud.service"
# Those of `sandbox.nix`.
CLOUD_LIMITS = {"memoryMax": "300M", "cpuQuota": "200%", "tasksMax": 100}
QUESTIONS = "/run/scenario/questions.json"
ANSWERS = "/run/scenario/answers.json"
LAKE = "/var/lib/rat/lake"
# Folders where everybody may write, and those where everybody has their own.
OPEN = ["/srv/open", "/var/lib/open", "/run/open"]
PRIVATE = ["/tmp", "/var/tmp"]


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


def bytes_of(limit: str) -> int:
    """A limit of memory, as bytes: of the machine's, where it is a share."""
    if limit.endswith("%"):
        return RAM * int(limit[:-1]) // 100
    return int(limit[:-1]) << {"M": 20, "G": 30}[limit[-1]]


def quota_of(limit: str | None) -> str:
    """A share of a processor, as systemd tells it."""
    return "infinity" if limit is None else f"{int(limit.removesuffix('%')) / 100:g}s"


def close(found: str, expected: int) -> bool:
    """Whether it is the limit but for rounding to pages, which shares are subject to."""
    return found.strip().isdigit() and abs(int(found) - expected) <= expected / 1000


boot()
RAM = int(machine.succeed("getconf _PHYS_PAGES")) * int(machine.succeed("getconf PAGE_SIZE"))
PYTHON = machine.succeed("readlink -f $(command -v python3)").strip()

with subtest("systemd-analyze scores every unit at 2.0 or better"):
    for unit in [*DAEMONS, PLUGIN, CLOUD, "rat-sockets.service"]:
        line = machine.succeed(f"systemd-analyze security --no-pager {unit} | grep 'Overall exposure'")
        score = float(line.split(": ")[1].split()[0])
        print(f"           {unit}: {score}", flush=True)
        assert score <= 2.0, line

with subtest("limits are what the module says"):
    defaults = json.loads(machine.succeed("cat /etc/scenario/limits.json"))
    controllers = machine.succeed("cat /sys/fs/cgroup/cgroup.controllers").split()
    print(f"           controllers of the machine: {controllers}", flush=True)
    for unit, limits in [
        ("ratd.service", defaults["ratd"]),
        ("rat-runner.service", defaults["runner"]),
        ("ratq.service", defaults["ratq"]),
        (PLUGIN, defaults["plugin"]),
        (CLOUD, CLOUD_LIMITS),
    ]:
        expected = {
            "MemoryMax": bytes_of(limits["memoryMax"]),
            # Of a second, in microseconds.
            "CPUQuotaPerSecUSec": quota_of(limits.get("cpuQuota")),
            "TasksMax": limits["tasksMax"],
        }
        shown = machine.get_unit_info(unit)
        held = {name: shown[name] for name in expected}
        print(f"           {unit}: {held}", flush=True)
        assert close(held["MemoryMax"], expected["MemoryMax"]), (unit, held, expected)
        assert held["TasksMax"] == str(expected["TasksMax"]), (unit, held, expected)
        assert held["CPUQuotaPerSecUSec"] == expected["CPUQuotaPerSecUSec"], (unit, held, expected)
        # What the kernel holds them to, where it does.
        group = f"/sys/fs/cgroup{shown['ControlGroup']}"
        if "memory" in controllers:
            assert close(machine.succeed(f"cat {group}/memory.max"), expected["MemoryMax"]), unit
        if "pids" in controllers:
            assert int(machine.succeed(f"cat {group}/pids.max")) == expected["TasksMax"], unit
        # Without a quota the group need not have this controller.
        if "cpu" in controllers and "cpuQuota" in limits:
            quota, period = machine.succeed(f"cat {group}/cpu.max").split()
            share = "infinity" if quota == "max" else f"{int(quota) / int(period):g}s"
            assert share == expected["CPUQuotaPerSecUSec"], (unit, quota, period)

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
    machine.succeed(*[f"install -d -m 1777 {folder}" for folder in OPEN])
    # Who may write by modes and users alone is held back by the sandbox.
    assert machine.succeed("runuser -u nobody -- touch " + " ".join(f"{folder}/by-modes" for folder in OPEN)) == ""
    closed = ["/etc", "/usr", "/var/lib", "/run/rat", "/opt", "/srv", "/dev/shm", "/run/lock", *OPEN]
    outside = [["write", f"{folder}/written"] for folder in closed]
    assert "ok" not in ask(PLUGIN, *outside)
    assert "ok" not in ask("ratd.service", *outside)
    found = ask("rat-runner.service", ["write", f"{LAKE}/written"], ["write", "/var/lib/rat/written"], *outside)
    assert found[0] == "ok" and "ok" not in found[1:], found
    found = ask("ratq.service", ["read", f"{LAKE}/written"], ["write", f"{LAKE}/written"], *outside)
    assert found[0] == "ok" and "ok" not in found[1:], found

with subtest("temporary files are seen by nobody else"):
    for unit in [PLUGIN, CLOUD, *DAEMONS]:
        machine.succeed(*[f"install -m 666 /dev/null {folder}/outside" for folder in PRIVATE])
        assert set(ask(unit, *[["write", f"{folder}/inside"] for folder in PRIVATE])) == {"ok"}, unit
        found = ask(unit, *[["read", f"{folder}/outside"] for folder in PRIVATE])
        assert "ok" not in found, (unit, found)
        machine.fail(*[f"test -e {folder}/inside" for folder in PRIVATE])

with subtest("there is nothing to see, and nothing to gain"):
    for unit in [PLUGIN, CLOUD, *DAEMONS]:
        found = ask(unit, ["see_others"], ["new_namespace"], ["mount"], ["written_code"])
        assert "ok" not in found, (unit, found)
