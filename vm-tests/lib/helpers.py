# What scenarios have in common. It is put in front of each script, here and on NixOS, and uses
# nothing but what the NixOS driver offers. Every scenario has one machine, called `machine`.

import json
import shlex
import time
from typing import Any

# For what takes a second on a machine with nothing else to do.
SOON = 120
# Where ratd is.
URL = "http://127.0.0.1:8080"
# The token of `lib/demo.nix`.
TOKEN = "let-me-in"
DAEMONS = ["ratd.service", "rat-runner.service", "ratq.service"]
PLUGIN = "rat-plugin-auth.service"


def figure(name: str, value: str) -> None:
    """Something that was measured: told, and kept where somebody collects it."""
    print(f"           {name}: {value}", flush=True)
    globals().get("figures", {})[name] = value


def curl(path: str, method: str = "GET", token: str | None = TOKEN, body: Any = None) -> tuple[int, str]:
    """Asks ratd: the HTTP status, 0 where nobody answers, and the body."""
    words = ["curl", "-sS", "--max-time", "60", "-X", method, "-w", "\\n%{http_code}"]
    if token is not None:
        words += ["-H", f"Authorization: Bearer {token}"]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    _, output = machine.execute(f"{shlex.join(words + [URL + path])} || true")
    text, _, status = output.rstrip("\n").rpartition("\n")
    return int(status or 0), text


def api(path: str, method: str = "GET", token: str | None = TOKEN, body: Any = None, expect: int = 200) -> Any:
    """Asks ratd, and insists on the HTTP status."""
    status, text = curl(path, method, token, body)
    assert status == expect, f"{method} {path} is answered with {status}, not {expect}: {text}"
    return json.loads(text) if text else None


def until(what: str, condition: Any, timeout: float = SOON) -> Any:
    """Waits until `condition()` answers with something, and answers with that."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.05)


def all_is_well(timeout: float = SOON) -> None:
    """Waits until /health says of each service and plugin that it is healthy."""
    seen: Any = None

    def look() -> bool:
        nonlocal seen
        status, text = curl("/health", token=None)
        seen = json.loads(text) if status == 200 else status
        if not isinstance(seen, dict):
            return False
        parts = list(seen["services"].values()) + list(seen["plugins"].values())
        return seen["status"] == "ok" and all(part == "healthy" for part in parts)

    deadline = time.monotonic() + timeout
    while not look():
        assert time.monotonic() < deadline, f"/health does not become ok: {seen}"
        time.sleep(0.05)


def boot() -> None:
    """Starts the machine and waits until RAT is up on it."""
    machine.start()
    machine.wait_for_unit("multi-user.target", timeout=SOON)
    all_is_well()


def rat(arguments: str, timeout: int = 300) -> str:
    """The command line, as the user of the demo."""
    return machine.succeed(f"rat --server {URL} --no-progress --api-key-file /etc/scenario/token {arguments}", timeout=timeout)


def query(sql: str) -> Any:
    """Rows of a query."""
    return api("/api/v1/query", "POST", body={"sql": sql})["rows"]


def main_process(unit: str) -> int:
    return int(machine.get_unit_property(unit, "MainPID"))


def started_at(unit: str) -> int:
    """When a service was last started, in microseconds of the machine's clock."""
    return int(machine.get_unit_property(unit, "InactiveExitTimestampMonotonic"))


def ready_at(unit: str) -> int:
    """When a unit was last ready, in microseconds of the machine's clock."""
    return int(machine.get_unit_property(unit, "ActiveEnterTimestampMonotonic"))


def switch(configuration: str) -> None:
    """Makes the running machine into another configuration of its own."""
    machine.succeed(
        f"/run/booted-system/specialisation/{configuration}/bin/switch-to-configuration test >&2", timeout=300
    )


def block(page: str, *words: str) -> list[str]:
    """The lines of the only block of a page (`lib/page.nix`) that has all the words."""
    blocks = json.loads(machine.succeed(f"cat /etc/scenario/pages/{page}.json"))
    found = [text.splitlines() for text in blocks if all(word in text for word in words)]
    assert len(found) == 1, f"{page} has {len(found)} blocks with {words}"
    return found[0]


