INSTALL = "install-on-debian"
UPGRADE = "upgrade"
PROGRAMS = "/srv/rat/target/dist"
SETTINGS = "/etc/rat/rat.yaml"


def follow(page: str, *words: str, without: str = "nothing") -> str:
    """Executes a block of a page in the folder of the repository, without the lines that begin with a word."""
    lines = [line for line in block(page, *words) if not line.startswith(without)]
    return machine.succeed("\n".join(["cd /srv/rat", *lines]), timeout=SOON)


def write_units() -> None:
    """Writes the units again, and executes what is printed as the next steps."""
    printed = machine.succeed(f"rat units --config {SETTINGS} 2>&1")
    steps = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
    assert steps, printed
    print(f"           {steps}", flush=True)
    machine.succeed("\n".join(steps), timeout=SOON)


def inode(unit: str) -> str:
    """The file of a service's program: another one after an upgrade."""
    return machine.succeed(f"stat --dereference --format=%i /proc/{main_process(unit)}/exe").strip()


machine.start()
machine.wait_for_unit("multi-user.target", timeout=SOON)
# Programs that were built, and a server that the package starts by itself.
machine.succeed(f"mkdir -p $(dirname {PROGRAMS})", f"ln -s /opt/rat/bin {PROGRAMS}", "systemctl start postgresql")

with subtest("the page's commands make a data platform"):
    follow(INSTALL, "cargo build", "rat completions", without="cargo")
    follow(INSTALL, "ratd check-config")
    follow(INSTALL, "mkdir", "/etc/credstore")
    machine.succeed(f"rat units --config {SETTINGS}")
    follow(INSTALL, "systemd-tmpfiles --create")
    follow(INSTALL, "createdb", without="apt-get")
    follow(INSTALL, "systemctl enable --now ratd.socket")
    all_is_well()

with subtest("it asks for the key, and works"):
    TOKEN = machine.succeed("install -m 600 /etc/credstore/api-key /etc/scenario/token; cat /etc/scenario/token").strip()
    api("/api/v1/me", token=None, expect=401)
    rat("apply /etc/scenario/shop")
    rat("run --all --namespace shop --wait")

with subtest("after the page's commands every process is of the new release"):
    old = {unit: inode(unit) for unit in DAEMONS}
    start_load()
    follow(UPGRADE, "install -D", "rat units")
    all_is_well()
    for unit, before in old.items():
        assert inode(unit) != before, unit
    rat("run --all --namespace shop --wait")

with subtest("nobody was refused meanwhile"):
    answers = end_load()["calls"]
    assert set(answers) == {"200"} and answers["200"] > 5, answers

with subtest("another address is where it is after the commands that are printed"):
    machine.succeed(f"printf 'server:\\n  listen: 127.0.0.1:8090\\n' >> {SETTINGS}")
    write_units()
    URL = "http://127.0.0.1:8090"
    all_is_well()
    machine.fail("nc -z 127.0.0.1 8080")

with subtest("a plugin of rat.yaml gets a socket and a service"):
    plugin = "\n".join(block(INSTALL, "plugins:"))
    machine.succeed(f"cp {SETTINGS} {SETTINGS}.before", f"printf '%s\\n' {shlex.quote(plugin)} >> {SETTINGS}")
    follow(INSTALL, "rat units", "--network")
    machine.require_unit_state("rat-plugin-auth.socket")
    until("ratd asks it", lambda: api("/health", token=None)["plugins"].get("auth-keycloak"))
    machine.wait_for_unit(PLUGIN, timeout=SOON)
    assert "192.0.2.10/32" in machine.get_unit_property(PLUGIN, "IPAddressAllow")

with subtest("one that left rat.yaml leaves nothing, with the commands that are printed"):
    machine.succeed(f"mv {SETTINGS}.before {SETTINGS}")
    write_units()
    assert machine.get_unit_property("rat-plugin-auth.socket", "LoadState") == "not-found"
    all_is_well()
    assert api("/health", token=None)["plugins"] == {}
