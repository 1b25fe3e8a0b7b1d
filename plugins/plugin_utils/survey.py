# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What there is on several XMPP servers, all asked at once; plain dictionaries and lists, so that they can be cached.

Whatever cannot be read is left out and told in ``failures``: a server that is down does not hide the others. What the account
may not see (a missing right) is ``None``, and no failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_settings
from ansible_collections.archipel.platform.plugins.module_utils.machine.host import WORTHWHILE
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import describe_resources, is_active
from ansible_collections.archipel.platform.plugins.plugin_utils.host_names import leads_here, read_address
from ansible_collections.archipel.platform.plugins.plugin_utils.host_variables import UNREACHABLE

try:
    from archipel.client import MachineEntry, MachineState, NotOnline, Session, VirtualMachine
    from archipel.client.failures import EXPECTED, describe
    from archipel.client.profile import ProfileFile
    from archipel.protocol.declaration import Part
    from archipel.protocol.errors import CommandError, PermissionDenied
    from archipel.xmpp.errors import NoAnswer
except ImportError:
    pass  # the inventory plugin tells the user, see module_utils/library.py

if TYPE_CHECKING:
    from archipel.client import Hypervisor
    from archipel.client.declaration import MachineDescription
    from archipel.protocol.vcard import Organisation
    from archipel.protocol.virtual_machine import Info

T = TypeVar("T")
Survey = dict[str, Any]
SYSTEM = ("os", "name", "version", "kernel", "machine", "hostname")  # of archipel.protocol.guest.GuestSystem


def survey_all(endpoints: Sequence[Mapping[str, Any]]) -> Survey:
    """Return the hypervisors with their machines, and the failures, of all endpoints (arguments as those of modules).

    ``server`` of a hypervisor is the number of its endpoint.
    """

    async def survey_at_once() -> list[Survey]:
        return await asyncio.gather(*(survey_endpoint(endpoint) for endpoint in endpoints))

    surveys = asyncio.run(survey_at_once())
    for number, survey in enumerate(surveys):
        for hypervisor in survey["hypervisors"]:
            hypervisor["server"] = number
    return {part: [item for survey in surveys for item in survey[part]] for part in ("hypervisors", "failures")}


async def survey_endpoint(endpoint: Mapping[str, Any]) -> Survey:
    """Return what there is on one server, within its time."""
    wanted = list(endpoint.get("hypervisors") or ())
    try:
        settings = connection_settings(endpoint)
        async with asyncio.timeout(endpoint["endpoint_timeout"]):
            async with Session(settings) as session:
                wanted = wanted or await _find_hypervisors(session, endpoint)
                tags = await session.tags()
                surveys = await asyncio.gather(*(_survey_hypervisor(session, jid, tags, endpoint) for jid in wanted))
    except (*EXPECTED, ValueError) as error:
        place = str(endpoint.get("xmpp_jid") or endpoint.get("profile") or "the server")
        reason = str(error) if not isinstance(error, TimeoutError) else f"no answer within {endpoint['endpoint_timeout']:g} s"
        return {"hypervisors": [_unreachable(jid) for jid in wanted], "failures": [f"{place}: {reason or type(error).__name__}"]}
    return {
        "hypervisors": [survey["hypervisor"] for survey in surveys],
        "failures": [failure for survey in surveys for failure in survey["failures"]],
    }


async def _find_hypervisors(session: Session, endpoint: Mapping[str, Any]) -> list[str]:
    """Return the hypervisors of the profile, or else those among the account's contacts."""
    profile = endpoint.get("profile")
    return list((ProfileFile().load(profile).hypervisors if profile else ()) or await session.find_hypervisors())


def _unreachable(jid: str, name: str = "") -> dict[str, Any]:
    return {"jid": jid, "name": name or jid.partition("@")[0], "state": UNREACHABLE, "machines": []}


async def _read_kept_name(hypervisor: Hypervisor) -> str:
    """Return the name of a hypervisor that does not answer: the server keeps its vCard."""
    try:
        return (await hypervisor.vcard()).name
    except EXPECTED:
        return ""


async def _survey_hypervisor(session: Session, jid: str, tags: Mapping[str, Any], endpoint: Mapping[str, Any]) -> Survey:
    """Return one hypervisor with its machines; one that does not answer is a failure of its own."""
    hypervisor = session.hypervisor(jid)
    try:
        full, card = await asyncio.gather(hypervisor.full_jid(), hypervisor.vcard())
        node, address, entries = await asyncio.gather(
            _if_permitted(hypervisor.node_info()), _if_permitted(hypervisor.ip_address()), hypervisor.machines()
        )
    except EXPECTED as error:
        unreachable = _unreachable(hypervisor.bare, await _read_kept_name(hypervisor))
        return {"hypervisor": unreachable, "failures": [f"{hypervisor.bare}: {describe(error)}"]}
    managed = [entry for entry in entries if entry.managed]
    described = await _describe_machines(hypervisor, managed, endpoint)
    machines = await asyncio.gather(*(_survey_machine(hypervisor, entry, tags, endpoint, described.get(entry.uuid)) for entry in managed))
    found = {
        "jid": hypervisor.bare,
        "full_jid": full,
        "name": card.name or str(hypervisor.jid.node),
        "state": "online",
        "node": node and asdict(node),
        "addresses": [address] if address else [],
        "organisation": asdict(card.organisation),
        "tags": sorted(tags.get(hypervisor.bare, ())),
        "machines": [machine["machine"] for machine in machines],
    }
    return {"hypervisor": found, "failures": [failure for machine in machines for failure in machine["failures"]]}


