# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This host, booted once more in namespaces of its own: ``python -m testbed.systemd_namespace FOLDER NAME``, as root.

What it writes is in memory. It has no network but its own loopback, nothing that this host has enabled is started there, and of
this host's libvirt and agent it knows the programs only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from testbed.demo.folder import CHECKOUT

ROOT: Final = "root"  # in FOLDER: the host's root folder
CHECKOUT_INSIDE: Final = "/srv/archipel"
_CGROUPS: Final = Path("/sys/fs/cgroup")
# What this host has, and the other is not to find: services that are enabled, the agent, and every file of libvirt's.
_GONE: Final = ("etc/archipel", "etc/systemd/system/archipel-agent.service", "var/lib/archipel", "var/log/archipel", "vm", "etc/fstab")
_WITHOUT_FILES: Final = ("etc/libvirt/qemu", "etc/libvirt/storage", "etc/libvirt/secrets", "var/lib/libvirt", "var/log", "var/tmp")


def main(folder: Path, name: str) -> None:
    """Make the place and become the one who boots it."""
    _use_unified_cgroups(name)
    root = _lay_root(folder)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Of what the container may, this takes nothing away: the restrictions in question are those of the service.
    command = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", f"--machine={name}", f"--directory={root}"]
    command += ["--capability=all", "--system-call-filter=@keyring bpf", "--console=pipe", "--link-journal=no", "--resolv-conf=off"]
    os.execvp(command[0], [*command, f"--bind-ro={CHECKOUT}:{CHECKOUT_INSIDE}"])  # noqa: S606 - no shell is wanted


def _use_unified_cgroups(name: str) -> None:
    """Show the one tree of control groups, which systemd wants, and go to a group of our own in it."""
    if not (_CGROUPS / "cgroup.procs").exists():
        subprocess.run(["umount", "-R", str(_CGROUPS)], check=True)
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(_CGROUPS)], check=True)
    group = _CGROUPS / name
    group.mkdir(exist_ok=True)
    (group / "cgroup.procs").write_text("0")


def _lay_root(folder: Path) -> Path:
    """Lay a layer in memory over this host's root folder, and return where both are seen as one."""
    root, layer = folder / ROOT, folder / "layer"
    for path in (root, layer):
        path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(layer)], check=True)
    for name in ("upper", "work"):
        (layer / name).mkdir()
    options = f"lowerdir=/,upperdir={layer}/upper,workdir={layer}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(root)], check=True)
    _forget(root)
    return root


def _forget(root: Path) -> None:
    """Remove what only this host's own life has to do with."""
    for path in (*(root / name for name in _GONE), *(root / "etc/systemd/system").glob("*.wants")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name in _WITHOUT_FILES:
        for path in [found for found in (root / name).rglob("*") if found.is_symlink() or not found.is_dir()]:
            path.unlink()
    (root / "etc/machine-id").write_text("")  # it chooses another; without the file it would enable what Debian enables at first


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