def call_plugin(method: str, body: Any, slot: str = "auth") -> tuple[int, Any]:
    """Calls a plugin past ratd, as root: the HTTP status, 0 where nobody answers, and the answer."""
    words = ["curl", "-sS", "--max-time", "30", "--unix-socket", f"/run/rat/plugins/{slot}.sock"]
    words += ["-H", "Content-Type: application/json", "-d", json.dumps(body), "-w", "\\n%{http_code}"]
    _, output = machine.execute(f"{shlex.join(words + ['http://plugin/' + method])} || true")
    text, _, status = output.rstrip("\n").rpartition("\n")
    return int(status or 0), json.loads(text) if text else None


def start_load(sql: str | None = None) -> None:
    """Has somebody call the API without pause, and query if there is something to ask, until `end_load`."""
    plan = {
        "token": TOKEN,
        "user": api("/api/v1/me", token=TOKEN)["user_id"],
        "pipelines": len(api("/api/v1/pipelines", token=TOKEN)["pipelines"]),
        "services": sorted(api("/health", token=None)["services"]),
        "queries": sql and {"sql": sql, "rows": query(sql)},
        "stop": "/run/load.stop",
        "report": "/run/load.json",
    }
    python = machine.succeed("command -v python3").strip()
    machine.succeed(
        "rm -f /run/load.*",
        f"umask 077; printf %s {shlex.quote(json.dumps(plan))} > /run/load.plan",
        f"systemd-run --collect --unit=load {python} /etc/scenario/load.py /run/load.plan",
    )
    # Several, so that each request was made once.
    for caller in ["calls"] + (["queries"] if sql else []):
        until(f"the {caller} go on", lambda: asked(caller) > 3)


def asked(caller: str) -> int:
    """The number of the request of `start_load` that is under way, or was last."""
    return int(machine.execute(f"cat /run/load.json.{caller} 2>/dev/null || true")[1] or -1)


def waits(caller: str) -> bool:
    """Whether a request of `start_load` has been under way for some time."""
    before = asked(caller)
    time.sleep(0.5)
    return asked(caller) == before


def end_load() -> dict[str, dict[str, int]]:
    """How often each caller of `start_load` was answered with what: 200, another status with its code, `lost`, `refused` or `wrong`."""
    machine.succeed("touch /run/load.stop")
    machine.wait_for_file("/run/load.json", timeout=SOON)
    # Written after it was made.
    report = json.loads(machine.wait_until_succeeds("grep . /run/load.json", timeout=SOON))
    print(f"           load: {report}", flush=True)
    answers: dict[str, dict[str, int]] = report["answers"]
    return answers


def start_run(name: str) -> str:
    """Starts a run of the pipeline `namespace.layer.name`: its id."""
    namespace, layer, pipeline = name.split(".")
    body = {"namespace": namespace, "layer": layer, "pipeline": pipeline}
    run_id: str = api("/api/v1/runs", "POST", body=body, expect=202)["run_id"]
    return run_id


def start_slow_run() -> str:
    """A run that takes some seconds, under way: its id."""
    run_id = start_run("slow.bronze.count")

    def has_spoken() -> bool:
        # One that never spoke may not have begun, and ratd would let it wait again.
        status, text = curl(f"/api/v1/runs/{run_id}/logs")
        return status == 200 and len(json.loads(text)["logs"]) > 0

    until("the run runs", lambda: run_status(run_id) == "running" and has_spoken())
    return run_id


def run_status(run_id: str) -> str:
    """A run's status; nothing where ratd cannot say."""
    status, text = curl(f"/api/v1/runs/{run_id}")
    return json.loads(text)["status"] if status == 200 else ""


def finish(run_id: str) -> str:
    """How a run ends."""
    ended = ("success", "failed", "cancelled")
    found: str = until(f"run {run_id} ends", lambda: (s := run_status(run_id)) in ended and s, 300)
    return found
