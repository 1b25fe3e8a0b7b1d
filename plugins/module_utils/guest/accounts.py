# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Passwords of a guest's accounts. What is read of them stays here."""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.protocol.errors import PermissionDenied
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client.guest import Guest
    from archipel.client.guest_shell import GuestShell

LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")
# How much work a hash is to compare with, is the guest's word: what takes more than about a second or 256 MiB is not tried (crypt(5)).
_CHEAP = re.compile(r"\$[156]\$(rounds=\d{1,6}\$)?(?!rounds=)[^$]*\$|\$2[abxy]\$(0\d|1[0-3])\$|\$g?y\$j[./0-9A-D][./0-9A-T]\$")
AS_DECLARED, ANOTHER, UNKNOWN = "as declared", "another", "unknown"


class AccountPassword(Resource):
    """The password of an account, which is set where it is another, or where that cannot be known."""

    def __init__(self, guest: Guest, shell: GuestShell, arguments: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        self.title = f"account {arguments['user']}"
        self._guest = guest
        self._shell = shell
        self._user, self._password, self._crypted = (arguments[name] for name in ("user", "password", "crypted"))
        self._warn = warn
        self._set = False

    async def read(self) -> Values:
        if self._set:  # libvirt said so; to read it again tells no more
            return {"password": AS_DECLARED}
        same = self._is_same(await self._read_hash())
        if same is None:
            self._warn(f"nobody can tell whether the password of {self._user} is another already: it is set each time")
        return {"password": UNKNOWN if same is None else AS_DECLARED if same else ANOTHER}

    def desired(self, current: Values) -> Values:
        return {"password": AS_DECLARED}

    async def apply(self, current: Values, desired: Values) -> None:
        await self._guest.set_password(self._user, self._password, crypted=self._crypted)
        self._set = True

    def report(self, change: Change) -> dict[str, Any]:
        return {}

    async def _read_hash(self) -> str | None:
        try:
            done = await self._shell.run("cat /etc/shadow")
        except PermissionDenied:
            return None
        fields = (line.split(":") for line in done.stdout.decode(errors="replace").splitlines())
        return next((line[1] for line in fields if len(line) > 1 and line[0] == self._user), None)

    def _is_same(self, found: str | None) -> bool | None:
        if found is None:
            return None
        return found == self._password if self._crypted else is_password_of(self._password, found)


def is_password_of(password: str, found: str) -> bool | None:
    """Return whether a hash is that of a password; None where the control node cannot tell."""
    if not found or found[0] in "!*":
        return False  # no password opens such an account
    library = _load_library()
    if library is None or not _CHEAP.match(found):
        return None
    crypt = library.crypt
    crypt.restype = ctypes.c_char_p
    made: bytes | None = crypt(password.encode(), found.encode())
    return None if made is None or made.startswith(b"*") else made.decode(errors="replace") == found


def _load_library() -> ctypes.CDLL | None:
    for name in LIBRARIES:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    return None
