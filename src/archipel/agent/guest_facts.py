# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest says of itself, put into the protocol's words: as much as makes sense, and never more than fits."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, Final

from archipel.agent.virt.guest_agent import clean
from archipel.protocol.guest import GuestFilesystem, GuestInterface, GuestSystem, GuestUser, InterfaceAddress

MOST, MOST_ADDRESSES = 32, 16  # interfaces, users, file systems; addresses of one interface: all of it fits in a stanza
LONGEST: Final = 100  # characters of a name
_NAMES: Final = {
    "hostname": "hostname",
    "os": "os.id",
    "name": "os.pretty-name",
    "version": "os.version-id",
    "kernel": "os.kernel-release",
    "machine": "os.machine",
    "timezone": "timezone.name",
}


def describe(facts: Mapping[str, Any], time: float | None) -> GuestSystem:
    """Return the answer for what virDomainGetGuestInfo brought."""
    return GuestSystem(
        **{field: _text(facts, name) for field, name in _NAMES.items()},
        offset=_number(facts, "timezone.offset"),
        time=None if time is None else round(time, 3),
        interfaces=tuple(_interface(facts, prefix) for prefix in _items(facts, "if")),
        users=tuple(_user(facts, prefix) for prefix in _items(facts, "user")),
        filesystems=tuple(_filesystem(facts, prefix) for prefix in _items(facts, "fs")),
    )


def _interface(facts: Mapping[str, Any], prefix: str) -> GuestInterface:
    addresses = (_address(facts, item) for item in _items(facts, f"{prefix}.addr", MOST_ADDRESSES))
    return GuestInterface(
        name=_text(facts, f"{prefix}.name") or "",
        mac=_text(facts, f"{prefix}.hwaddr") or "",
        addresses=tuple(address for address in addresses if address is not None),
    )


def _address(facts: Mapping[str, Any], prefix: str) -> InterfaceAddress | None:
    return read_address(str(facts.get(f"{prefix}.addr")), _number(facts, f"{prefix}.prefix") or 0)


def read_address(told: str, length: int) -> InterfaceAddress | None:
    """Return an address that somebody told, ``None`` for what is none; behind a ``%`` anything could stand, and nothing is said by it."""
    try:
        address = ipaddress.ip_address(told)
    except ValueError:
        return None
    if "%" in told:
        return None
    return InterfaceAddress(address=str(address), prefix=length if 0 <= length <= address.max_prefixlen else 0)


def _user(facts: Mapping[str, Any], prefix: str) -> GuestUser:
    login = _number(facts, f"{prefix}.login-time")
    return GuestUser(
        name=_text(facts, f"{prefix}.name") or "",
        domain=_text(facts, f"{prefix}.domain") or "",
        login_time=None if login is None else login / 1000,
    )


def _filesystem(facts: Mapping[str, Any], prefix: str) -> GuestFilesystem:
    return GuestFilesystem(
        mountpoint=_text(facts, f"{prefix}.mountpoint") or "",
        type=_text(facts, f"{prefix}.fstype") or "",
        total=_number(facts, f"{prefix}.total-bytes"),
        used=_number(facts, f"{prefix}.used-bytes"),
    )


def _items(facts: Mapping[str, Any], name: str, most: int = MOST) -> Iterator[str]:
    """Yield what the names of each item of a list begin with."""
    count = _number(facts, f"{name}.count") or 0
    return (f"{name}.{number}" for number in range(min(count, most)))


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    return clean(value[:LONGEST]) if isinstance(value, str) else None


def _number(facts: Mapping[str, Any], name: str) -> int | None:
    value = facts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64 else None
