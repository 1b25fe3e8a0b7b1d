# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process in namespaces of its own, where a private libvirt lives: ``python -m testbed.demo.namespace FOLDER``.

What ``unshare --mount --net --pid --fork --kill-child --mount-proc`` starts. libvirt, QEMU and dnsmasq see their usual paths,
which are folders in FOLDER; their network is not the host's; and when this process ends the kernel ends all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

# Where libvirt, QEMU and dnsmasq keep what is theirs.
HIDDEN: Final = ("/run", "/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt")
# Made by Debian's packages; the daemon wants them to be there.
EXPECTED: Final = ("run/lock", "var/log/libvirt/qemu", "var/lib/libvirt/dnsmasq", "var/lib/libvirt/images")
SERVICES: Final = (("/usr/sbin/virtlogd",), ("/usr/sbin/libvirtd",))
# Root alone comes in through the socket: there is no polkit here that could ask anybody.
DAEMON_SETTINGS: Final = 'auth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\n'
# No AppArmor profiles and no control groups here; the images lie where only root may be able to go.
QEMU_SETTINGS: Final = (
    'security_driver = "none"\ncgroup_controllers = []\nnamespaces = []\nuser = "root"\ngroup = "root"\nremember_owner = 0\n'
)
LEAST_LIFE: Final = 5.0  # seconds; a service that ends sooner will not do better at the next try


def main(folder: Path) -> int:
    """Make the place, run the services for ever, and bury what dies in it; returns when a service cannot live."""
    hide_paths(folder)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    (folder / "etc/libvirt/libvirtd.conf").write_text(DAEMON_SETTINGS)
    (folder / "etc/libvirt/qemu.conf").write_text(QEMU_SETTINGS)
    children = {start(service): service for service in SERVICES}
    born = dict.fromkeys(children, time.monotonic())
    while True:
        pid, _status = os.wait()  # everything in the namespace that lost its parent is a child of ours
        service = children.pop(pid, None)
        if service is None:
            continue
        if time.monotonic() - born.pop(pid) < LEAST_LIFE:
            return 1
        new = start(service)
        children[new], born[new] = service, time.monotonic()


def hide_paths(folder: Path) -> None:
    """Lay folders of our own over libvirt's, and mount what shows the network namespace and no control groups."""
    for path in EXPECTED:
        (folder / path).mkdir(parents=True, exist_ok=True)
    for path in HIDDEN:
        own = folder / path.lstrip("/")
        own.mkdir(parents=True, exist_ok=True)
        Path(path).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(own), path], check=True)
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup"], check=True)


def start(command: tuple[str, ...]) -> int:
    """Start a service; ``os.wait`` tells when it ends, so nothing else may wait for it."""
    return os.posix_spawn(command[0], command, os.environ)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
