# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defining a machine: whose definition it is, what it may use, what it is called."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent import allocation
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import refuse_forbidden
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.protocol.changes import DefinitionChange
from archipel.protocol.domain.domain import Domain, parse
from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.errors import CommandError, Condition, ErrorCode
from archipel.protocol.events import Topic

if TYPE_CHECKING:
    from archipel.agent.virtual_machine import VirtualMachine

# The founding agent kept a machine's account in its description: ``JID::::PASSWORD``. No two of its parts overlap: matching is linear.
FOUNDING_DESCRIPTION: Final = re.compile(r"[^\s@]+@[^\s@:]+::::\S*")
# Bytes of a definition, several times what libvirt writes for the largest machines. It must come back in an answer: Debian's
# ejabberd ends a session that sends a stanza of more than 256 KiB.
MOST_BYTES: Final = 100_000


async def define(machine: VirtualMachine, element: ET.Element, caller: Caller, *, name: str | None = None) -> None:
    """Define the machine as ``element`` says; libvirt's DEFINED event tells everybody.

    ``name`` is given for a new machine, whose UUID and name are forced; otherwise the UUID must be the machine's, and another
    name renames it. Raises :class:`CommandError`, or what libvirt says.
    """
    wanted = read_domain(element)
    if name is not None:
        wanted.uuid, wanted.name = machine.uuid, name
    _check_identity(machine, wanted)
    async with machine.changing:
        current = await read_current(machine)
        await refuse_forbidden(machine, wanted, current, caller)
        if current is not None:
            await _keep_passwords(machine, wanted)
        await _apply(machine, wanted, current)


def read_domain(element: ET.Element) -> Domain:
    """Return the definition in a stanza, or raise what is wrong with it."""
    try:
        domain = Domain.from_element(element)
    except DomainXmlError as error:
        raise CommandError(f"domain: {error}", condition=Condition.BAD_REQUEST) from error
    size = len(domain.to_text().encode())
    if size > MOST_BYTES:
        raise CommandError(f"domain: the definition has {size} bytes; at most {MOST_BYTES} are taken", condition=Condition.BAD_REQUEST)
    return domain


async def read_current(machine: VirtualMachine) -> Domain | None:
    """Return the definition that the machine's next start will use, without secrets; ``None`` if it has none."""
    try:
        return read_stored(await machine.domain.xml(inactive=True))
    except DomainNotFound:
        return None


def read_stored(text: str) -> Domain:
    """Return the definition that libvirt has, or raise in plain words that it cannot be read."""
    try:
        return parse(text)
    except DomainXmlError as error:
        raise CommandError(f"what libvirt has cannot be read: {error}; an administrator can mend it with virsh edit") from error


def describe(text: str) -> ET.Element:
    """Return libvirt's XML as an answer: a founding agent's description, which holds a password, is left out."""
    if len(text.encode()) > MOST_BYTES:
        raise CommandError(f"the definition has more than {MOST_BYTES} bytes and fits in no answer; read it with virsh dumpxml")
    root = read_stored(text).element
    strip_secrets(root)
    return root


def describe_briefly(text: str) -> ET.Element:
    """Do what :func:`describe` does for one of many, in a fifth of the time, and leave the indentation out, which is a fifth of it."""
    if len(text.encode()) > MOST_BYTES:
        return describe(text)
    try:
        root = ET.fromstring(text)  # noqa: S314 - libvirt wrote it, and its size is limited
    except ET.ParseError:
        return describe(text)  # says what is wrong
    strip_secrets(root)
    for element in root.iter():
        if len(element) and not (element.text or "").strip():
            element.text = None
        if not (element.tail or "").strip():
            element.tail = None
    return root


def strip_secrets(domain: ET.Element) -> None:
    """Take a founding agent's description and the consoles' passwords out of a definition."""
    strip_founding_description(domain)
    for graphics in domain.iter("graphics"):
        graphics.attrib.pop("passwd", None)


def strip_founding_description(domain: ET.Element) -> None:
    """Take a founding agent's description, which holds a password, out of a definition."""
    for description in domain.findall("description"):
        if FOUNDING_DESCRIPTION.fullmatch((description.text or "").strip()):
            domain.remove(description)


