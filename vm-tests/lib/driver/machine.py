"""What a scenario may ask of a machine, by the names and rules of the NixOS test driver.

A scenario runs unchanged on NixOS, so nothing here goes beyond that driver's interface. A kind of
machine brings `start`, `execute` and the ways to end it; everything else is built on those.
Screens and keyboards are left out: an appliance has none.
"""

from __future__ import annotations

import base64
import re
import shlex
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

# As in the NixOS driver: how long anything may take unless the scenario says otherwise.
PATIENCE = 900


class MachineError(Exception):
    """The machine itself misbehaves: it does not boot, or its connection broke."""


class RequestedAssertionFailed(AssertionError):
    """What the scenario asked for is not so."""


def retry(action: Callable[[bool], bool], timeout_seconds: float = PATIENCE, pause: float = 0.1) -> None:
    """Calls `action` until it answers True; the last call gets True, to let it explain itself."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if action(False):
            return
        time.sleep(pause)
    if not action(True):
        raise RequestedAssertionFailed(f"not so within {timeout_seconds} seconds")


class Machine:
    """A booted system. Subclasses are a container and a virtual machine."""

    # Between two looks at a condition.
    pause = 0.1

    def __init__(self, name: str, folder: Path, log: Callable[[str], None]) -> None:
        self.name = name
        self.folder = folder
        self.out_dir = folder / "out"
        self.console = folder / f"{name}.console"
        self._log = log
        # Whether it takes commands.
        self.ready = False

    # What a kind of machine brings.

    def start(self, allow_reboot: bool = False) -> None:
        raise NotImplementedError

    def is_up(self) -> bool:
        raise NotImplementedError

    def connect(self) -> None:
        """Returns when commands can be executed."""
        raise NotImplementedError

    def run(self, command: str, timeout: float | None) -> tuple[int, str]:
        """Executes a shell command as root: its exit code and its standard output."""
        raise NotImplementedError

    def wait_for_shutdown(self) -> None:
        raise NotImplementedError

    def crash(self) -> None:
        """Takes the power away."""
        raise NotImplementedError

    # Its life.

    def shutdown(self) -> None:
        if self.is_up():
            self.execute("systemctl poweroff --no-block")
            self.wait_for_shutdown()

    def reboot(self) -> None:
        self.shutdown()
        self.start()

    # Commands.

    def log(self, message: str) -> None:
        self._log(f"{self.name}: {message}")

    @contextmanager
    def nested(self, message: str) -> Iterator[None]:
        began = time.monotonic()
        self.log(message)
        yield
        self.log(f"{message}: {time.monotonic() - began:.1f} s")

    def execute(
        self, command: str, check_return: bool = True, check_output: bool = True, timeout: float | None = PATIENCE
    ) -> tuple[int, str]:
        self.connect()
        code, output = self.run(f"set -euo pipefail; {command}", timeout)
        self.log(f"[{code}] {command}")
        return (code if check_return else -1), (output if check_output else "")

    def succeed(self, *commands: str, timeout: float | None = PATIENCE) -> str:
        return "".join(self._expect(command, True, timeout) for command in commands)

    def fail(self, *commands: str, timeout: float | None = PATIENCE) -> str:
        return "".join(self._expect(command, False, timeout) for command in commands)

    def _expect(self, command: str, success: bool, timeout: float | None) -> str:
        code, output = self.execute(command, timeout=timeout)
        if (code == 0) != success:
            outcome = f"failed with {code}" if success else "succeeded"
            raise RequestedAssertionFailed(f"`{command}` {outcome}; it printed: {output.strip()[-2000:]}")
        return output

    def wait_until_succeeds(self, command: str, timeout: float = PATIENCE) -> str:
        return self._wait_until(command, True, timeout)

    def wait_until_fails(self, command: str, timeout: float = PATIENCE) -> str:
        return self._wait_until(command, False, timeout)

    def _wait_until(self, command: str, success: bool, timeout: float) -> str:
        output = ""

        def look(last: bool) -> bool:
            nonlocal output
            code, output = self.execute(command, timeout=timeout)
            if last and (code == 0) != success:
                raise RequestedAssertionFailed(
                    f"`{command}` still ends with {code} after {timeout} seconds; it printed: {output.strip()[-2000:]}"
                )
            return (code == 0) == success

        retry(look, timeout, self.pause)
        return output

    def sleep(self, secs: float) -> None:
        self.succeed(f"sleep {secs}")

    # systemd.

    def systemctl(self, q: str, user: str | None = None) -> tuple[int, str]:
        if user is None:
            return self.execute(f"systemctl {q}")
        inner = f"XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user {q}"
        return self.execute(f"su -l {user} --shell /bin/sh -c {shlex.quote(inner)}")

    def start_job(self, jobname: str, user: str | None = None) -> tuple[int, str]:
        return self.systemctl(f"start {jobname}", user)

    def stop_job(self, jobname: str, user: str | None = None) -> tuple[int, str]:
        return self.systemctl(f"stop {jobname}", user)

    def get_unit_info(self, unit: str, user: str | None = None) -> dict[str, str]:
        code, output = self.systemctl(f"--no-pager show '{unit}'", user)
        if code != 0:
            raise RequestedAssertionFailed(f"systemctl show {unit} ended with {code}")
        return dict(line.split("=", 1) for line in output.splitlines() if re.match(r"[A-Za-z]+=", line))

    def get_unit_property(self, unit: str, property: str, user: str | None = None) -> str:
        code, output = self.systemctl(f"--no-pager show '{unit}' --property={property}", user)
        name, equals, value = output.strip().partition("=")
        if code != 0 or name != property or not equals:
            raise RequestedAssertionFailed(f"{unit} has no property {property}")
        return value

    def require_unit_state(self, unit: str, require_state: str = "active") -> None:
        state = self.get_unit_property(unit, "ActiveState")
        if state != require_state:
            raise RequestedAssertionFailed(f"{unit} is {state}, not {require_state}")

    def wait_for_unit(self, unit: str, user: str | None = None, timeout: float = PATIENCE) -> None:
        def look(last: bool) -> bool:
            state = self.get_unit_property(unit, "ActiveState", user)
            if state == "active":
                return True
            if state == "failed" or last:
                raise RequestedAssertionFailed(f"{unit} is {state}\n{self._story(unit)}")
            if state == "inactive":
                _, jobs = self.systemctl("list-jobs --full --no-legend", user)
                idle = "No jobs" in jobs or not jobs.strip()
                if idle and self.get_unit_property(unit, "ActiveState", user) == "inactive":
                    raise RequestedAssertionFailed(f"{unit} is inactive, and no job would start it")
            return False

        retry(look, timeout, self.pause)

    def _story(self, unit: str) -> str:
        return self.execute(f"journalctl --no-pager -b -u '{unit}' | tail -n 20")[1]

    # Waiting.

    def wait_for_file(self, filename: str, timeout: float = PATIENCE) -> None:
        self.wait_until_succeeds(f"test -e {filename}", timeout)

    def wait_for_open_port(self, port: int, addr: str = "localhost", timeout: float = PATIENCE) -> None:
        self.wait_until_succeeds(f"nc -z {addr} {port}", timeout)

    def wait_for_closed_port(self, port: int, addr: str = "localhost", timeout: float = PATIENCE) -> None:
        self.wait_until_fails(f"nc -z {addr} {port}", timeout)

    def wait_for_open_unix_socket(self, addr: str, is_datagram: bool = False, timeout: float = PATIENCE) -> None:
        self.wait_until_succeeds(f"nc -z {'-uU' if is_datagram else '-U'} {addr}", timeout)

    def get_console_log(self) -> str:
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def wait_for_console_text(self, regex: str, timeout: float = PATIENCE) -> None:
        retry(lambda _: re.search(regex, self.get_console_log()) is not None, timeout, self.pause)

    # Files. They go through the command line, in pieces that it takes.

    def copy_from_host(self, source: str, target: str) -> None:
        data = base64.b64encode(Path(source).read_bytes()).decode()
        self.succeed(f"mkdir -p $(dirname {target}); : > {target}.b64")
        for start in range(0, len(data), 60_000):
            self.succeed(f"printf %s {data[start : start + 60_000]} >> {target}.b64")
        self.succeed(f"base64 -d {target}.b64 > {target}; rm {target}.b64")

    copy_from_host_via_shell = copy_from_host

    def copy_from_machine(self, source: str, target_dir: str = "") -> None:
        target = self.out_dir / target_dir / Path(source).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(base64.b64decode(self.succeed(f"base64 -w 0 {source}")))
