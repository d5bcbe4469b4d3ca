#!/usr/bin/python3
"""Makes a machine that runs into another configuration, by the rules of NixOS.

    switch-to-configuration test

Units that are gone stop. Services that run and whose text differs are restarted, all at once; before
that those are reloaded of which nothing but what makes them reload differs. Sockets are left as they
are. What is new and wanted starts. NixOS has a program of its own of this name.
"""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
UNITS = Path("/etc/systemd/system")


def systemctl(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], check=True)


def is_active(unit: str) -> bool:
    return subprocess.run(["systemctl", "--quiet", "is-active", unit], check=False).returncode == 0


def texts(folder: Path) -> dict[str, str]:
    found = (path for kind in ("service", "socket") for path in folder.glob(f"rat*.{kind}"))
    return {path.name: path.read_text() for path in found if path.is_file()}


def links(folder: Path) -> list[Path]:
    return [link for link in folder.glob("*.wants/rat*") if link.is_symlink()]


def without_reload(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("X-Reload-Triggers=")]


def main() -> None:
    new_root = HERE / "root"
    old, new = texts(UNITS), texts(new_root / UNITS.relative_to("/"))
    # Services before their sockets: else a connection would start them again.
    gone = sorted(name for name in old if name not in new)
    for name in gone:
        systemctl("stop", name)
    for link in links(UNITS):
        link.unlink()
    for name in gone:
        (UNITS / name).unlink()
    shutil.copytree(new_root, "/", symlinks=True, dirs_exist_ok=True)
    subprocess.run(["systemd-sysusers"], check=True)
    subprocess.run(["systemd-tmpfiles", "--create", "/etc/tmpfiles.d/rat.conf"], check=True)
    systemctl("daemon-reload")
    running = [name for name in sorted(new) if name.endswith(".service") and name in old and is_active(name)]
    changed = [name for name in running if new[name] != old[name]]
    reloaded = [name for name in changed if without_reload(new[name]) == without_reload(old[name])]
    restarted = [name for name in changed if name not in reloaded]
    for verb, names in ("reload", reloaded), ("restart", restarted):
        if names:
            systemctl(verb, *names)
    wanted = sorted({link.name for link in links(UNITS)}, key=lambda name: not name.endswith(".socket"))
    systemctl("start", *wanted)
    if (result := Path("/run/current-system")).is_symlink():
        result.unlink()
    os.symlink(HERE, "/run/current-system")


main()
