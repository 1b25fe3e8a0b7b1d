# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away libvirtd whose test driver is one world for several processes.

``test:///default`` lives and dies inside one process. Through a daemon of its own, ``test+unix:///default?socket=PATH``, the same
world is seen, changed and followed by events from every process: virsh behind the agent's back, an agent that is killed and comes
back, a benchmark beside it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import libvirt

from testbed.daemon import Daemon

# Debian's user for servers that own nothing (/etc/passwd of base-passwd).
NOBODY = 65534
# It ends in milliseconds, or never: now and then libvirt 11.3 waits at its end for a thread that watches devices.
STOP_SECONDS = 2
DOMAIN = """<domain type='test'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <vcpu current='1'>2</vcpu>
  <os><type>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/var/lib/archipel/{name}.qcow2'/><target dev='vda' bus='virtio'/></disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
  </devices>
</domain>"""


class TestLibvirtd:
    """One daemon, unprivileged, with sockets and state of its own; it never meets the system's libvirt.

    The world has the driver's network ``default`` and pool ``default-pool``, and no domains. It lasts while the daemon runs:
    this object keeps a connection open for that. A daemon started anew has a new world.
    """

    __test__ = False  # a name that pytest would collect

    def __init__(self) -> None:
        # In /tmp itself: the path of a socket may have 107 bytes, and the daemon's user must be able to go there.
        self.folder = Path(tempfile.mkdtemp(prefix="archipel-libvirtd-", dir="/tmp"))
        self.socket = self.folder / "libvirt-sock"
        self._daemon = Daemon("libvirtd", self.folder)
        self._keeper: Any = None
        (self.folder / "libvirtd.conf").write_text(f'unix_sock_dir = "{self.folder}"\nauth_unix_rw = "none"\nlog_outputs = "3:stderr"\n')

    @property
    def uri(self) -> str:
        """The connection URI that every process uses."""
        return f"test+unix:///default?socket={self.socket}"

    @property
    def pid(self) -> int | None:
        """The process of the daemon, None when it does not run."""
        return self._daemon.pid

    def start(self) -> None:
        """Start the daemon with an empty world. Raises DaemonError with the end of its log."""
        command = ["/usr/sbin/libvirtd", "--config", "libvirtd.conf", "--pid-file", str(self.folder / "own.pid")]
        if os.geteuid() == 0:  # as root it would take the system's state for its own
            os.chown(self.folder, NOBODY, NOBODY)
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)}
        self.socket.unlink(missing_ok=True)  # left over from a crash
        self._daemon.start(command, environment, self._open_keeper)
        default = self._keeper.lookupByName("test")
        default.destroy()
        default.undefine()

    def stop(self) -> None:
        """End the daemon cleanly; its world ends with it."""
        self._close_keeper()
        self._daemon.stop(STOP_SECONDS)

    def kill(self) -> None:
        """End the daemon as a crash would, even one that is halted (SIGSTOP): it is not asked for a farewell."""
        self._daemon.kill()
        self._close_keeper()

    def restart(self) -> None:
        """Stop the daemon and start it with a new, empty world; its clients see their connections end."""
        self.stop()
        self.start()

    def define_domains(self, count: int, prefix: str = "vm") -> list[str]:
        """Define ``count`` domains named ``PREFIX-000``, ``PREFIX-001`` ..., shut off. Returns their UUIDs in this order."""
        definitions = (DOMAIN.format(name=f"{prefix}-{number:03}") for number in range(count))
        return [self._keeper.defineXML(definition).UUIDString() for definition in definitions]

    def close(self) -> None:
        """Stop the daemon and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open_keeper(self) -> bool:
        if not self.socket.exists():  # libvirt would complain on standard error
            return False
        try:
            self._keeper = libvirt.open(self.uri)
        except libvirt.libvirtError:
            return False
        return True

    def _close_keeper(self) -> None:
        if self._keeper is None:
            return
        with contextlib.suppress(libvirt.libvirtError):  # the daemon may be gone already
            self._keeper.close()
        self._keeper = None
