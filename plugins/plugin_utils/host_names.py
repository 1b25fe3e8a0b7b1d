# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts may be named as they wish.

Who makes a machine chooses its name, and Ansible knows hosts and groups by nothing but names: what is set for a host called like a
group is set for the group (``InventoryData.set_variable`` looks for groups first). A name that means anything else already is
therefore refused, and the entity named by its JID, which nobody can choose.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

from ansible import constants

LOOPBACK_DOMAINS = ("localhost", "localhost.localdomain")  # the second is Red Hat's; what ends in .localhost: RFC 6761, 6.3


@dataclass
class HostNames:
    """The names of an inventory's hosts.

    ``jids`` are the entities to name, ``wanted`` the names they would have. ``hosts`` and ``groups`` are those that the inventory has
    already; ``find_groups`` returns those that there will be when entities (by their positions) have these names.
    ``objections`` tells why somebody did not get the wanted name, for the user.
    """

    jids: list[str]
    wanted: list[str]
    hosts: Container[str]
    groups: set[str]
    find_groups: Callable[[Mapping[int, str]], set[str]]
    objections: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._all_jids = frozenset(self.jids)

    def choose(self) -> dict[int, str]:
        """Return the entities' names by their positions; who cannot even be named by its JID is left out.

        A name that was given up may have made groups, and so may the one that took its place: it is looked at until nothing changes.
        """
        names = changed = dict(enumerate(self.wanted))
        while changed:
            self.groups |= self.find_groups(changed)
            changed = {}
            for position, reason in self._find_objections(names).items():
                self._give_way(position, reason, names, changed)
        return names

    def _find_objections(self, names: Mapping[int, str]) -> dict[int, str]:
        taken: set[str] = set()
        found = {}
        for position, name in names.items():
            reason = self._object_to(name, self.jids[position], taken)
            if reason:
                found[position] = reason
            else:
                taken.add(name)
        return found

    def _object_to(self, name: str, jid: str, taken: set[str]) -> str | None:
        """Return why an entity cannot have a name."""
        reasons = {
            "the name is empty": not name,
            f"{name!r} is the machine that runs Ansible": is_own_machine(name if name == jid else name.rpartition("@")[2]),
            f"{name!r} would be a path beside host_vars": os.sep in name,
            f"{name!r} would be an option of ssh": name.startswith("-"),
            f"there is a group {name!r}": name in self.groups,
            f"{name!r} is the JID of another": name != jid and name in self._all_jids,
            f"there is a host {name!r} already": name in self.hosts or name in taken,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def _give_way(self, position: int, reason: str, names: dict[int, str], changed: dict[int, str]) -> None:
        jid = self.jids[position]
        if names[position] == jid:
            del names[position]
            self.objections.append(f"{reason}; {jid} is left out")
        else:
            names[position] = changed[position] = jid
            self.objections.append(f"{reason}; {jid} is named by its JID")


def is_own_machine(name: str) -> bool:
    """Whether a name means the machine that runs Ansible: to Ansible itself, or wherever names are resolved."""
    domain = name.casefold().rstrip(".")
    if name in constants.LOCALHOST or domain in LOOPBACK_DOMAINS or domain.endswith(".localhost"):
        return True
    address = read_address(domain)
    return address is not None and leads_here(address)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def read_address(text: str) -> Address | None:
    """Return the address that a text is where names are resolved, which take C(127.1) and C(2130706433), too; None: it is none."""
    try:
        found: Address = ipaddress.ip_address(text)
    except ValueError:
        try:
            found = ipaddress.IPv4Address(socket.inet_aton(text))
        except (OSError, ValueError):
            return None
    return getattr(found, "ipv4_mapped", None) or found


def leads_here(address: Address) -> bool:
    """Whether who connects to an address gets no further than himself; to the address of nobody is to oneself."""
    return address.is_loopback or address.is_unspecified
