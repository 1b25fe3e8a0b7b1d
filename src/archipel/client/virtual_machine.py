# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine as a client sees it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from archipel.client.appliances import MachineAppliance
from archipel.client.drives import Drives
from archipel.client.entity import Entity
from archipel.client.errors import MalformedAnswer, WaitTimedOut
from archipel.client.guest import Guest
from archipel.client.health import MachineHealth
from archipel.client.machine_state import MachineState
from archipel.client.migration import Migration
from archipel.client.screens import Screens
from archipel.client.snapshots import Snapshots
from archipel.protocol import virtual_machine as commands
from archipel.protocol.domain.domain import Domain
from archipel.protocol.domain.xml_model import Element
from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.parking import ParkMachine
from archipel.protocol.virtual_machine import GuestAddress, Info, Interface
from archipel.protocol.xml import local_name
from archipel.xmpp.errors import Disconnected, NoAnswer

if TYPE_CHECKING:
    from archipel.client.session import Session

KEEP_DISKS = "disks"
WAIT_TIMEOUT = 120.0  # seconds; a guest's shutdown takes that long before people look for another reason
SAFETY_POLL = 5.0  # seconds between two questions while nothing is heard: a hint may be lost, never the wait


class VirtualMachine(Entity):
    """A managed machine; each method's right is named like its command unless said otherwise.

    ``name`` is what the hypervisor called it when this object was made, empty if that is not known.
    """

    def __init__(self, session: Session, jid: str, name: str = "") -> None:
        super().__init__(session, jid)
        self.name = name

    @property
    def uuid(self) -> str:
        """The UUID of the libvirt domain, which is the account's name."""
        return str(self.jid.node)

    @property
    def drives(self) -> Drives:
        """Its drives: the image files in its folder."""
        return Drives(self)

    @property
    def snapshots(self) -> Snapshots:
        """Its snapshots."""
        return Snapshots(self)

    @property
    def screens(self) -> Screens:
        """Its screen and its consoles."""
        return Screens(self)

    @property
    def guest(self) -> Guest:
        """The software inside it, reached through its guest agent."""
        return Guest(self)

    @property
    def health(self) -> MachineHealth:
        """How it fares."""
        return MachineHealth(self)

    @property
    def migration(self) -> Migration:
        """Its move to another hypervisor."""
        return Migration(self)

    @property
    def appliance(self) -> MachineAppliance:
        """The appliance that it is made of, or becomes."""
        return MachineAppliance(self)

    async def info(self) -> Info | None:
        """Return state, memory (KiB), vCPUs and more, as libvirt just gave them; ``None`` if there is no domain."""
        return await self.ask(commands.GetInfo())

    async def state(self) -> MachineState:
        """Return the state, as libvirt just gave it (right ``info``)."""
        return MachineState.of(await self.info())

    async def start(self) -> int:
        """Start the machine and return libvirt's identifier of this run (right ``create``)."""
        return (await self.ask(commands.Create())).id

    async def shutdown(self) -> None:
        """Ask the guest to shut down; see :meth:`wait_for_state`."""
        await self.ask(commands.Shutdown())

    async def destroy(self) -> None:
        """Switch the machine off, as by pulling the plug; a machine that is off stays so without error."""
        await self.ask(commands.Destroy())

    async def reboot(self) -> None:
        """Ask the guest to reboot."""
        await self.ask(commands.Reboot())

    async def suspend(self) -> None:
        """Pause the machine."""
        await self.ask(commands.Suspend())

    async def resume(self) -> None:
        """Let a paused machine run on."""
        await self.ask(commands.Resume())

    async def definition(self, *, inactive: bool = False) -> Domain | None:
        """Return the definition, or ``None`` if there is none (right ``xmldesc``).

        ``inactive`` asks for the one that the next start uses, where a running machine's differs.
        """
        answer = await self.ask(commands.GetDescription(inactive=inactive))
        if local_name(answer.tag) == "not-defined":
            return None
        try:
            return Domain.from_element(answer)
        except DomainXmlError as error:
            raise MalformedAnswer(str(self.jid), commands.GetDescription.action, str(error)) from None

    async def define(self, domain: Domain | ET.Element) -> None:
        """Define the machine anew; the definition's UUID must be the machine's."""
        await self.ask(commands.Define(domain=_element(domain)))

    async def undefine(self) -> None:
        """Remove the definition; the account stays, and a machine without definition is no error."""
        await self.ask(commands.Undefine())

    async def set_autostart(self, enabled: bool) -> None:
        """Say whether the machine starts with its host (right ``autostart``)."""
        await self.ask(commands.SetAutostart(value=enabled))

    async def set_memory(self, kib: int) -> None:
        """Set the memory balloon, in KiB (right ``memory``)."""
        await self.ask(commands.SetMemory(value=kib))

    async def set_vcpus(self, count: int) -> None:
        """Set the number of virtual CPUs in use (right ``setvcpus``)."""
        await self.ask(commands.SetVcpus(value=count))

    async def attach_device(self, device: Element | ET.Element, *, live: bool = False) -> None:
        """Plug a device in, into the running machine and its definition (right ``define``); ``live``: the running machine alone."""
        await self.ask(commands.AttachDevice(device=_holder(device), live=live))

    async def detach_device(self, device: Element | ET.Element, *, live: bool = False) -> None:
        """Unplug a device, from the running machine and its definition (right ``define``); ``live``: the running machine alone."""
        await self.ask(commands.DetachDevice(device=_holder(device), live=live))

    async def update_device(self, device: Element | ET.Element, *, live: bool = False) -> None:
        """Change a device in place, such as the medium of a CD drive (right ``define``); ``live``: the running machine alone."""
        await self.ask(commands.UpdateDevice(device=_holder(device), live=live))

    async def network_info(self) -> tuple[Interface, ...]:
        """Return the counters of the network interfaces of a running machine (right ``networkinfo``)."""
        return await self.ask(commands.GetNetworkInfo())

    async def addresses(self) -> tuple[GuestAddress, ...]:
        """Return the guest's addresses, as far as anybody knows them; none when it is off (right ``networkinfo``)."""
        return await self.ask(commands.GetAddresses())

    async def capabilities(self) -> ET.Element:
        """Return libvirt's capabilities of the machine's host."""
        return await self.ask(commands.GetDomainCapabilities())

    async def free(self, *, keep_disks: bool = False) -> None:
        """Destroy the machine: domain, account, and its folder unless ``keep_disks``."""
        await self.ask(commands.FreeMachine(keep=KEEP_DISKS if keep_disks else ""))

    async def park(self, *, force: bool = False) -> None:
        """Take the machine off its host; while it runs only with ``force``, which switches it off (right ``vmparking_park``)."""
        await self.ask(ParkMachine(force=force))

    async def wait_for_state(self, *wanted: MachineState, timeout: float = WAIT_TIMEOUT) -> Info | None:
        """Return as soon as the machine is in one of the states, with the info that says so.

        The machine's presence and pushes say when to ask; without any, it is asked every :data:`SAFETY_POLL` seconds.
        Raises :class:`WaitTimedOut` after ``timeout`` seconds; a lost connection is waited for if the session reconnects.
        """
        info = await self.info()
        seen = MachineState.of(info)
        try:
            async with asyncio.timeout(timeout), self.session.events([self.bare], pushes=False) as hints:
                while seen not in wanted:
                    await hints.wait(SAFETY_POLL)
                    with contextlib.suppress(*self._passing_errors()):
                        info = await self.info()
                        seen = MachineState.of(info)
        except TimeoutError:
            states = " or ".join(wanted)
            raise WaitTimedOut(f"{self.name or self.jid} was not {states} within {timeout:g} s; it was last seen {seen}") from None
        return info

    def _passing_errors(self) -> tuple[type[Exception], ...]:
        return (Disconnected, NoAnswer) if self.session.reconnects else (NoAnswer,)


def _element(view: Element | ET.Element) -> ET.Element:
    return view.element if isinstance(view, Element) else view


def _holder(device: Element | ET.Element) -> ET.Element:
    """Return the ``<device/>`` in which a device travels."""
    holder = ET.Element("device")
    holder.append(_element(device))
    return holder
