def program(unit: str) -> str:
    return machine.succeed(f"readlink /proc/{main_process(unit)}/exe").strip()


boot()
rat("apply /etc/scenario/shop")
rat("apply /etc/scenario/slow")
rat("run --all --namespace shop --wait")
old = {unit: program(unit) for unit in [*DAEMONS, PLUGIN]}
row = api("/api/v1/plugins")["plugins"]

with subtest("the units are switched while callers call and a run runs"):
    start_load("SELECT count(*) AS days FROM shop.silver.daily")
    run = start_slow_run()
    switch("next")
    for unit in DAEMONS:
        machine.require_unit_state(unit)
    all_is_well()

with subtest("every process is of the new release"):
    for unit, before in old.items():
        machine.wait_for_unit(unit, timeout=SOON)
        assert program(unit) != before, unit

with subtest("every caller was answered"):
    for caller, answers in end_load().items():
        assert set(answers) == {"200"} and answers["200"] > 5, (caller, answers)

with subtest("a run that was under way is finished"):
    assert finish(run) == "success"
    rows = query("SELECT numbers FROM slow.bronze.count")
    assert rows == [{"numbers": 10_000_000}], rows

with subtest("everything is there, and goes on"):
    assert api("/api/v1/plugins")["plugins"][0]["name"] == row[0]["name"]
    rows = query("SELECT count(*) AS days FROM shop.silver.daily")
    assert rows == [{"days": 3}], rows
    rat("run --all --namespace shop --wait")
    assert machine.succeed("systemctl --failed --no-legend").strip() == ""
