# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: xmpp
short_description: Hypervisors and virtual machines of Archipel, with their live states
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Reads hypervisors and their managed virtual machines from one or several XMPP servers, all at once.
  - The hypervisors are in the group C(archipel_hypervisors), the machines in C(archipel_machines).
  - A server, hypervisor or machine that does not answer is a warning. Those of them that are known by name are in the group
    C(archipel_unreachable); all others are there as ever.
  - The inventory's file must be named C(xmpp.yml) or C(archipel.yml), or end so (also C(.yaml)).
notes:
  - Who may make machines chooses their names, and Ansible knows a host by its name alone. A machine never takes the name of a group
    or of a host that is in the inventory already. Sources that are read later cannot be known, though, and a host of the same name
    there becomes one with the machine, with its variables. With several sources read this one last (the files of a folder are
    read in the order of their names, options C(--inventory) as given), and choose names that nobody else has, such as
    O(host_format="{name}.{hypervisor}") or O(host_format="{jid}").
  - A guest says itself which addresses it has, and Ansible connects to them (O(use_addresses)). Who is administrator of a guest could
    name the address of another host. An address that several tell is used for none of them. O(address_networks) names the networks of your
    guests, and SSH checks the keys of hosts that it knows.
  - Give O(keyed_groups) of what others choose (names, tags) a C(prefix), so that they cannot be groups of yours.
  - The class of a machine is a tag that begins with C(class:), such as C(class:linux-1). A machine may have several.
extends_documentation_fragment:
  - archipel.platform.servers
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
requirements:
  - The Python distribution C(archipel), which is part of this collection, in the Python that runs Ansible.
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices:
      - archipel.platform.xmpp
  gather_addresses:
    description: Whether running machines are asked for the addresses of their guests, which guest agents, leases or ARP tell.
    type: bool
    default: true
  gather_system:
    description:
      - Whether the guest agents of running machines are asked for the system of the guest (right C(guest_info)).
      - C(archipel_system) is all that they tell, C(archipel_os) the short name of the system, such as V(debian).
    type: bool
    default: false
  use_addresses:
    description: Whether C(ansible_host) is the first usable address of a machine or hypervisor. O(compose) comes later and may set another.
    type: bool
    default: true
  address_networks:
    description:
      - The networks in which addresses of guests are used, such as V(192.0.2.0/24).
      - Unless given, all addresses are used that are good beyond one link.
    type: list
    elements: str
    default: []
  guest_connection:
    description:
      - Which machines are reached through their guest agents (C(archipel.platform.guest)) instead of an address.
      - Their variables say how to log in, as this inventory does. A password that stands in the inventory's file is not among them.
        Use O(xmpp_password_file), a O(profile) or the environment.
      - V(without_address) means those without a usable address, and those that are off. Where nobody could tell the addresses,
        nothing is set.
    type: str
    choices:
      - never
      - without_address
      - always
    default: without_address
  filters:
    description:
      - Jinja2 conditions on the variables of a machine. Machines for which one of them does not hold, or cannot be judged, are left out.
      - With O(strict=true) a condition that cannot be judged is an error.
    type: list
    elements: str
    default: []
  host_format:
    description:
      - How hosts are named. There are V({name}), V({uuid}), V({jid}) and V({hypervisor}), the account of the machine's hypervisor.
      - Of several that come out alike, all but the first are named by their JIDs, with a warning. So is who would have the name
        of a group, of a host that another source has named, or of the machine that runs Ansible.
      - Hypervisors have names like machines; their own JID is V({hypervisor}).
    type: str
    default: "{name}"
  default_groups:
    description:
      - Of what groups are made without being asked for, each with the kind and C(_) before the name, such as C(state_running).
      - V(class) takes the tags that begin with C(class:), V(os) the system that O(gather_system) brings.
    type: list
    elements: str
    choices:
      - state
      - tag
      - hypervisor
      - owner
      - class
      - os
    default:
      - state
      - tag
      - hypervisor
      - owner
      - class
      - os
"""

EXAMPLES = r"""
---
# The smallest one: the account, its password and its server come from the environment, the hypervisors from its contacts.
plugin: archipel.platform.xmpp

---
# Two servers, only the running machines of a course, in two networks.
plugin: archipel.platform.xmpp
xmpp_ca_file: /etc/ssl/certs/campus.pem
servers:
  - xmpp_jid: teacher@north.example.org
    xmpp_password_file: ~/.north
    hypervisors:
      - hypervisor1@north.example.org
      - hypervisor2@north.example.org
  - xmpp_jid: teacher@south.example.org
    xmpp_password: "{{ lookup('ansible.builtin.env', 'SOUTH_PASSWORD') }}"
filters:
  - archipel_state == 'running'
  - "'course-101' in archipel_tags"
