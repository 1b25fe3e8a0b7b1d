# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user who reaches all that is made in a folder, whoever owns it: the folder's default access list (acl(5)).

The kernel's form of it is in linux/posix_acl_xattr.h. It is written through a descriptor of the folder, which setfacl(1) cannot do.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Final

_ATTRIBUTE: Final = "system.posix_acl_default"
_HEADER: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<HHI")  # what it is about, what is allowed, whom it is about
_VERSION: Final = 2
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY: Final = 0xFFFFFFFF  # in entries that are about no named user or group
_ALL: Final = 0o7
_NO_LIST: Final = {errno.ENODATA, errno.ENOTSUP}

_Entries = dict[tuple[int, int], int]
_FRESH: Final[_Entries] = {(_OWNER, _NOBODY): _ALL, (_GROUP, _NOBODY): _ALL, (_MASK, _NOBODY): _ALL, (_OTHERS, _NOBODY): 0}


def is_supported(folder: Path | int) -> bool:
    """Whether the file system of a folder keeps such lists; raises :class:`OSError`."""
    try:
        os.getxattr(folder, _ATTRIBUTE)
    except OSError as error:
        if error.errno not in _NO_LIST:
            raise
        return error.errno != errno.ENOTSUP
    return True


def reaches_all(folder: Path | int, user: int) -> bool:
    """Whether what is made in a folder can be read and written by the user whoever owns it; raises :class:`OSError`."""
    entries = _read(folder)
    return entries.get((_USER, user)) == entries.get((_MASK, _NOBODY)) == _ALL


def let_reach_all(folder: Path | int, user: int) -> None:
    """Let the user reach all that is made in a folder from now on; what else its list says stays. Raises :class:`OSError`."""
    entries = {**_FRESH, **_read(folder), (_USER, user): _ALL, (_MASK, _NOBODY): _ALL}
    packed = (_ENTRY.pack(tag, allowed, whom) for (tag, whom), allowed in sorted(entries.items()))
    os.setxattr(folder, _ATTRIBUTE, _HEADER.pack(_VERSION) + b"".join(packed))


def _read(folder: Path | int) -> _Entries:
    """Return the default access list, empty if there is none."""
    try:
        packed = os.getxattr(folder, _ATTRIBUTE)
    except OSError as error:
        if error.errno not in _NO_LIST:
            raise
        return {}
    return {(tag, whom): allowed for tag, allowed, whom in _ENTRY.iter_unpack(packed[_HEADER.size :])}
