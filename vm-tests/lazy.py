DESCRIBE = "rat.plugin.v1.PluginService/Describe"
RATD = "ratd.socket ratd-internal.socket ratd.service"
# What lies here is stronger than the units of the machine.
CONTROL = "/run/systemd/system.control"
BROKEN = "/run/systemd/system/rat-plugin-auth.service.d/broken.conf"


def sleeps() -> bool:
    return machine.get_unit_property(PLUGIN, "ActiveState") == "inactive"


def time_of_a_request(token: str) -> float:
    header = shlex.quote(f"Authorization: Bearer {token}")
    return float(machine.succeed(f"curl -sSf -o /dev/null -w '%{{time_total}}' -H {header} http://127.0.0.1:8080/api/v1/me"))


with subtest("RAT is up"):
    boot()

with subtest("without ratd no plugin runs"):
    # Everything that a boot starts, but for ratd.
    machine.succeed(
        f"systemctl stop {RATD} rat-runner.service ratq.service {PLUGIN}",
        "systemctl stop rat-plugin-auth.socket rat-runner.socket ratq.socket",
        f"mkdir -p {CONTROL}; for unit in {RATD}; do ln -s /dev/null {CONTROL}/$unit; done",
        "systemctl daemon-reload",
    )
    before = started_at(PLUGIN)
    machine.succeed("systemctl start sockets.target multi-user.target")
    for unit in ["rat-runner.service", "ratq.service"]:
        machine.require_unit_state(unit)
        machine.succeed(f"systemctl restart {unit}")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert sleeps() and started_at(PLUGIN) == before, "it was started without a call"
        time.sleep(0.1)
    for unit in RATD.split():
        found = machine.get_unit_info(unit)
        assert (found["LoadState"], found["ActiveState"]) == ("masked", "inactive"), unit
    assert machine.get_unit_property("rat-plugin-auth.socket", "SubState") == "listening"

with subtest("the first connection starts the plugin, and is answered"):
    status, answer = call_plugin(DESCRIBE, {})
    assert status == 200 and answer["name"] == "auth-static", (status, answer)
    machine.require_unit_state(PLUGIN)
    assert started_at(PLUGIN) > before

with subtest("a plugin that nobody calls ends"):
    until("the plugin ends", sleeps, 60)
    assert machine.get_unit_property(PLUGIN, "Result") == "success"
    machine.require_unit_state("rat-plugin-auth.socket")

with subtest("the next call starts it again, and is answered"):
    status, answer = call_plugin(DESCRIBE, {})
    assert status == 200 and answer["name"] == "auth-static", (status, answer)

with subtest("a caller of ratd is answered by a plugin that slept"):
    machine.succeed(f"for unit in {RATD}; do rm {CONTROL}/$unit; done", f"systemctl daemon-reload; systemctl start {RATD}")
    all_is_well()
    machine.succeed(f"systemctl stop {PLUGIN}")
    # A token that is not known yet, so that the plugin has to be asked.
    asleep, awake = time_of_a_request("as-a-reader"), time_of_a_request("let-me-in")
    figure("first request through a sleeping plugin", f"{asleep * 1000:.0f} ms")
    figure("the same through one that is awake", f"{awake * 1000:.0f} ms")
    machine.require_unit_state(PLUGIN)

with subtest("ratd lets a plugin sleep, and says how it was"):
    until("the plugin ends", sleeps, 60)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert sleeps(), "ratd woke it"
        assert api("/health", token=None)["plugins"] == {"auth-static": "healthy"}
    assert api("/api/v1/me")["user_id"] == "alice"

with subtest("ratd is ready although its plugin cannot start"):
    machine.succeed(
        f"systemctl stop ratd.service {PLUGIN}",
        f"mkdir -p $(dirname {BROKEN})",
        f"printf '[Service]\\nExecStart=\\nExecStart=/does/not/exist\\n' > {BROKEN}",
        "systemctl daemon-reload",
        "systemctl start ratd.service",
    )
    machine.require_unit_state("ratd.service")
    until("the plugin is down", lambda: api("/health", token=None)["plugins"] == {"auth-static": "down"})
    api("/api/v1/me", expect=503)

with subtest("when it can, it is there without a hand"):
    machine.succeed(f"rm {BROKEN}", "systemctl daemon-reload")
    all_is_well()
    api("/api/v1/me")
