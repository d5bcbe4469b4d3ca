"""Runs one scenario: `python3 driver PLAN`, as root, in a mount namespace of its own.

PLAN is a JSON file that `cargo xtask vm` writes: what lies where on each machine, where guest and
programs are, and the scenario's script. The outcome goes into a JSON file beside it.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
import unittest
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import layer
from container import Container
from machine import Machine, retry
from qemu import VirtualMachine


class Run:
    """A scenario under way: its machines, and what it claims at the moment."""

    def __init__(self, plan: dict[str, Any], folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.claims: list[str] = []
        self.lines: deque[str] = deque(maxlen=20)
        self.machines = {name: self._machine(name, node) for name, node in plan["nodes"].items()}

    def _machine(self, name: str, node: dict[str, Any]) -> Machine:
        root = layer.mount(Path(self.plan["guest"]), self.folder / f"{name}.root", node, name)
        programs: dict[str, str] = self.plan["programs"]
        if self.plan["machine"] == "container":
            return Container(name, self.folder, self.log, root, programs)
        disk = self.folder / f"{name}.disk"
        layer.make_disk(root, programs, Path(__file__).with_name("agent.py"), disk)
        return VirtualMachine(name, self.folder, self.log, disk, Path(self.plan["kernel"]), self.plan["qemu"])

    def log(self, message: str) -> None:
        # Waiting asks the same again and again.
        if message not in self.lines:
            self.lines.append(message)
        if self.plan["verbose"]:
            print(message, flush=True)

    @contextmanager
    def subtest(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self.claims.append(name)
        yield
        # A claim that fails stays, so that it can be told.
        self.claims.pop()
        print(f"  {time.monotonic() - began:6.1f} s  {name}", flush=True)

    def symbols(self) -> dict[str, Any]:
        """What the NixOS driver gives a script, as far as there is no screen."""
        machines: dict[str, Any] = {name.replace("-", "_"): machine for name, machine in self.machines.items()}
        if len(self.machines) == 1:
            machines["machine"] = next(iter(self.machines.values()))
        return machines | {
            "subtest": self.subtest,
            "retry": retry,
            "start_all": self.start_all,
            "join_all": lambda: [machine.wait_for_shutdown() for machine in self.machines.values()],
            "t": unittest.TestCase(),
        }

    def start_all(self) -> None:
        for machine in self.machines.values():
            machine.start()

    def story(self) -> str:
        """What may explain a failure."""
        told = ["the last commands:", *self.lines]
        for machine in self.machines.values():
            if machine.ready:
                try:
                    look = "systemctl --failed --no-legend; journalctl --no-pager -b -o short-monotonic"
                    look += " | grep -v 'request finished' | tail -n 40"
                    told.append(machine.run(look, 60)[1])
                except Exception as error:  # The machine may be what failed.
                    told.append(f"{machine.name} cannot be asked any more: {error}")
        return "\n".join(told)

    def end(self) -> None:
        for machine in self.machines.values():
            machine.crash()


def main() -> int:
    plan_file = Path(sys.argv[1])
    plan = json.loads(plan_file.read_text())
    run = Run(plan, plan_file.parent)
    outcome: dict[str, Any] = {"passed": True, "figures": {}}
    try:
        symbols = run.symbols() | {"figures": outcome["figures"]}
        for part in plan["script"]:
            exec(compile(Path(part).read_text(), part, "exec"), symbols)
    except Exception as error:
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in plan["script"]]
        place = "".join(f"{Path(frame.filename).name}:{frame.lineno}: {frame.line}\n" for frame in where)
        outcome |= {"passed": False, "claim": " / ".join(run.claims), "error": f"{place}{type(error).__name__}: {error}"}
        if not plan["quiet"]:
            outcome["story"] = run.story()
    finally:
        run.end()
    plan_file.with_name("outcome.json").write_text(json.dumps(outcome))
    return 0 if outcome["passed"] else 1


sys.exit(main())
