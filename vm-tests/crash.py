# Seconds from a process's death to the next one that is ready.
GAP = 1.0


def is_back(unit: str, before: int) -> bool:
    found = machine.get_unit_info(unit)
    return found["ActiveState"] == "active" and int(found["MainPID"]) not in (0, before)


def kill(unit: str) -> None:
    """Kills a service's process and waits for the next one."""
    before = main_process(unit)
    machine.succeed(f"kill -9 {before}")
    until(f"{unit} is back", lambda: is_back(unit, before), 15)
    # It was systemd that brought it back, not the next caller.
    assert machine.get_unit_property(unit, "NRestarts") == "1", unit
    left = int(machine.get_unit_property(unit, "ActiveExitTimestampMonotonic"))
    gap = (ready_at(unit) - left) / 1e6
    figure(f"restart gap of {unit.removesuffix('.service')}: from kill -9 to READY", f"{gap:.2f} s")
    assert gap < GAP, gap


boot()
rat("apply /etc/scenario/shop")
rat("apply /etc/scenario/slow")
rat("run --all --namespace shop --wait")
start_load()
accepted = []

with subtest("ratd is back"):
    accepted.append(start_slow_run())
    kill("ratd.service")
    all_is_well()

with subtest("a run that outlived ratd is found again"):
    assert finish(accepted[0]) == "success"

with subtest("rat-runner is back"):
    accepted.append(start_slow_run())
    kill("rat-runner.service")
    all_is_well()

with subtest("a run whose runner was killed is counted as lost, and its table is as before"):
    assert finish(accepted[1]) == "failed"
    assert api(f"/api/v1/runs/{accepted[1]}")["error"]["code"] == "RUN_LOST"
    assert query("SELECT numbers FROM slow.bronze.count") == [{"numbers": 10000000}]

with subtest("ratq is back"):
    kill("ratq.service")
    all_is_well()

with subtest("rat-plugin-auth is back"):
    kill(PLUGIN)
    all_is_well()

with subtest("nobody was refused, and what was lost was in the process that died"):
    answers = end_load()
    assert answers["200"] > 100, answers
    assert set(answers) <= {"200", "503", "lost"}, answers
    # One caller at a time: each kill can meet one request, and 503 says that the plugin is away.
    assert answers.get("lost", 0) <= 4 and answers.get("503", 0) < 200, answers

with subtest("no table and no run is lost, and the next one succeeds"):
    rows = query("SELECT count(*) AS days, sum(revenue) AS revenue FROM shop.silver.daily")
    assert rows == [{"days": 3, "revenue": "86.65"}], rows
    accepted.append(start_slow_run())
    assert finish(accepted[2]) == "success"
    listed = {run["id"] for run in api("/api/v1/runs")["runs"]}
    assert len(listed) == 5 and set(accepted) <= listed, listed