def _check_identity(machine: VirtualMachine, wanted: Domain) -> None:
    if (wanted.uuid or "").strip().lower() != machine.uuid:
        text = f"uuid: the definition's is {wanted.uuid or 'missing'}, it must be {machine.uuid}"
        raise CommandError(text, ErrorCode.DEFINE, Condition.BAD_REQUEST)
    if not (wanted.name or "").strip():
        wanted.name = machine.name


async def _keep_passwords(machine: VirtualMachine, wanted: Domain) -> None:
    """Put the consoles' passwords back that a definition without them was read without."""
    restore_passwords(wanted, read_stored(await machine.domain.xml(secure=True, inactive=True)))


def restore_passwords(wanted: Domain, stored: Domain) -> None:
    """Put the consoles' passwords of a stored definition into one that says none."""
    passwords = {graphics.type: graphics.password for graphics in stored.graphics}
    for graphics in wanted.graphics:
        if graphics.password is None and passwords.get(graphics.type) is not None:
            graphics.password = passwords[graphics.type]


async def _apply(machine: VirtualMachine, wanted: Domain, current: Domain | None) -> None:
    """Hand the definition to libvirt, after a renaming if the name is another one."""
    name = allocation.proper_name(machine.hypervisor, wanted.name or "") if wanted.name != machine.name else machine.name
    wanted.name = name
    if name != machine.name:
        await check_name(machine, name)
    async with _renaming(machine, name):
        if current is None or current.name == name:
            await machine.domain.define(wanted.to_text())
        else:
            await _rename_and_define(machine, wanted, current.name or "", name)


@contextlib.asynccontextmanager
async def _renaming(machine: VirtualMachine, name: str) -> AsyncIterator[None]:
    """Give the machine another name, in the store before in libvirt: a store that fails does so before anything is changed.

    Where the two differ after a crash, libvirt's name counts (:mod:`archipel.agent.recovery`).
    """
    old = machine.name
    if name != old:
        await machine.services.store.rename_machine(machine.uuid, name)
    try:
        yield
    except VirtError:
        if name != old:
            with contextlib.suppress(StoreError):  # libvirt's name is followed sooner or later
                await machine.services.store.rename_machine(machine.uuid, old)
        raise
    if machine.name != name:  # else the event of it was faster
        await machine.rename(name, machine.organisation)


async def _rename_and_define(machine: VirtualMachine, wanted: Domain, old: str, new: str) -> None:
    await machine.domain.rename(new)
    try:
        await machine.domain.define(wanted.to_text())
    except VirtError:
        with contextlib.suppress(VirtError):
            await machine.domain.rename(old)
        raise


async def check_name(machine: VirtualMachine, name: str) -> None:
    """Raise ``conflict`` if the name is somebody else's."""
    entries = await machine.services.host.domains()
    allocation.refuse_taken_name(machine.hypervisor, name, machine.uuid, entries)


async def rename(machine: VirtualMachine, name: str) -> None:
    """Give the machine, which must be off, another name."""
    name = allocation.proper_name(machine.hypervisor, name, "FN")
    async with machine.changing:
        await check_name(machine, name)
        async with _renaming(machine, name):
            with contextlib.suppress(DomainNotFound):
                await machine.domain.rename(name)


async def change_device(machine: VirtualMachine, element: ET.Element, caller: Caller, change: Callable[[str], Awaitable[None]]) -> None:
    """Attach or update a device, if the policy lets the caller have it."""
    text = read_device(element)
    async with machine.changing:
        current = await read_current(machine)
        if current is None:
            raise CommandError(f"{machine.name} has no definition: define it first", condition=Condition.ITEM_NOT_FOUND)
        wanted = Domain.from_element(current.element)
        devices = wanted.element.find("devices")
        if devices is None:
            devices = ET.SubElement(wanted.element, "devices")
        devices.append(ET.fromstring(text))  # noqa: S314 - written by ourselves a moment ago
        await refuse_forbidden(machine, wanted, current, caller)
        await change(text)
    machine.push(Topic.VM_DEFINITION, DefinitionChange.DEFINED)


def read_device(element: ET.Element) -> str:
    """Return the one device that a ``<device>`` element holds, as libvirt's XML."""
    if len(element) != 1:
        raise CommandError("device: must hold exactly one device element", condition=Condition.BAD_REQUEST)
    holder = ET.Element("domain")
    holder.append(element[0])
    return ET.tostring(read_domain(holder).element[0], "unicode")
