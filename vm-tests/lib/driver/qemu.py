"""A machine with a kernel of its own, under QEMU.

The processor is emulated, so that it works wherever there is QEMU, and everything takes about ten
times as long as on the host. It is for what a container cannot show: the power going away,
booting from a disk, and limits of memory.

Commands go through a port to `agent.py` in the guest. The disk is a file of its own in the run's
folder and outlives the machine's end, so a scenario may start it again.
"""

from __future__ import annotations

import ctypes
import json
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable

from machine import Machine, MachineError

BOOT = 300
KERNEL_ARGUMENTS = (
    "root=/dev/nvme0n1 rw console=ttyS0 loglevel=3 systemd.show_status=no "
    "tsc=reliable mitigations=off audit=0 net.ifnames=0 panic=1"
)


def end_with_us() -> None:
    """However the driver ends, the machine does too."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class VirtualMachine(Machine):
    pause = 0.5

    def __init__(
        self, name: str, folder: Path, log: Callable[[str], None], disk: Path, kernel: Path, qemu: list[str]
    ) -> None:
        super().__init__(name, folder, log)
        self.disk = disk
        self.kernel = kernel
        self.qemu = qemu
        self.process: subprocess.Popen[bytes] | None = None
        self.port: socket.socket | None = None
        self.received = b""

    def start(self, allow_reboot: bool = False) -> None:
        if self.is_up():
            return
        address = self.folder / f"{self.name}.port"
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
            listener.listen(1)
            listener.settimeout(60)
            self.process = subprocess.Popen(
                self._command(address, allow_reboot), stdin=subprocess.DEVNULL, preexec_fn=end_with_us
            )
            try:
                self.port, _ = listener.accept()
            except OSError as error:
                raise MachineError(f"QEMU did not open {self.name}'s port") from error
        self.received = b""
        self.ready = False

    def _command(self, address: Path, allow_reboot: bool) -> list[str]:
        return [
            *self.qemu,
            *["-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"],
            *["-smp", "2", "-m", "3072", "-nodefaults", "-no-user-config", "-display", "none"],
            *["-kernel", str(self.kernel), "-append", KERNEL_ARGUMENTS],
            *["-drive", f"file={self.disk},format=raw,if=none,id=disk,cache=unsafe"],
            *["-device", "nvme,drive=disk,serial=disk", "-device", "virtio-rng-pci"],
            *["-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console"],
            *["-chardev", f"socket,id=agent,path={address}", "-device", "virtio-serial-pci"],
            *["-device", "virtserialport,chardev=agent,name=agent"],
            *([] if allow_reboot else ["-no-reboot"]),
        ]

    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def connect(self) -> None:
        self.start()
        if self.ready:
            return
        # The agent speaks first.
        if json.loads(self._receive(BOOT)) != "ready":
            raise MachineError(f"{self.name}'s agent did not greet")
        self.ready = True

    def run(self, command: str, timeout: float | None) -> tuple[int, str]:
        if self.port is None:
            raise MachineError(f"{self.name} is not running")
        self.port.sendall(json.dumps({"command": command, "timeout": timeout}).encode() + b"\n")
        # The agent keeps the time; this is for a guest that hangs.
        answer = json.loads(self._receive(None if timeout is None else timeout + 60))
        return answer["code"], answer["output"]

    def _receive(self, timeout: float | None) -> bytes:
        assert self.port is not None
        deadline = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self.received:
            left = None if deadline is None else deadline - time.monotonic()
            try:
                if left is not None and left <= 0:
                    raise TimeoutError
                self.port.settimeout(left)
                data = self.port.recv(1 << 16)
            except TimeoutError as error:
                console = self.get_console_log()[-3000:]
                raise MachineError(f"{self.name} does not answer:\n{console}") from error
            if not data:
                raise MachineError(f"{self.name} is gone:\n{self.get_console_log()[-3000:]}")
            self.received += data
        line, _, self.received = self.received.partition(b"\n")
        return line

    def wait_for_shutdown(self) -> None:
        if self.process is not None:
            self.process.wait()
        if self.port is not None:
            self.port.close()
        self.process = None
        self.port = None
        self.ready = False

    def crash(self) -> None:
        if self.process is not None:
            self.process.kill()
        self.wait_for_shutdown()