async def _describe_machines(
    hypervisor: Hypervisor, entries: list[MachineEntry], endpoint: Mapping[str, Any]
) -> dict[str, MachineDescription]:
    """Return what the hypervisor tells of its machines in their stead; what it does not is asked of them, who say why."""
    if len(entries) < WORTHWHILE:
        return {}
    of_guests = [part for part, option in ((Part.ADDRESSES, "gather_addresses"), (Part.SYSTEM, "gather_system")) if endpoint[option]]
    try:
        return await hypervisor.describe(None, (Part.INFO, Part.ORGANISATION, *of_guests))
    except EXPECTED:
        return {}


async def _survey_machine(
    hypervisor: Hypervisor,
    entry: MachineEntry,
    tags: Mapping[str, Any],
    endpoint: Mapping[str, Any],
    described: MachineDescription | None,
) -> Survey:
    machine = VirtualMachine(hypervisor.session, entry.jid, entry.name)
    own_tags = sorted(tags.get(entry.bare, ()))
    known = {"name": entry.name, "uuid": entry.uuid, "jid": entry.bare, "hypervisor": hypervisor.bare, "tags": own_tags}
    try:
        organisation, state = _read_description(described) or await _ask_machine(machine)
        addresses, system = await asyncio.gather(
            _read_addresses(machine, state["state"], endpoint, described), _read_system(machine, state["state"], endpoint, described)
        )
    except EXPECTED as error:
        return {"machine": {**known, "state": UNREACHABLE}, "failures": [f"{entry.name} ({entry.bare}): {describe(error)}"]}
    found = {**known, **state, "addresses": addresses, "system": system, "organisation": asdict(organisation)}
    return {"machine": found, "failures": []}


def _read_description(described: MachineDescription | None) -> tuple[Organisation, dict[str, Any]] | None:
    """Return organisation and state as the hypervisor told them; ``None`` if it did not, or the machine does not answer itself."""
    if described is None or not described.online or not described.gives(Part.ORGANISATION, Part.INFO):
        return None
    return described.organisation, _tell_state(described.info)


async def _ask_machine(machine: VirtualMachine) -> tuple[Organisation, dict[str, Any]]:
    card, state = await asyncio.gather(machine.vcard(), _read_state(machine))
    return card.organisation, state


async def _read_state(machine: VirtualMachine) -> dict[str, Any]:
    """Return state and resources, memory in MiB; a state that may not be seen is unknown."""
    try:
        info = await machine.info()
    except PermissionDenied:
        return {"state": str(MachineState.UNKNOWN)}
    return _tell_state(info)


def _tell_state(info: Info | None) -> dict[str, Any]:
    return {"state": str(MachineState.of(info)), **(describe_resources(info) if info is not None else {})}


async def _read_addresses(
    machine: VirtualMachine, state: str, endpoint: Mapping[str, Any], described: MachineDescription | None
) -> list[str] | None:
    """Return the guest's addresses, without those that are good on one link only; who does not answer in time knows none."""
    if not endpoint["gather_addresses"] or not _may_tell(state):
        return None
    if described is not None and Part.ADDRESSES in described.parts:
        found = described.addresses if described.gives(Part.ADDRESSES) else None
    else:
        try:
            found = await _if_permitted(machine.addresses())
        except (NoAnswer, NotOnline):
            return None
    return None if found is None else [address.address for address in found if not _is_local(address.address)]


async def _read_system(
    machine: VirtualMachine, state: str, endpoint: Mapping[str, Any], described: MachineDescription | None
) -> dict[str, str] | None:
    """Return what the guest says of its system; a guest without an agent, or one that may not be asked, says nothing."""
    if not endpoint["gather_system"] or not _may_tell(state):
        return None
    try:
        if described is not None and Part.SYSTEM in described.parts:
            found = described.system
        else:
            found = await machine.guest.info()
    except (CommandError, NoAnswer, NotOnline):
        return None
    return None if found is None else {name: value for name in SYSTEM if (value := getattr(found, name)) is not None}


def _may_tell(state: str) -> bool:
    """Whether there is a guest in a machine of this state."""
    return state != MachineState.UNKNOWN and is_active(MachineState(state))


def _is_local(address: str) -> bool:
    """Whether an address leads to the guest only from the guest itself, or from its own link."""
    found = read_address(address)
    return found is None or leads_here(found) or found.is_link_local


async def _if_permitted(question: Awaitable[T]) -> T | None:
    try:
        return await question
    except PermissionDenied:
        return None
