# Seconds from a process's death to the next one that is ready.
GAP = 1.0
SQL = "SELECT count(*) AS days, sum(revenue) AS revenue FROM shop.silver.daily"
ROWS = [{"days": 3, "revenue": "86.65"}]
# What callers may be told besides 200, and how often at least, by whose process died and who called. The
# runner holds nothing that they ask for. A plugin is asked again, since that changes nothing.
MET: dict[str, dict[str, dict[str, int]]] = {
    "ratd.service": {"queries": {"lost": 1}, "calls": {"lost": 0}},
    "rat-runner.service": {},
    "ratq.service": {"queries": {"502 UPSTREAM_ERROR": 1}},
    PLUGIN: {},
}


def is_back(unit: str, before: int) -> bool:
    found = machine.get_unit_info(unit)
    return found["ActiveState"] == "active" and int(found["MainPID"]) not in (0, before)


def kill(unit: str) -> None:
    """Kills a service's process and waits for the next one."""
    before = main_process(unit)
    machine.succeed(f"kill -9 {before}")
    # Only ratd's death leaves somebody who stands still.
    machine.succeed("systemctl kill --signal=CONT ratq.service")
    until(f"{unit} is back", lambda: is_back(unit, before), 15)
    # It was systemd that brought it back, not the next caller.
    assert machine.get_unit_property(unit, "NRestarts") == "1", unit
    left = int(machine.get_unit_property(unit, "ActiveExitTimestampMonotonic"))
    gap = (ready_at(unit) - left) / 1e6
    figure(f"restart gap of {unit.removesuffix('.service')}: from kill -9 to READY", f"{gap:.2f} s")
    assert gap < GAP, gap


def hold(unit: str, *callers: str) -> None:
    """Has a process stand still, and waits until these callers wait for it: theirs is what its death meets."""
    machine.succeed(f"kill -STOP {main_process(unit)}")
    for caller in callers:
        until(f"the {caller} wait", lambda: waits(caller), 20)


def under_load(unit: str, held: str | None, *callers: str) -> None:
    """Kills a service's process while callers call, some of whom wait for what is held."""
    start_load(SQL)
    if held is not None:
        hold(held, *callers)
    kill(unit)
    all_is_well()
    answers[unit] = end_load()


boot()
rat("apply /etc/scenario/shop")
rat("apply /etc/scenario/slow")
rat("run --all --namespace shop --wait")
assert query(SQL) == ROWS, query(SQL)
assert api("/api/v1/me")["user_id"] == "alice"
accepted = []
# What callers were answered, by the unit whose process died.
answers: dict[str, dict[str, dict[str, int]]] = {}

with subtest("ratd is back"):
    accepted.append(start_slow_run())
    # A query is with ratd, and cannot be answered.
    under_load("ratd.service", "ratq.service", "queries")

with subtest("a run that outlived ratd is found again"):
    assert finish(accepted[0]) == "success"

with subtest("rat-runner is back"):
    accepted.append(start_slow_run())
    under_load("rat-runner.service", None)

with subtest("a run whose runner was killed is counted as lost, and its table is as before"):
    assert finish(accepted[1]) == "failed"
    assert api(f"/api/v1/runs/{accepted[1]}")["error"]["code"] == "RUN_LOST"
    assert query("SELECT numbers FROM slow.bronze.count") == [{"numbers": 10000000}]

with subtest("ratq is back"):
    under_load("ratq.service", "ratq.service", "queries")

with subtest("rat-plugin-auth is back"):
    # No token is believed without the plugin here.
    under_load(PLUGIN, PLUGIN, "calls", "queries")

with subtest("nobody was refused, and what was lost was in the process that died"):
    for unit, found in answers.items():
        for caller, counts in found.items():
            met = MET[unit].get(caller, {})
            assert counts["200"] > 3 and counts.keys() <= {"200", *met}, (unit, caller, counts)
            # One request is under way at a time: that is all there is to lose.
            for what, least in met.items():
                assert least <= counts.get(what, 0) <= 1, (unit, caller, counts)

with subtest("no table and no run is lost, and the next one succeeds"):
    assert query(SQL) == ROWS, query(SQL)
    accepted.append(start_slow_run())
    assert finish(accepted[2]) == "success"
    listed = {run["id"] for run in api("/api/v1/runs")["runs"]}
    assert len(listed) == 5 and set(accepted) <= listed, listed
