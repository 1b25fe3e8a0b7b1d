# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with Debian's own kernel, for what this host's may lack: volume groups, NFS. It is this host's root folder in a virtual machine.

What it writes is in its memory. It reaches this host's loopback at `GATEWAY`, and nobody else. A libvirt runs in it. Emulated, so that
it runs everywhere; takes root, as whose files else would it show.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from testbed.daemon import Daemon
from testbed.demo.folder import CHECKOUT

SOURCES: Final = Path(__file__).parent
GATEWAY: Final = "10.0.2.2"  # QEMU's user network shows this host's loopback there
BOOT_SECONDS: Final = 600
_ANSWER_SECONDS: Final = 60
_LOOK_AGAIN: Final = 0.3
_ENVIRONMENT: Final = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8")
_CHANNEL: Final = "channel"
_MACHINE: Final = ("qemu-system-x86_64", "-machine", "pc,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "2048", "-nodefaults", "-no-reboot")
_DEVICES: Final = (
    *("-display", "none", "-serial", "stdio"),
    *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
    *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
    *("-netdev", "user,id=net,net=10.0.2.0/24", "-device", "virtio-net-pci,netdev=net"),
    *("-chardev", f"socket,path={_CHANNEL},server=on,wait=off,id=channel", "-device", "virtio-serial"),
    *("-device", "virtserialport,chardev=channel,name=org.qemu.guest_agent.0"),
)


class KernelHost:
    """The host; what it wrote is gone when it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemon = Daemon("kernel", folder)

    def start(self) -> None:
        """Boot it, and wait until its libvirt answers; some ten seconds. Raises DaemonError, AssertionError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        image = _make_image(CHECKOUT / ".cache" / "kernel-host")
        words = f"console=ttyS0 quiet panic=1 net.ifnames=0 mitigations=off CHECKOUT={CHECKOUT}"
        boot = ("-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd.img"), "-append", words)
        self._daemon.start((*_MACHINE, *_DEVICES, *boot), os.environ, self._is_up, BOOT_SECONDS)

    def stop(self) -> None:
        """End it as a power cut would."""
        self._daemon.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command there, and return what it prints. Raises AssertionError, with all that was said, when it fails."""
        started = self._ask("guest-exec", path=command[0], arg=command[1:], env=_ENVIRONMENT, **{"capture-output": True})
        while not (done := self._ask("guest-exec-status", pid=started["pid"]))["exited"]:
            time.sleep(_LOOK_AGAIN)
        printed, said = (base64.b64decode(done.get(name, "")).decode(errors="replace") for name in ("out-data", "err-data"))
        assert done.get("exitcode") == 0 or not check, f"{' '.join(command)}: {done.get('exitcode')}\n{printed}\n{said}"
        return printed

    def spawn(self, command: Sequence[str], log: str) -> None:
        """Start a command there that goes on; what it prints goes to a file of that host."""
        self._ask("guest-exec", path="sh", arg=["-c", 'log=$0; exec "$@" >"$log" 2>&1', log, *command], env=_ENVIRONMENT)

    def _ask(self, command: str, **arguments: object) -> Any:
        """Ask the agent of QEMU's that runs there; one question a connection."""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(_ANSWER_SECONDS)
            channel.connect(str(self.folder / _CHANNEL))
            channel.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
            with channel.makefile() as answers:
                text = answers.readline()
        assert text, f"the host is gone:\n{self._daemon.read_log()}"
        answer = json.loads(text)
        assert "return" in answer, f"{command}: {answer}"
        return answer["return"]

    def _is_up(self) -> bool:
        if b"serving" not in self._daemon.log.read_bytes():
            return False
        return "QEMU" in self.run("virsh", "--connect", "qemu:///system", "version", check=False)


def _make_image(folder: Path) -> Path:
    """Make what boots it in ``folder``, once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may want it at once
        scripts = (SOURCES / "make", SOURCES / "init", SOURCES.parent / "guest" / "kernel.sh")
        newest = max(path.stat().st_mtime for path in scripts)
        if not (folder / "initrd.img").exists() or (folder / "initrd.img").stat().st_mtime < newest:
            subprocess.run([SOURCES / "make", folder], check=True, capture_output=True)
    return folder
