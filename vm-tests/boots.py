SOCKETS = ["ratd.socket", "ratd-internal.socket", "rat-runner.socket", "ratq.socket", "rat-plugin-auth.socket"]

machine.start()

with subtest("ratd is ready"):
    machine.wait_for_unit("ratd.service", timeout=SOON)
    taken = (ready_at("ratd.service") - started_at("ratd.service")) / 1e6
    figure("cold start of ratd to READY, on an empty database", f"{taken:.2f} s")

with subtest("all sockets listen before any plugin runs"):
    machine.wait_for_unit("multi-user.target", timeout=SOON)
    for socket in SOCKETS:
        machine.require_unit_state(socket)
    machine.wait_for_unit(PLUGIN, timeout=SOON)
    assert started_at(PLUGIN) > max(ready_at(socket) for socket in SOCKETS)
    # Nothing but a connection starts it.
    assert machine.get_unit_property(PLUGIN, "WantedBy") == ""
    assert machine.get_unit_property(PLUGIN, "RequiredBy") == ""

with subtest("/health says that everything is healthy"):
    all_is_well()

with subtest("nothing has failed, and nothing was started twice"):
    assert machine.succeed("systemctl --failed --no-legend").strip() == ""
    for unit in [*DAEMONS, PLUGIN]:
        assert machine.get_unit_property(unit, "NRestarts") == "0", unit

with subtest("PostgreSQL knows ratd by its user, and nobody else"):
    count = "psql -h /run/postgresql -U ratd -Atc 'select count(*) from plugins' ratd"
    assert machine.succeed(f"runuser -u ratd -- {count}").strip() == "1"
    machine.fail(f"runuser -u nobody -- {count}")

with subtest("the example project's pipelines succeed"):
    rat("apply /etc/scenario/shop")
    rat("run --all --namespace shop --wait")
    statuses = [run["status"] for run in api("/api/v1/runs")["runs"]]
    assert statuses == ["success", "success"], statuses

with subtest("their table can be queried"):
    rows = query("SELECT count(*) AS days, sum(revenue) AS revenue FROM shop.silver.daily")
    assert rows == [{"days": 3, "revenue": "86.65"}], rows
