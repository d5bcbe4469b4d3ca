ROWS = "runuser -u ratd -- psql -h /run/postgresql -Atc 'select name from plugins' ratd"

boot()
assert machine.succeed(ROWS).split() == ["auth-static"]
before = main_process("ratd.service")
switch("without")

with subtest("no unit, no socket"):
    for unit in [PLUGIN, "rat-plugin-auth.socket"]:
        assert machine.get_unit_property(unit, "LoadState") == "not-found", unit
        assert machine.get_unit_property(unit, "ActiveState") == "inactive", unit
    machine.fail("test -e /run/rat/plugins/auth.sock")
    machine.fail("pgrep -x rat-plugin-auth")

with subtest("no row, and its slot is the built-in's"):
    until("the row goes", lambda: machine.succeed(ROWS).strip() == "", 60)
    # What it answers may be a moment old.
    until("/health knows no plugin", lambda: api("/health", token=None)["plugins"] == {}, 60)
    assert api("/health", token=None)["status"] == "ok"
    assert api("/api/v1/me", token=None)["user_id"] == "anonymous"

with subtest("ratd went on meanwhile"):
    assert main_process("ratd.service") == before