# Names that no other source of the inventory has, whatever students call their machines.
host_format: "{name}.{hypervisor}"
address_networks:
  - 192.0.2.0/24
  - 2001:db8:7::/48
groups:
  big: archipel_memory >= 4096
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: /tmp/archipel-inventory

---
# A classroom whose seats have no way out: all of them through their guest agents. Groups by class, by system and version of the guests,
# and by the owner's name without the domain.
plugin: archipel.platform.xmpp
guest_connection: always
gather_addresses: false
gather_system: true
filters:
  - archipel_classes | length > 0
default_groups:
  - class
keyed_groups:
  - key: (archipel_system.os ~ ' ' ~ archipel_system.version) if archipel_system is defined else []
    prefix: system
    parent_group: guests
  - key: archipel_owner.partition('@')[0] if archipel_owner is defined else []
    prefix: seat_of
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.archipel.platform.plugins.module_utils.environment import without_empty_variables
from ansible_collections.archipel.platform.plugins.plugin_utils.host_names import HostNames
from ansible_collections.archipel.platform.plugins.plugin_utils.host_variables import (
    LOGIN_OPTIONS,
    UNREACHABLE,
    Ways,
    hypervisor_variables,
    machine_variables,
    name_groups,
    names_of,
)
from ansible_collections.archipel.platform.plugins.plugin_utils.rehearsal import ON_TRIAL, Rehearsal, Steps, repeat_steps

HYPERVISORS = "archipel_hypervisors"
MACHINES = "archipel_machines"
UNREACHABLE_GROUP = "archipel_unreachable"
# What one server's entry may say; the rest of the options is about the inventory as a whole.
SECRET_OPTIONS = ("xmpp_password", "xmpp_password_file", "profile")
ENDPOINT_OPTIONS = (*LOGIN_OPTIONS, *SECRET_OPTIONS, "hypervisors")
Survey = dict[str, Any]
FILE_ENDINGS = ("xmpp.yml", "xmpp.yaml", "archipel.yml", "archipel.yaml")


