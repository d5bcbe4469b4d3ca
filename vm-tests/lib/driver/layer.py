"""Makes a machine's root file system: the guest's, with the scenario's files in a layer above it."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

# Where NixOS has the configuration that was booted.
SYSTEM = "/usr/local/lib/scenario"
# As NixOS has it: the server is ready for others when this is reached.
DATABASE_TARGET = """[Unit]
Description=PostgreSQL, with what this machine needs in it
Requires=postgresql.service postgresql-setup.service
After=postgresql.service postgresql-setup.service
"""
DATABASE_SETUP = """[Unit]
Description=Role and database of ratd
Requires=postgresql@17-main.service
After=postgresql.service postgresql@17-main.service

[Service]
Type=oneshot
RemainAfterExit=yes
User=postgres
ExecStart=/bin/sh -c 'psql -qtc "select 1 from pg_roles where rolname = \\'ratd\\'" | grep -q 1 || createuser ratd'
ExecStart=/bin/sh -c 'psql -lqt | cut -d "|" -f 1 | grep -qw ratd || createdb --owner ratd ratd'
"""
AGENT = """[Unit]
Description=Executes the commands of a scenario
DefaultDependencies=no
After=sysinit.target
Conflicts=shutdown.target

[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/agent.py
StandardError=journal+console
"""


def mount(root: Path, folder: Path, node: dict[str, Any], name: str) -> Path:
    """The root of a machine, mounted below `folder`. Nothing of it reaches the disk."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    upper, work, merged = folder / "upper", folder / "work", folder / "root"
    for each in (upper, work, merged):
        each.mkdir()
    options = f"lowerdir={root},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", merged], check=True)
    _fill(merged, node, name)
    return merged


def _fill(root: Path, node: dict[str, Any], name: str) -> None:
    _write(root, "/etc/machine-id", uuid.uuid4().hex + "\n")
    _write(root, "/etc/hostname", name + "\n")
    _place(root, node)
    _link(root, {"/usr/local/bin/rat": "/opt/rat/bin/rat"})
    if node["database"]:
        _write(root, "/etc/systemd/system/postgresql.target", DATABASE_TARGET)
        _write(root, "/etc/systemd/system/postgresql-setup.service", DATABASE_SETUP)
        _link(root, {"/etc/systemd/system/multi-user.target.wants/postgresql.target": "../postgresql.target"})
    _write(root, "/etc/tmpfiles.d/scenario.conf", f"L+ /run/booted-system - - - - {SYSTEM}\n")
    for special, system in node["specialisation"].items():
        folder = _inside(root, f"{SYSTEM}/specialisation/{special}")
        _place(folder / "root", system)
        program = folder / "bin/switch-to-configuration"
        _copy(Path(__file__).with_name("switch.py"), program)
        program.chmod(0o755)
    subprocess.run(["chroot", root, "systemd-sysusers"], check=True, stderr=subprocess.DEVNULL)


def _place(root: Path, system: dict[str, Any]) -> None:
    """Files and links of a configuration."""
    for path, file in system["files"].items():
        if "source" in file:
            _copy(Path(file["source"]), _inside(root, path))
        else:
            _write(root, path, file["text"])
        if "mode" in file:
            _inside(root, path).chmod(int(file["mode"], 8))
    _link(root, system["links"])


def _link(root: Path, links: dict[str, str]) -> None:
    for path, target in links.items():
        link = _inside(root, path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def make_disk(root: Path, programs: dict[str, str], agent: Path, disk: Path) -> None:
    """Writes a machine's root, the programs and the agent onto a disk image."""
    placed: dict[str, str] = {}
    for inner, host in programs.items():
        if host in placed:
            _link(root, {inner: placed[host]})
        else:
            _copy(Path(host), _inside(root, inner))
            placed[host] = inner
    _copy(agent, root / "usr/local/lib/agent.py")
    _write(root, "/etc/systemd/system/agent.service", AGENT)
    wants = root / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "agent.service").symlink_to("../agent.service")
    with disk.open("wb") as image:
        os.truncate(image.fileno(), 4 << 30)
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", "-d", root, disk], check=True
    )


def _inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _write(root: Path, path: str, text: str) -> None:
    file = _inside(root, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(text)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)
