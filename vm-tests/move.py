boot()
rat("apply /etc/scenario/shop")
stayed = {socket: ready_at(socket) for socket in ["ratd-internal.socket", "ratq.socket"]}

with subtest("sockets are at their new addresses, and nobody is at the old ones"):
    switch("elsewhere")
    machine.wait_for_open_port(8090, "127.0.0.1", timeout=SOON)
    machine.fail("nc -z 127.0.0.1 8080")
    for path in ["pool.sock", "plugins/login.sock"]:
        machine.succeed(f"test -S /run/rat/{path}")
    for path in ["runner.sock", "plugins/auth.sock"]:
        machine.fail(f"test -e /run/rat/{path}")

with subtest("sockets that stay where they are were left alone"):
    for socket, since in stayed.items():
        assert ready_at(socket) == since, socket

with subtest("everything works there"):
    URL = "http://127.0.0.1:8090"
    all_is_well()
    assert api("/api/v1/me")["user_id"] == "alice"
    rat("run --all --namespace shop --wait")
    assert machine.succeed("systemctl --failed --no-legend").strip() == ""

with subtest("a second address that somebody adds is served as well"):
    switch("both")
    for URL in ["http://127.0.0.1:8080", "http://127.0.0.1:8091"]:
        all_is_well()
    assert api("/api/v1/me")["user_id"] == "alice"
