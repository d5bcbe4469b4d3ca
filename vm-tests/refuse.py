SETTINGS = "/run/scenario/rat.yaml"
BUILT = "/run/scenario/built"
BAD = "/run/systemd/system/ratd.service.d/bad.conf"
LOG = "journalctl --no-pager --quiet --cursor-file=/run/scenario/cursor -u ratd.service"

boot()
ratd = machine.succeed("tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID ratd.service)/cmdline | head -n 1").strip()

with subtest("what builds a system refuses it, with the place of each mistake"):
    machine.succeed("mkdir -p /run/scenario")
    machine.succeed(f"printf 'server:\\n  listenn: 127.0.0.1:8080\\nrunner:\\n  slots: none\\n' > {SETTINGS}")
    # What it does to the settings of this machine, done to others.
    build = machine.succeed("cat /etc/scenario/build").strip()
    own = next(word for word in build.split() if word.endswith("rat.yaml"))
    for settings, expected in [("/etc/rat/rat.yaml", 0), (SETTINGS, 78)]:
        machine.succeed(f"rm -f {BUILT}")
        command = f"set -eu; out={BUILT}; {build.replace(own, settings)}"
        code, said = machine.execute(f"sh -c {shlex.quote(command)} 2>&1")
        assert code == expected, (build, code, said)
        machine.succeed(f"test {'-s' if code == 0 else '! -e'} {BUILT}")
    assert "server.listenn" in said and "runner.slots" in said, said

with subtest("a bad rat.yaml ends ratd with 78, and it stays down"):
    machine.succeed(
        "systemctl stop ratd.socket ratd-internal.socket ratd.service",
        f"mkdir -p $(dirname {BAD})",
        f"printf '[Service]\\nExecStart=\\nExecStart={ratd} serve --config {SETTINGS}\\n' > {BAD}",
        "systemctl daemon-reload",
        f"{LOG} > /dev/null",
    )
    machine.fail("systemctl start ratd.service")
    found = machine.get_unit_info("ratd.service")
    # Not "auto-restart": systemd has given up.
    assert (found["SubState"], found["ExecMainStatus"], found["NRestarts"]) == ("failed", "78", "0"), found["SubState"]
    assert "server.listenn" in machine.succeed(LOG)

with subtest("callers that wait have it tried a bounded number of times, then the socket fails"):
    machine.require_unit_state("ratd.socket")
    status, _ = curl("/health")
    assert status == 0, status

    def has_failed() -> bool:
        return machine.get_unit_property("ratd.socket", "ActiveState") == "failed"

    until("the socket fails", has_failed, 60)
    assert machine.get_unit_property("ratd.socket", "Result") == "trigger-limit-hit"
    tries = machine.succeed(f"{LOG} | grep -c 'Starting ratd.service'").strip()
    limit = int(machine.get_unit_property("ratd.socket", "TriggerLimitBurst"))
    assert 1 <= int(tries) <= limit + 1, tries

with subtest("everything else goes on"):
    for unit in ["rat-runner.service", "ratq.service", "ratd-internal.socket"]:
        machine.require_unit_state(unit)

with subtest("once it is mended, one start brings all of it back"):
    machine.succeed(f"rm {BAD}", "systemctl daemon-reload", "systemctl start ratd.service")
    machine.require_unit_state("ratd.socket")
    all_is_well()
    api("/api/v1/me")
