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
  - Without C(ansible_host) Ansible connects to whatever has the host's name; O(compose) can set it.
  - Give O(keyed_groups) of what others choose (names, tags) a C(prefix), so that they cannot be groups of yours.
extends_documentation_fragment:
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
  xmpp_jid:
    description: The account to log in with.
    type: str
    env:
      - name: ARCHIPEL_JID
  xmpp_password:
    description:
      - The password of the account. May be a template.
      - If neither this nor O(xmpp_password_file) is given, the secret of the O(profile) is used if the account is the profile's,
        else the environment variable E(ARCHIPEL_PASSWORD) or E(ARCHIPEL_PASSWORD_FILE).
    type: str
  xmpp_password_file:
    description: A file whose first line is the password of the account. Only its owner may be able to read it.
    type: path
  xmpp_host:
    description: Name or address of the XMPP server; the domain's SRV records decide unless given.
    type: str
    env:
      - name: ARCHIPEL_HOST
  xmpp_port:
    description: The port of O(xmpp_host); V(5222) unless given.
    type: int
    env:
      - name: ARCHIPEL_PORT
  xmpp_ca_file:
    description: Certificates (PEM) of the authorities to trust in place of the system's.
    type: path
    env:
      - name: ARCHIPEL_CA_FILE
  xmpp_pubsub_service:
    description: The address of the publish-subscribe service; C(pubsub.) and the account's domain unless given.
    type: str
    env:
      - name: ARCHIPEL_PUBSUB_SERVICE
  xmpp_allow_plain:
    description: Permit the mechanism PLAIN inside TLS, for accounts that the server takes from LDAP.
    type: bool
  insecure_plaintext:
    description: Do without TLS. For a test on loopback.
    type: bool
  profile:
    description: The name of a login that C(archipel login) stored.
    type: str
    env:
      - name: ARCHIPEL_PROFILE
  timeout:
    description: How many seconds an entity may take to answer one request; V(30) unless given.
    type: float
  hypervisors:
    description:
      - The accounts of the hypervisors to read.
      - Unless given, those of the O(profile), or else those among the account's contacts.
    type: list
    elements: str
    env:
      - name: ARCHIPEL_HYPERVISOR
  servers:
    description:
      - Several servers. The options of the same names beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      xmpp_jid:
        description: The account to log in with.
        type: str
      xmpp_password:
        description: Its password. May be a template.
        type: str
      xmpp_password_file:
        description: A file whose first line is the password.
        type: path
      xmpp_host:
        description: Name or address of the server.
        type: str
      xmpp_port:
        description: Its port.
        type: int
      xmpp_ca_file:
        description: Certificates (PEM) of the authorities to trust.
        type: path
      xmpp_pubsub_service:
        description: The address of the publish-subscribe service.
        type: str
      xmpp_allow_plain:
        description: Permit the mechanism PLAIN inside TLS.
        type: bool
      insecure_plaintext:
        description: Do without TLS.
        type: bool
      profile:
        description: The name of a stored login.
        type: str
      timeout:
        description: How many seconds an answer may take.
        type: float
      hypervisors:
        description: The accounts of the hypervisors.
        type: list
        elements: str
  endpoint_timeout:
    description: How many seconds one server may take for everything.
    type: float
    default: 60
  gather_addresses:
    description: Whether running machines are asked for the addresses of their guests.
    type: bool
    default: true
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
  keyed_groups:
    default:
      - key: archipel_state
        prefix: state
      - key: archipel_tags
        prefix: tag
      - key: archipel_hypervisor.partition('@')[0]
        prefix: hypervisor
"""

EXAMPLES = r"""
---
# The smallest one: the account, its password and its server come from the environment, the hypervisors from its contacts.
plugin: archipel.platform.xmpp

---
# Two servers, only the running machines of a course, reachable by their first address.
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
compose:
  ansible_host: archipel_addresses | first
groups:
  big: archipel_memory >= 4096
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: /tmp/archipel-inventory
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.archipel.platform.plugins.module_utils.connection import SETTING_ARGUMENTS
from ansible_collections.archipel.platform.plugins.module_utils.library import MISSING, missing_library
from ansible_collections.archipel.platform.plugins.plugin_utils.host_names import HostNames
from ansible_collections.archipel.platform.plugins.plugin_utils.rehearsal import ON_TRIAL, Rehearsal, Steps, repeat_steps
from ansible_collections.archipel.platform.plugins.plugin_utils.survey import UNREACHABLE, Survey, survey_all

