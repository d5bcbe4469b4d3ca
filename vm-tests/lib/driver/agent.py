"""Runs in a virtual machine and executes the driver's commands, a line of JSON each."""

import json
import os
import subprocess
import time
from pathlib import Path

ENVIRONMENT = {
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


def find_port() -> Path:
    """The only serial port of the kind that is no console."""
    while not (found := sorted(Path("/dev").glob("vport*p*"))):
        time.sleep(0.1)
    return found[0]


def main() -> None:
    port = os.open(find_port(), os.O_RDWR)
    answers = os.fdopen(os.dup(port), "wb", buffering=0)

    def answer(what: object) -> None:
        data = json.dumps(what).encode() + b"\n"
        while data:
            data = data[answers.write(data) :]

    answer("ready")
    for line in os.fdopen(port, "rb"):
        request = json.loads(line)
        limit = [] if request["timeout"] is None else ["timeout", str(request["timeout"])]
        done = subprocess.run(
            [*limit, "bash", "-c", request["command"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/root",
            check=False,
        )
        answer({"code": done.returncode, "output": done.stdout.decode(errors="replace")})


main()
