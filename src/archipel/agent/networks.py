# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defining networks so that nothing is lost: founding clients undefine a network and define it again when it is saved.

Who undefines a network and within :data:`GRACE` fails to define it again gets the old definition back, with its autostart. The
definition is also kept in a file, for a hand to bring it back later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary
from xml.etree import ElementTree as ET

from archipel.agent.dispatch import Caller
from archipel.agent.virt import network_binding
from archipel.agent.virt.errors import LibvirtError, VirtError
from archipel.agent.virt.network_policy import check_network
from archipel.agent.virt.networks import Networks, NetworkState
from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.errors import BadRequest, CommandError, LibvirtFailed, PermissionDenied
from archipel.protocol.network import DefineNetwork, RefusedUpdate, UpdateNetwork
from archipel.protocol.network_definition import NetworkDefinition, read_network
from archipel.protocol.network_updates import Update, plan_updates
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

log = logging.getLogger(__name__)

GRACE: Final = 60.0  # seconds; a client that saves sends both requests at once
MOST_FILES: Final = 50  # definitions of networks that are no more
FOLDER: Final = "undefined-networks"


@dataclass(frozen=True)
class Undefined:
    """A definition that somebody took away, and when (monotonic seconds)."""

    person: str
    state: NetworkState
    when: float


_lately: WeakKeyDictionary[Networks, list[Undefined]] = WeakKeyDictionary()


async def undefine(hypervisor: Hypervisor, reference: str, caller: Caller) -> None:
    """Remove a network's definition, and remember it."""
    networks = hypervisor.services.host.networks
    async with networks.changing:
        state = await networks.find(reference)
        await asyncio.to_thread(keep_file, hypervisor.services.settings.places.lib / FOLDER, state)
        await networks.undefine(reference)
        known = _lately.setdefault(networks, [])
        known[:] = [found for found in known if _is_fresh(found) and found.state.uuid != state.uuid]
        known.append(Undefined(caller.bare, state, time.monotonic()))


async def define(hypervisor: Hypervisor, request: DefineNetwork, caller: Caller) -> None:
    """Define a network, or leave everything as it was before the caller began to save it."""
    networks = hypervisor.services.host.networks
    async with networks.changing:
        lost = _find_lost(networks, request.network, caller)
        try:
            wanted = _read(request.network)
            _refuse_forbidden(hypervisor, wanted, caller)
            await _complete(networks, wanted, lost)
            autostart = lost.state.autostart if request.autostart is None and lost else request.autostart
            await _apply(networks, wanted, autostart)
        except CommandError as error:
            error.text += await _give_back(networks, lost)
            raise
        except LibvirtError as error:
            raise LibvirtFailed(error.message + await _give_back(networks, lost), error.code) from error
        _forget(networks, lost)


async def update(hypervisor: Hypervisor, request: UpdateNetwork, caller: Caller) -> tuple[RefusedUpdate, ...]:
    """Define a network; one that runs becomes what was defined as far as libvirt can: what it refuses is returned."""
    await define(hypervisor, DefineNetwork(autostart=request.autostart, network=request.network), caller)
    networks, name = hypervisor.services.host.networks, _say_identity(request.network)[0]
    refused = []
    async with networks.changing:
        state = await networks.find(name)
        if state.active:
            for step in await asyncio.to_thread(_plan_updates, state, request.network):
                try:
                    await networks.update(state.uuid, step)
                except LibvirtError as error:
                    refused.append(RefusedUpdate(what=str(step), why=error.message))
    return tuple(refused)


def _plan_updates(state: NetworkState, requested: ET.Element | None) -> list[Update]:
    running = ET.fromstring(state.xml)  # noqa: S314 - libvirt wrote it
    if requested is not None and state.definition == state.xml:  # the test driver tells the running one only
        return plan_updates(running, requested)
    return plan_updates(running, ET.fromstring(state.definition))  # noqa: S314 - libvirt wrote it


def _read(element: ET.Element | None) -> NetworkDefinition:
    if element is None:
        raise BadRequest("network: is missing")
    try:
        return read_network(element)
    except DomainXmlError as error:
        raise BadRequest(f"network: {error}") from error