HYPERVISORS = "archipel_hypervisors"
MACHINES = "archipel_machines"
UNREACHABLE_GROUP = "archipel_unreachable"
# What one server's entry may say; the rest of the options is about the inventory as a whole.
SECRET_OPTIONS = ("xmpp_password", "xmpp_password_file", "profile")
ENDPOINT_OPTIONS = (*SETTING_ARGUMENTS, *SECRET_OPTIONS, "hypervisors")
IDENTITY = ("name", "uuid", "jid", "hypervisor", "state", "tags", "organisation", "addresses")
RESOURCES = ("memory", "max_memory", "vcpus", "autostart")
FILE_ENDINGS = ("xmpp.yml", "xmpp.yaml", "archipel.yml", "archipel.yaml")


class Member(NamedTuple):
    """A hypervisor or machine that is to be a host of a group, with its variables."""

    group: str
    entity: Mapping[str, Any]
    variables: dict[str, Any]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "archipel.platform.xmpp"

    def verify_file(self, path: str) -> bool:
        """Whether the file is one for this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(FILE_ENDINGS)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory."""
        super().parse(inventory, loader, path, cache=cache)
        if MISSING is not None:
            raise AnsibleParserError(missing_library(str(Path(__file__).parents[2])))
        self._read_config_data(path)
        survey = self._recall_or_survey(path, cache)
        for failure in survey["failures"]:
            self.display.warning(f"Archipel inventory {path}: {failure}")
        self._populate(survey)

    # -- what to ask ----------------------------------------------------------------------------------------------------

    def _endpoints(self) -> list[dict[str, Any]]:
        """Return the servers to ask, each with all that is said of it."""
        own = {name: self._option(name) for name in ENDPOINT_OPTIONS}
        common = {name: self.get_option(name) for name in ("endpoint_timeout", "gather_addresses")}
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
            return self._cache[key]
        survey = survey_all(self._endpoints())
        if keep and not survey["failures"]:
            self._cache[key] = survey
        return survey

    # -- filling in -----------------------------------------------------------------------------------------------------

    def _populate(self, survey: Survey) -> None:
        for group in (HYPERVISORS, MACHINES, UNREACHABLE_GROUP):
            self.inventory.add_group(group)
        members, rehearsed = list(self._members(survey)), dict[int, Steps]()
        for position, name in self._choose_names(members, rehearsed).items():
            repeat_steps(rehearsed[position], self.inventory, name)

    def _members(self, survey: Survey) -> Iterator[Member]:
        """Yield what is to be a host; hypervisors first, so that no machine takes the name of one."""
        for hypervisor in survey["hypervisors"]:
            yield Member(HYPERVISORS, hypervisor, hypervisor_variables(hypervisor))
        for hypervisor in survey["hypervisors"]:
            for machine, variables in self._chosen(hypervisor["machines"]):
                yield Member(MACHINES, machine, variables)

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
        for objection in names.objections:
            self.display.warning(f"Archipel inventory: {objection}")
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
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)


def _without_other_secrets(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a server's entry that says how it logs in so that no common secret comes before its own."""
    own = set(SECRET_OPTIONS) & set(entry)
    return {**dict.fromkeys(SECRET_OPTIONS if own else ()), **entry}


def names_of(entity: Mapping[str, Any]) -> dict[str, str]:
    """Return what a host's name can be made of."""
    hypervisor = entity.get("hypervisor", entity["jid"])
    return {"name": entity["name"], "uuid": entity.get("uuid") or entity["name"], "jid": entity["jid"], "hypervisor": hypervisor}


def hypervisor_variables(hypervisor: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a hypervisor."""
    parts = (*IDENTITY, "full_jid", "node")
    return {"archipel_kind": "hypervisor", "archipel_hypervisor": hypervisor["jid"], **_prefixed(hypervisor, parts), **_owner(hypervisor)}


def machine_variables(machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a machine; what is not known is not there."""
    return {"archipel_kind": "machine", **_prefixed(machine, (*IDENTITY, *RESOURCES)), **_owner(machine)}


def _prefixed(entity: Mapping[str, Any], parts: tuple[str, ...]) -> dict[str, Any]:
    return {f"archipel_{part}": entity[part] for part in parts if entity.get(part) is not None}


def _owner(entity: Mapping[str, Any]) -> dict[str, Any]:
    owner = (entity.get("organisation") or {}).get("userid")
    return {"archipel_owner": owner} if owner else {}
