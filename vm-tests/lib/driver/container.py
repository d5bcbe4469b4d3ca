"""A machine as a container: systemd as process 1 in namespaces of its own, at the speed of the host.

It shares the host's kernel, so it cannot show a reboot, and where the host still has the first
version of control groups, no memory or processor limit is enforced: scenarios about those are for
a virtual machine. Everything else that units promise (sockets, watchdogs, restarts, users,
credentials, namespaces, filters for system calls and addresses) is real in here.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable

from machine import Machine, MachineError

BOOT = 120
ENVIRONMENT = [
    "HOME=/root",
    "USER=root",
    "LANG=C.UTF-8",
    "PATH=/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
]
# Filters for addresses are programs that systemd gives to the kernel.
PRIVILEGES = ["--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN", "--system-call-filter=bpf"]
# systemd wants the second version of control groups. Mounting it in a namespace of our own leaves
# the host's mounts as they are; a group of its own keeps machines from each other.
UNIFIED = """
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
"""
ENTER = UNIFIED + 'mkdir "/sys/fs/cgroup/$1"; echo $$ > "/sys/fs/cgroup/$1/cgroup.procs"; shift; exec "$@"'
LEAVE = UNIFIED + 'find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} +'


def in_private_mounts(script: str, *arguments: str) -> list[str]:
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", script, "bash"]
    return [*command, *arguments]


def end_with_us() -> None:
    """However the driver ends, the container does too."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Container(Machine):
    pause = 0.05

    def __init__(self, name: str, folder: Path, log: Callable[[str], None], root: Path, binds: dict[str, str]) -> None:
        super().__init__(name, folder, log)
        self.root = root
        self.binds = binds
        self.unique = f"rat-{os.getpid()}-{name}"
        self.process: subprocess.Popen[bytes] | None = None
        self.leader = 0

    def start(self, allow_reboot: bool = False) -> None:
        if self.is_up():
            return
        command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self.unique}"]
        command += ["--register=no", "--keep-unit", "--private-network", "--console=pipe", *PRIVILEGES]
        command += ["--link-journal=no", "--resolv-conf=off", "--timezone=off"]
        command += [f"--bind-ro={host}:{inner}" for inner, host in self.binds.items()]
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                in_private_mounts(ENTER, self.unique, *command),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_us,
            )
        self.ready = False

    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def connect(self) -> None:
        self.start()
        if self.ready:
            return
        deadline = time.monotonic() + BOOT
        while time.monotonic() < deadline:
            if not self.is_up():
                break
            self.leader = self.leader or self._find_leader()
            if self.leader and self.run("test -S /run/systemd/private && systemctl list-jobs", 10)[0] == 0:
                self.ready = True
                return
            time.sleep(self.pause)
        raise MachineError(f"{self.name} does not boot:\n{self.get_console_log()[-3000:]}")

    def _find_leader(self) -> int:
        """The container's process 1: the only child of the only child, once it is systemd."""
        assert self.process is not None
        process = self.process.pid
        try:
            children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
            is_inside = Path(f"/proc/{process}/comm").read_text().strip() == "systemd-nspawn"
            for child in children if is_inside else []:
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
        except OSError:
            pass
        return 0

    def run(self, command: str, timeout: float | None) -> tuple[int, str]:
        enter = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        limit = [] if timeout is None else ["timeout", str(timeout)]
        done = subprocess.run(
            [*enter, "--root", "--wdns=/root", "--", "env", "-i", *ENVIRONMENT, *limit, "bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        return done.returncode, done.stdout

    def wait_for_shutdown(self) -> None:
        if self.process is not None:
            self.process.wait()
            subprocess.run(in_private_mounts(LEAVE, self.unique), check=False, stderr=subprocess.DEVNULL)
        self.process = None
        self.leader = 0
        self.ready = False

    def crash(self) -> None:
        if self.is_up() and self.process is not None:
            # Process 1 takes all of the container with it.
            os.kill(self.leader or self.process.pid, signal.SIGKILL)
        self.wait_for_shutdown()
