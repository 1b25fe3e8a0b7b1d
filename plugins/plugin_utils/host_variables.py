# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of an inventory's hosts: what was read of an entity, and how Ansible gets there."""

from __future__ import annotations

import functools
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The options of a login that is no secret, as module_utils/connection.py takes them, which imports more than a cached inventory needs.
from ansible_collections.archipel.platform.plugins.plugin_utils.host_names import leads_here, read_address

LOGIN_OPTIONS = (
    "xmpp_jid",
    "xmpp_host",
    "xmpp_port",
    "xmpp_ca_file",
    "xmpp_pubsub_service",
    "xmpp_allow_plain",
    "insecure_plaintext",
    "timeout",
)
UNREACHABLE = "unreachable"
IDENTITY = ("name", "uuid", "jid", "hypervisor", "state", "tags", "organisation", "addresses")
RESOURCES = ("memory", "max_memory", "vcpus", "autostart")
CLASS = "class:"  # how a tag begins that says which class a machine belongs to
GUEST_CONNECTION = "archipel.platform.guest"
FILES = ("xmpp_password_file", "xmpp_ca_file")
NEVER, WITHOUT_ADDRESS, ALWAYS = "never", "without_address", "always"
INACTIVE = ("off", "crashed", "not defined")  # as archipel.client.MachineState has them
Entity = Mapping[str, Any]


def names_of(entity: Entity) -> dict[str, str]:
    """Return what a host's name can be made of."""
    hypervisor = entity.get("hypervisor", entity["jid"])
    return {"name": entity["name"], "uuid": entity.get("uuid") or entity["name"], "jid": entity["jid"], "hypervisor": hypervisor}


def hypervisor_variables(hypervisor: Entity) -> dict[str, Any]:
    """Return the variables of a hypervisor."""
    parts = (*IDENTITY, "full_jid", "node")
    return {"archipel_kind": "hypervisor", "archipel_hypervisor": hypervisor["jid"], **_prefixed(hypervisor, parts), **_owner(hypervisor)}


def machine_variables(machine: Entity) -> dict[str, Any]:
    """Return the variables of a machine; what is not known is not there."""
    known = {**_prefixed(machine, (*IDENTITY, *RESOURCES, "system")), **_owner(machine)}
    classes = [tag.removeprefix(CLASS) for tag in machine.get("tags", ()) if tag.startswith(CLASS) and tag != CLASS]
    system = (machine.get("system") or {}).get("os")
    return {"archipel_kind": "machine", **known, "archipel_classes": classes, **({"archipel_os": system} if system else {})}


def _prefixed(entity: Entity, parts: tuple[str, ...]) -> dict[str, Any]:
    return {f"archipel_{part}": entity[part] for part in parts if entity.get(part) is not None}


def _owner(entity: Entity) -> dict[str, Any]:
    owner = (entity.get("organisation") or {}).get("userid")
    return {"archipel_owner": owner} if owner else {}


def name_groups(variables: Mapping[str, Any], kinds: Sequence[str]) -> Iterator[str]:
    """Yield the names of the groups of these kinds that a host is in.

    Ansible's ``keyed_groups`` could say the same, but compile their expressions anew for each host: a second for 200 hosts.
    """
    known: dict[str, Sequence[str]] = {
        "state": [variables["archipel_state"]],
        "tag": variables.get("archipel_tags", ()),
        "hypervisor": [variables["archipel_hypervisor"].partition("@")[0]],
        "owner": [variables["archipel_owner"]] if "archipel_owner" in variables else (),
        "class": variables.get("archipel_classes", ()),
        "os": [variables["archipel_os"]] if "archipel_os" in variables else (),
    }
    return (f"{kind}_{value}" for kind in kinds for value in known[kind])


@dataclass
class Ways:
    """How Ansible gets to hosts: by the address that a guest has, or through the guest agent of its machine.

    ``networks`` (CIDR) are those in which addresses of guests are believed; none means all. ``guests`` says which machines are reached
    through their guest agents, ``read_logins`` returns those of the servers, by their numbers. Addresses are the guests' word: one
    that several tell is not used for a machine, and told in ``objections``. Raises :class:`ValueError` for what is no network.
    """

    hypervisors: Sequence[Entity]
    read_logins: Callable[[], Sequence[Mapping[str, Any]]]
    use_addresses: bool = True
    networks: Sequence[str] = ()
    guests: str = WITHOUT_ADDRESS
    objections: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._networks = [ipaddress.ip_network(network) for network in self.networks]
        machines = [machine for hypervisor in self.hypervisors for machine in hypervisor["machines"]]
        entities = (*self.hypervisors, *machines)
        told = {(read_address(address), entity["jid"]) for entity in entities for address in entity.get("addresses") or ()}
        self._shared = {address for address, count in Counter(address for address, _jid in told).items() if count > 1}

    def to_hypervisor(self, hypervisor: Entity) -> dict[str, Any]:
        """Return the variables that lead to a hypervisor itself."""
        return self._by_address([address for address in hypervisor.get("addresses") or () if _is_elsewhere(address)])

    def to_machine(self, machine: Entity, server: int) -> dict[str, Any]:
        """Return the variables that lead into a machine's guest."""
        usable = list(self._usable(machine))
        if self.guests == ALWAYS or (self.guests == WITHOUT_ADDRESS and not usable and _has_told(machine)):
            return {"ansible_connection": GUEST_CONNECTION, **self._logins[server]}
        return self._by_address(usable)

    @functools.cached_property
    def _logins(self) -> list[dict[str, Any]]:
        return [login_variables(login) for login in self.read_logins()]

    def _by_address(self, usable: Sequence[str]) -> dict[str, Any]:
        return {"ansible_host": usable[0]} if self.use_addresses and usable else {}

    def _usable(self, machine: Entity) -> Iterator[str]:
        for address in machine.get("addresses") or ():
            if read_address(address) in self._shared:
                self.objections.append(f"{machine['jid']} tells the address {address}, and so does another: it is not used")
            elif _is_elsewhere(address) and (not self._networks or any(read_address(address) in network for network in self._networks)):
                yield address


def _is_elsewhere(address: str) -> bool:
    """Whether an address is that of one other host."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False  # where names are resolved it may be one all the same, with anything behind a blank
    found = read_address(address)
    if found is None or "%" in address:  # what is behind it names a card of one host
        return False
    return not (leads_here(found) or found.is_link_local or found.is_multicast)


def _has_told(machine: Entity) -> bool:
    """Whether all addresses of a machine are known: it was asked, or is off and has none."""
    return machine.get("addresses") is not None or machine["state"] in INACTIVE


def login_variables(login: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the guest connection has to know to log in where the inventory did, but for a password."""
    told = {name: login.get(name) for name in (*LOGIN_OPTIONS, "xmpp_password_file", "profile")}
    whole = {name: str(Path(value).expanduser().absolute()) if name in FILES and value else value for name, value in told.items()}
    return {f"ansible_archipel_{name}": value for name, value in whole.items() if value is not None}
