# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the fake guest agent in the place of libvirt's calls for guests (see ``__init__.py`` beside this)."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import libvirt
import libvirt_qemu

ROOT = Path(os.environ["ARCHIPEL_FAKE_GUEST"])
FOLDERS = ("etc", "srv", "root", "var/tmp")  # the guest's own
NEW_MOUNTS, NEW_USERS = 0x20000, 0x10000000  # sched.h
PRIVATE, BIND = 0x44000, 0x1000  # sys/mount.h: MS_REC and MS_PRIVATE; MS_BIND
LIBC = ctypes.CDLL(None, use_errno=True)
FACTS = {
    "hostname": "guest",
    "os.id": "debian",
    "os.pretty-name": "Debian",
    "if.count": 1,
    "if.0.name": "lo",
    "user.count": 0,
    "fs.count": 0,
}


class FakeGuest:
    """What the guest agent answers; ``ahead``: seconds by which the guest's clock is ahead."""

    def __init__(self) -> None:
        self.ended: dict[int, dict[str, Any]] = {}
        self.files: dict[int, Any] = {}
        self.frozen = False
        self.ahead = 100.0

    def answer(self, question: str) -> str:
        """Answer a command of the guest agent's protocol."""
        asked = json.loads(question)
        arguments = {name.replace("-", "_"): value for name, value in asked.get("arguments", {}).items()}
        try:
            found = getattr(self, "_" + asked["execute"].replace("-", "_"))(**arguments)
        except OSError as error:
            raise libvirt.libvirtError(f"internal error: unable to execute QEMU agent command: {error}") from error
        return json.dumps({"return": found})

    def _guest_ping(self) -> dict[str, Any]:
        return {}

    def _guest_fsfreeze_status(self) -> str:
        return "frozen" if self.frozen else "thawed"

    def _guest_exec(self, path: str, arg: list[str], capture_output: bool, input_data: str = "") -> dict[str, int]:
        assert capture_output
        data_in = base64.b64decode(input_data)
        done = subprocess.run([path, *arg], input=data_in, capture_output=True, check=False, cwd="/", preexec_fn=enter_guest)
        number = len(self.ended) + 1
        data = {"out-data": done.stdout, "err-data": done.stderr}
        self.ended[number] = {"exited": True, "exitcode": done.returncode, **{name: encode(text) for name, text in data.items() if text}}
        return {"pid": number}

    def _guest_exec_status(self, pid: int) -> dict[str, Any]:
        return self.ended.pop(pid)

    def _guest_file_open(self, path: str, mode: str) -> int:
        number = max(self.files, default=0) + 1
        self.files[number] = (ROOT / path.lstrip("/")).open(mode)
        return number

    def _guest_file_seek(self, handle: int, offset: int, whence: int) -> dict[str, int]:
        return {"position": self.files[handle].seek(offset, whence)}

    def _guest_file_read(self, handle: int, count: int) -> dict[str, Any]:
        data = self.files[handle].read(count)
        return {"count": len(data), "buf-b64": encode(data), "eof": len(data) < count}

    def _guest_file_write(self, handle: int, buf_b64: str) -> dict[str, Any]:
        return {"count": self.files[handle].write(base64.b64decode(buf_b64)), "eof": False}

    def _guest_file_flush(self, handle: int) -> dict[str, Any]:
        self.files[handle].flush()
        return {}

    def _guest_file_close(self, handle: int) -> dict[str, Any]:
        self.files.pop(handle).close()
        return {}

    def set_password(self, user: str, password: str, flags: int) -> None:
        """Keep the hash of a password."""
        crypted = password if flags else hash_password(password)
        (ROOT / "etc" / "shadow").write_text(f"{user}:{crypted}:20000:0:99999:7:::\n")

    def set_time(self, wanted: dict[str, int]) -> None:
        """Set the guest's clock."""
        self.ahead = wanted["seconds"] + wanted["nseconds"] / 1e9 - time.time()

    def time(self) -> dict[str, int]:
        """Tell the guest's time."""
        now = time.time() + self.ahead
        return {"seconds": int(now), "nseconds": int(now % 1 * 1e9)}

    def freeze(self, frozen: bool) -> int:
        """Freeze or thaw, and tell how many file systems."""
        self.frozen = frozen
        return 1


def enter_guest() -> None:
    """Let this process, which is about to become a program of the guest, see the guest's folders in the place of the host's."""
    user, group = os.geteuid(), os.getegid()
    call(LIBC.unshare, NEW_MOUNTS | (NEW_USERS if user else 0))
    if user:
        for file, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            Path(f"/proc/self/{file}").write_text(text)
    call(LIBC.mount, b"none", b"/", None, PRIVATE, None)
    for name in FOLDERS:
        call(LIBC.mount, os.fsencode(ROOT / name), f"/{name}".encode(), None, BIND, None)


def call(function: Any, *arguments: Any) -> None:
    """Call a function of the C library. Raises OSError."""
    if function(*arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def encode(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


def hash_password(password: str) -> str:
    """Return a hash as guests keep them."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return str(crypt(password.encode(), b"$6$saltsalt$").decode())


def install(guest: FakeGuest) -> None:
    """Have libvirt's calls ask this guest."""
    libvirt_qemu.qemuAgentCommand = lambda _domain, question, _timeout, _flags: guest.answer(question)
    domain = libvirt.virDomain
    domain.guestInfo = lambda _self, _types=0, _flags=0: dict(FACTS)
    domain.setUserPassword = lambda _self, user, password, flags=0: guest.set_password(user, password, flags)
    domain.getTime = lambda _self, _flags=0: guest.time()
    domain.setTime = lambda _self, wanted, _flags=0: guest.set_time(wanted)
    domain.fsFreeze = lambda _self, _mountpoints=None, _flags=0: guest.freeze(True)
    domain.fsThaw = lambda _self, _mountpoints=None, _flags=0: guest.freeze(False)


install(FakeGuest())