class Member(NamedTuple):
    """A hypervisor or machine that is to be a host of a group, with its variables."""

    group: str
    entity: Mapping[str, Any]
    variables: dict[str, Any]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "archipel.platform.xmpp"

    inventory: InventoryData

    def verify_file(self, path: str) -> bool:
        """Whether the file is one for this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(FILE_ENDINGS)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory."""
        super().parse(inventory, loader, path, cache=cache)
        self._read_config_data(path)
        survey = self._recall_or_survey(path, cache)
        for failure in survey["failures"]:
            self.display.warning(f"Archipel inventory {path}: {failure}")
        self._populate(survey)

    def set_options(self, *arguments: Any, **named: Any) -> None:
        """Read the options; an empty variable of the environment is none."""
        with without_empty_variables():
            super().set_options(*arguments, **named)

    # -- what to ask ----------------------------------------------------------------------------------------------------

    def _endpoints(self) -> list[dict[str, Any]]:
        """Return the servers to ask, each with all that is said of it."""
        own = {name: self._option(name) for name in ENDPOINT_OPTIONS}
        common = {name: self.get_option(name) for name in ("endpoint_timeout", "gather_addresses", "gather_system")}
        return [{**common, **own, **_without_other_secrets(entry)} for entry in self._servers()]

    def _servers(self) -> list[dict[str, Any]]:
        servers = self.get_option("servers")
        if servers is None:
            return [{}]
        for number, entry in enumerate(servers):
            unknown = sorted(set(entry) - set(ENDPOINT_OPTIONS))
            if unknown:
                raise AnsibleParserError(f"servers[{number}]: {unknown[0]} is no option; there are {', '.join(ENDPOINT_OPTIONS)}")
        return [{name: self._template(value) for name, value in entry.items() if value is not None} for entry in servers]

    def _option(self, name: str) -> Any:
        return self._template(self.get_option(name))

    def _template(self, value: Any) -> Any:
        return self.templar.template(value) if isinstance(value, str) and self.templar.is_template(value) else value

    # -- asking ---------------------------------------------------------------------------------------------------------

    def _recall_or_survey(self, path: str, cache: bool) -> Survey:
        """Return what the cache has, or else ask; an incomplete answer is not kept."""
        key, keep = self.get_cache_key(path), self.get_option("cache")
        if keep and cache and key in self._cache:
            recalled: Survey = self._cache[key]
            return recalled
        survey = self._survey()
        if keep and not survey["failures"]:
            self._cache[key] = survey
        return survey

    def _survey(self) -> Survey:
        """Ask the servers. What that needs is imported here: what the cache has is shown without."""
        from ansible_collections.archipel.platform.plugins.module_utils import library

        if library.MISSING is not None:
            raise AnsibleParserError(library.missing_library(str(Path(__file__).parents[2])))
        from ansible_collections.archipel.platform.plugins.plugin_utils.survey import survey_all

        return survey_all(self._endpoints())

    # -- filling in -----------------------------------------------------------------------------------------------------

    def _populate(self, survey: Survey) -> None:
        for group in (HYPERVISORS, MACHINES, UNREACHABLE_GROUP):
            self.inventory.add_group(group)
        ways = self._find_ways(survey)
        members, rehearsed = list(self._members(survey, ways)), dict[int, Steps]()
        for position, name in self._choose_names(members, rehearsed).items():
            repeat_steps(rehearsed[position], self.inventory, name)
        self._object(ways.objections)

    def _find_ways(self, survey: Survey) -> Ways:
        options = (self.get_option(name) for name in ("use_addresses", "address_networks", "guest_connection"))
        try:
            return Ways(survey["hypervisors"], self._endpoints, *options)
        except ValueError as error:
            raise AnsibleParserError(f"address_networks: {error}") from error

    def _object(self, objections: list[str]) -> None:
        for objection in objections:
            self.display.warning(f"Archipel inventory: {objection}")

    def _members(self, survey: Survey, ways: Ways) -> Iterator[Member]:
        """Yield what is to be a host; hypervisors first, so that no machine takes the name of one."""
        for hypervisor in survey["hypervisors"]:
            yield Member(HYPERVISORS, hypervisor, {**hypervisor_variables(hypervisor), **ways.to_hypervisor(hypervisor)})
        for hypervisor in survey["hypervisors"]:
            for machine, variables in self._chosen(hypervisor["machines"]):
                yield Member(MACHINES, machine, {**variables, **ways.to_machine(machine, hypervisor.get("server", 0))})

    def _chosen(self, machines: list[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
        """Yield the machines that no filter leaves out, with their variables; who does not answer cannot be judged, and stays."""
        for machine in machines:
            variables = machine_variables(machine)
            if machine["state"] == UNREACHABLE or all(self._holds(condition, variables) for condition in self.get_option("filters")):
                yield machine, variables

    def _holds(self, condition: str, variables: Mapping[str, Any]) -> bool:
        """Whether a condition holds; one that cannot be judged does not, or is an error if the inventory is strict."""
        self.templar.available_variables = dict(variables)
        try:
            return bool(self.templar.evaluate_conditional(condition))
        except AnsibleError as error:
            if self.get_option("strict"):
                raise AnsibleParserError(f"filters: {condition!r} cannot be judged for {variables['archipel_name']}: {error}") from error
            return False

    def _add(self, host: str, member: Member) -> None:
        for group in (member.group, *((UNREACHABLE_GROUP,) if member.entity["state"] == UNREACHABLE else ())):
            self.inventory.add_group(group)
            self.inventory.add_host(host, group)
        for name, value in member.variables.items():
            self.inventory.set_variable(host, name, value)
        self._construct(host, member.variables)

    def _choose_names(self, members: list[Member], rehearsed: dict[int, Steps]) -> dict[int, str]:
        """Return the names of hosts by their positions in the list; ``rehearsed`` gets what makes hosts of them."""

        def find_groups(names: Mapping[int, str]) -> set[str]:
            rehearsal = Rehearsal(self.inventory.current_source)
            for position, name in names.items():
                rehearsed[position] = self._rehearse(rehearsal, name, members[position])
            return set(rehearsal.groups)

        jids = [str(member.entity["jid"]) for member in members]
        wanted = [self._format_name(member.entity) for member in members]
        names = HostNames(jids, wanted, self.inventory.hosts, set(self.inventory.groups), find_groups)
        chosen = names.choose()
        self._object(names.objections)
        return chosen

    def _format_name(self, entity: Mapping[str, Any]) -> str:
        try:
            return str(self.get_option("host_format").format(**names_of(entity)))
        except (KeyError, IndexError, ValueError) as error:
            raise AnsibleParserError(f"host_format: there are {', '.join(names_of(entity))}, not {error}") from error

    def _rehearse(self, rehearsal: Rehearsal, name: str, member: Member) -> Steps:
        """Return what makes a host of a member, tried out where a name that means something else does no harm."""
        real, self.inventory = self.inventory, rehearsal
        try:
            self._add(rehearsal.begin(name), member)
        except AnsibleError as error:
            raise AnsibleParserError(str(error).replace(ON_TRIAL, name)) from error
        finally:
            self.inventory = real
        return rehearsal.steps

    def _construct(self, host: str, variables: Mapping[str, Any]) -> None:
        strict, variables = self.get_option("strict"), dict(variables)
        for name in name_groups(variables, self.get_option("default_groups")):
            self.inventory.add_host(host, self.inventory.add_group(self._sanitize_group_name(name)))
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)


def _without_other_secrets(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a server's entry that says how it logs in so that no common secret comes before its own."""
    own = set(SECRET_OPTIONS) & set(entry)
    return {**dict.fromkeys(SECRET_OPTIONS if own else ()), **entry}