def _refuse_forbidden(hypervisor: Hypervisor, wanted: NetworkDefinition, caller: Caller) -> None:
    if hypervisor.decide(caller.bare, DOMAIN_POLICY_BYPASS).allowed:
        return
    violations = check_network(wanted, hypervisor.services.settings.policy)
    if violations:
        raise PermissionDenied("the domain policy forbids: " + "; ".join(map(str, violations)), DOMAIN_POLICY_BYPASS)


async def _complete(networks: Networks, wanted: NetworkDefinition, lost: Undefined | None) -> None:
    """Give a definition without a UUID that of the network which has its name: it is meant to replace that one."""
    if wanted.identity is None:
        present = await _find(networks, wanted.name or "")
        state = present or (lost.state if lost and lost.state.name == wanted.name else None)
        if state is not None and state.name == wanted.name:
            for element in wanted.element.findall("uuid"):
                wanted.element.remove(element)
            ET.SubElement(wanted.element, "uuid").text = state.uuid


async def _apply(networks: Networks, wanted: NetworkDefinition, autostart: bool | None) -> None:
    """Define the network; if it cannot be told to start with its host, it is as before."""
    before = await _find(networks, wanted.identity) if wanted.identity else None
    uuid = await networks.define(wanted.to_text())
    if autostart is None:
        return
    try:
        await networks.set_autostart(uuid, autostart)
    except VirtError:
        with contextlib.suppress(VirtError):
            if before is not None and before.persistent:
                await networks.define(before.definition)
            else:
                await networks.undefine(uuid)
        raise


async def _find(networks: Networks, reference: str) -> NetworkState | None:
    try:
        return await networks.find(reference)
    except LibvirtError as error:
        if error.code == network_binding.NO_NETWORK:
            return None
        raise


# -- what was taken away a moment ago -----------------------------------------------------------------------------------


def _is_fresh(undefined: Undefined) -> bool:
    return time.monotonic() - undefined.when < GRACE


def _find_lost(networks: Networks, element: ET.Element | None, caller: Caller) -> Undefined | None:
    """Return what the caller took away and means to define now: the same name or UUID, or the last one if nothing can be read."""
    mine = [found for found in _lately.get(networks, []) if found.person == caller.bare and _is_fresh(found)]
    name, uuid = _say_identity(element)
    if name or uuid:
        mine = [found for found in mine if found.state.name == name or found.state.uuid == uuid]
    return mine[-1] if mine else None


def _say_identity(element: ET.Element | None) -> tuple[str, str]:
    """Return name and UUID of a definition as far as it says them."""
    if element is None:
        return "", ""
    return (element.findtext("name") or "").strip(), (element.findtext("uuid") or "").strip().lower()


async def _give_back(networks: Networks, lost: Undefined | None) -> str:
    """Define again what the caller took away, unless it is there; return what to tell him."""
    if lost is None:
        return ""
    state = lost.state
    try:
        present = await _find(networks, state.uuid)
        if present is None or not present.persistent:
            await networks.define(state.definition)
            await networks.set_autostart(state.uuid, state.autostart)
    except VirtError as error:
        log.error("the network %s is not defined any more, and cannot be brought back: %s", state.name, error)
        return f"; the network {state.name} is not defined any more: define it again, its definition is in {FOLDER}/{state.uuid}.xml"
    _forget(networks, lost)
    return f"; the network {state.name} is defined as it was before"


def _forget(networks: Networks, undefined: Undefined | None) -> None:
    if undefined is not None:
        _lately[networks].remove(undefined)


def keep_file(folder: Path, state: NetworkState) -> None:
    """Write a definition into a file for hands (``virsh net-define FILE``); the oldest files go. A failure costs only the file."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{state.uuid}.xml"
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as file:
            file.write(state.definition)
        for old in sorted(folder.glob("*.xml"), key=lambda found: found.stat().st_mtime)[:-MOST_FILES]:
            old.unlink()
    except OSError as error:
        log.warning("the definition of the network %s cannot be kept in %s: %s", state.name, folder, error)
