ROW = "runuser -u ratd -- psql -h /run/postgresql -Atc 'select status from plugins' ratd"
HUNG = [PLUGIN, "rat-runner.service", "ratq.service"]
# Watchdog, the time that an abort gets, the restart, and a machine with other things to do.
PATIENCE = 60


def restarts(unit: str) -> int:
    return int(machine.get_unit_property(unit, "NRestarts"))


def was_ended_by_watchdog(unit: str) -> None:
    machine.succeed(f"journalctl --no-pager -b -u {unit} | grep -q \"Failed with result 'watchdog'\"")


boot()
assert machine.succeed(ROW).strip() == "healthy"

with subtest("the status goes down, in /health and in the table"):
    for unit in HUNG:
        machine.succeed(f"kill -STOP {main_process(unit)}")

    def is_down() -> bool:
        found = api("/health", token=None)
        states = [found["services"]["runner"], found["services"]["ratq"], found["plugins"]["auth-static"]]
        return states == ["down"] * 3 and machine.succeed(ROW).strip() == "down"

    until("everything that hangs is down", is_down, PATIENCE)

with subtest("the watchdog ends each of them and starts it again"):
    for unit in HUNG:
        until(f"{unit} is started again", lambda: restarts(unit) == 1, PATIENCE)
        machine.wait_for_unit(unit, timeout=PATIENCE)
        was_ended_by_watchdog(unit)

with subtest("the status goes up, in /health and in the table"):
    all_is_well()
    until("the row says healthy", lambda: machine.succeed(ROW).strip() == "healthy")
    api("/api/v1/me")

with subtest("the watchdog ends ratd itself, and the next one answers who waited"):
    machine.succeed(f"kill -STOP {main_process('ratd.service')}")
    until("ratd is started again", lambda: restarts("ratd.service") == 1, PATIENCE)
    was_ended_by_watchdog("ratd.service")
    all_is_well()
    api("/api/v1/me")
