# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of a host among several on one machine: ``python -m testbed.linked_namespace FOLDER NAME [OWN PATH]...``.

As :mod:`testbed.demo.namespace`, but libvirt listens for other hosts' libvirts, without encryption, on a network that is nobody
else's, and QEMU has certificates for what goes between hosts; and each PATH shows the folder OWN here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Final

from testbed.demo.namespace import QEMU_SETTINGS, hide_paths, start

SERVICES: Final = (("/usr/sbin/virtlogd",), ("/usr/sbin/libvirtd", "--listen"))
# Two hosts of one machine must not take each other for themselves.
DAEMON_SETTINGS: Final = (
    'auth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\nlisten_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\n'
    'listen_addr = "0.0.0.0"\nhost_uuid = "{uuid}"\n'
)
BRIDGE: Final = "br0"
CERTIFICATES, HOSTS = "pki", "hosts"  # in FOLDER: what QEMU shows other hosts' QEMUs, and where these are


def main(folder: Path, name: str, binds: list[str]) -> int:
    """Make the place and run the services for ever; one that ends is started anew."""
    socket.sethostname(name)
    hide_paths(folder)
    for own, path in zip(binds[::2], binds[1::2], strict=True):
        subprocess.run(["mount", "--bind", own, path], check=True)
    for command in (["link", "set", "lo", "up"], ["link", "add", BRIDGE, "type", "bridge"], ["link", "set", BRIDGE, "up"]):
        subprocess.run(["ip", *command], check=True)
    (folder / "etc/libvirt/libvirtd.conf").write_text(DAEMON_SETTINGS.format(uuid=uuid.uuid5(uuid.NAMESPACE_DNS, name)))
    (folder / "etc/libvirt/qemu.conf").write_text(f'{QEMU_SETTINGS}default_tls_x509_cert_dir = "{folder / CERTIFICATES}"\n')
    subprocess.run(["mount", "--bind", str(folder / HOSTS), "/etc/hosts"], check=True)
    children = {start(service): service for service in SERVICES}
    while True:
        pid, _status = os.wait()
        service = children.pop(pid, None)
        if service is not None:
            children[start(service)] = service


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
