# Everything that this machine does takes about ten times as long.
LONG = 400
ROW = "runuser -u ratd -- psql -h /run/postgresql -Atc 'select name, slot from plugins' ratd"


def rows() -> Any:
    return query("SELECT count(*) AS days, sum(revenue) AS revenue FROM shop.silver.daily")


machine.start()

with subtest("RAT is up, and the example project has run"):
    machine.wait_for_unit("ratd.service", timeout=LONG)
    machine.succeed("systemctl start rat-runner.service")
    all_is_well(LONG)
    memory = {unit: int(machine.get_unit_property(unit, "MemoryCurrent")) for unit in [*DAEMONS, PLUGIN]}
    for unit, size in memory.items():
        figure(f"memory of {unit.removesuffix('.service')}, idle (MemoryCurrent)", f"{size / 2**20:.0f} MiB")
    figure("memory of the idle appliance", f"{sum(memory.values()) / 2**20:.0f} MiB")
    rat("apply /etc/scenario/shop", timeout=LONG)
    rat("apply /etc/scenario/slow", timeout=LONG)
    rat("run --all --namespace shop --wait", timeout=LONG)
    runs = {run["id"]: run["status"] for run in api("/api/v1/runs")["runs"]}
    plugins = machine.succeed(ROW)
    assert set(runs.values()) == {"success"} and len(runs) == 2, runs
    assert rows() == [{"days": 3, "revenue": "86.65"}], rows()

with subtest("the power goes away while a run runs"):
    run = start_slow_run()
    machine.crash()

with subtest("after the power came back everything runs without a hand"):
    machine.start()
    machine.wait_for_unit("multi-user.target", timeout=LONG)
    all_is_well(LONG)
    assert machine.succeed("systemctl --failed --no-legend").strip() == ""

with subtest("pipelines, runs and plugin rows are as before"):
    assert {pipeline["name"] for pipeline in api("/api/v1/pipelines")["pipelines"]} == {"orders", "daily", "count"}
    now = {found["id"]: found["status"] for found in api("/api/v1/runs")["runs"]}
    assert {found: now[found] for found in runs} == runs, now
    assert machine.succeed(ROW) == plugins

with subtest("tables are as before, and the next run succeeds"):
    assert rows() == [{"days": 3, "revenue": "86.65"}], rows()
    rat("run bronze.orders --namespace shop --wait", timeout=LONG)

with subtest("the run that was cut off has ended, and nothing of it shows"):
    assert finish(run) == "failed"
    assert api(f"/api/v1/runs/{run}")["error"]["code"] == "RUN_LOST"
    api("/api/v1/tables/slow/bronze/count", expect=404)
