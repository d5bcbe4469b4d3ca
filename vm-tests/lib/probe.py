"""Tries what a service should not be able to do, from within its sandbox: `probe.py QUESTIONS`.

QUESTIONS is a JSON file of lists of words; the answers go to standard output in their order, each
`ok` or the name of the error.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
from pathlib import Path

NEW_USER_NAMESPACE = 0x10000000


def read(path: str) -> None:
    Path(path).read_bytes()


def look(path: str) -> None:
    os.listdir(path)


def write(path: str) -> None:
    Path(path).write_text("written\n", encoding="utf-8")


def write_state(name: str) -> None:
    write(f"{os.environ['STATE_DIRECTORY']}/{name}")


def connect(host: str, port: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as end:
        end.settimeout(2)
        end.connect((host, int(port)))


def call(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(2)
        end.connect(path)


def see_others() -> None:
    own = os.getuid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.stat().st_uid != own:
            return
    raise FileNotFoundError(errno.ENOENT, "nobody else")


def system(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def new_namespace() -> None:
    system(ctypes.CDLL(None, use_errno=True).unshare(NEW_USER_NAMESPACE))


def mount() -> None:
    system(ctypes.CDLL(None, use_errno=True).mount(b"none", b"/tmp", b"tmpfs", 0, None))


def written_code() -> None:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


KNOWN = [read, look, write, write_state, connect, call, see_others, new_namespace, mount, written_code]


def answer(question: list[str]) -> str:
    action = {known.__name__: known for known in KNOWN}[question[0]]
    try:
        action(*question[1:])
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok"


def main() -> None:
    questions = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    json.dump([answer(question) for question in questions], sys.stdout)


main()
