# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that a virtual machine takes (namespaces ``archipel:vm:control`` and ``archipel:vm:definition``)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, at_least, attribute, child, payload

LEAST_MEMORY = 10  # KiB; core fact of the founding protocol


@payload
class Info(Payload, tag="info"):
    """The state of a machine, as libvirt gave it when asked.

    ``state`` is libvirt's virDomainState; memories are in KiB; ``cpu_percent`` is of the whole host, 0 until it was
    measured over an interval; ``hypervisor`` is the full JID of the hypervisor. New here: ``sequence`` and ``epoch``
    say which pushes this answer already includes (docs/events.md).
    """

    state: int = attribute()
    max_memory: int = attribute(name="maxMem")
    memory: int = attribute()
    vcpus: int = attribute(name="nrVirtCpu")
    cpu_percent: int = attribute(name="cpuPrct", default=0)
    hypervisor: str = attribute()
    autostart: bool = attribute()
    sequence: int = attribute(default=0)
    epoch: str = attribute(default="")


@payload
class Started(Payload, tag="domain"):
    """The libvirt identifier of a machine that was started; it changes with every start."""

    id: int = attribute()


@payload
class Interface(Payload, tag="network"):
    """Counters of one network interface."""

    name: str = attribute()
    rx_bytes: int = attribute(default=0)
    rx_packets: int = attribute(default=0)
    rx_errs: int = attribute(default=0)
    rx_drop: int = attribute(default=0)
    tx_bytes: int = attribute(default=0)
    tx_packets: int = attribute(default=0)
    tx_errs: int = attribute(default=0)
    tx_drop: int = attribute(default=0)


@payload
class GuestAddress(Payload, tag="address"):
    """An address of the guest, and who told it: ``lease`` (the host's DHCP server), ``agent`` (in the guest) or ``arp``.

    ``interface`` is the host's device for lease and arp, the guest's for agent; ``mac`` tells which card it is. ``prefix`` is
    the length of the network's prefix, 0 where the source does not know it.
    """

    interface: str = attribute()
    mac: str = attribute(default="")
    address: str = attribute()
    prefix: int = attribute(default=0)
    source: str = attribute()


@payload
class GetInfo(Request[Info | None], namespace=ns.VM_CONTROL, action="info", reads=True):
    """The machine's state; nothing if it has no domain."""


@payload
class Create(Request[Started], namespace=ns.VM_CONTROL, action="create"):
    """Start the machine."""


@payload
class Shutdown(Request[None], namespace=ns.VM_CONTROL, action="shutdown"):
    """Ask the guest to shut down."""


@payload
class Destroy(Request[None], namespace=ns.VM_CONTROL, action="destroy"):
    """Switch the machine off, as by pulling the plug."""


@payload
class Reboot(Request[None], namespace=ns.VM_CONTROL, action="reboot"):
    """Ask the guest to reboot."""


@payload
class Suspend(Request[None], namespace=ns.VM_CONTROL, action="suspend"):
    """Pause the machine."""


@payload
class Resume(Request[None], namespace=ns.VM_CONTROL, action="resume"):
    """Let a paused machine run on."""


@payload
class GetDescription(Request[ET.Element], namespace=ns.VM_CONTROL, action="xmldesc", reads=True):
    """The machine's definition, without secrets; ``<not-defined/>`` if it has none.

    ``inactive`` is new here: the definition that the next start will use, where a running machine's differs.
    """

    inactive: bool = attribute(default=False)


@payload
class SetAutostart(Request[None], namespace=ns.VM_CONTROL, action="autostart"):
    """Whether the machine starts with its host."""

    value: bool = attribute()


@payload
class SetMemory(Request[None], namespace=ns.VM_CONTROL, action="memory"):
    """Set the memory balloon, in KiB (virDomainSetMemoryFlags)."""

    value: int = attribute(at_least(LEAST_MEMORY))


@payload
class SetVcpus(Request[None], namespace=ns.VM_CONTROL, action="setvcpus"):
    """Set the number of virtual CPUs in use (virDomainSetVcpusFlags)."""

    value: int = attribute(at_least(1))


@payload
class GetNetworkInfo(Request[tuple[Interface, ...]], namespace=ns.VM_CONTROL, action="networkinfo", reads=True):
    """Counters of the machine's network interfaces, while it runs."""


@payload
class GetAddresses(Request[tuple[GuestAddress, ...]], namespace=ns.VM_CONTROL, action="addresses", reads=True):
    """New here: the addresses of the guest, from the first source that knows any (virDomainInterfaceAddresses)."""


@payload
class FreeMachine(Request[None], namespace=ns.VM_CONTROL, action="free"):
    """Destroy the machine, as the hypervisor's ``free`` does."""

    keep: str = attribute(default="")


@payload
class Define(Request[None], namespace=ns.VM_DEFINITION, action="define"):
    """Define the machine anew; its UUID must be the machine's."""

    domain: ET.Element = child()


@payload
class Undefine(Request[None], namespace=ns.VM_DEFINITION, action="undefine"):
    """Remove the machine's definition; the entity stays."""


@payload
class GetDomainCapabilities(Request[ET.Element], namespace=ns.VM_DEFINITION, action="capabilities", reads=True):
    """libvirt's capabilities of the machine's host."""


@payload
class AttachDevice(Request[None], namespace=ns.VM_DEFINITION, action="attachdevice"):
    """New here: plug a device in, into the running machine and into its definition (virDomainAttachDeviceFlags).

    ``live``: on the running machine alone, whose definition says so already.
    """

    live: bool = attribute(default=False)
    device: ET.Element = child()


@payload
class DetachDevice(Request[None], namespace=ns.VM_DEFINITION, action="detachdevice"):
    """New here: unplug a device, from the running machine and from its definition (virDomainDetachDeviceFlags).

    ``live``: on the running machine alone, whose definition says so already.
    """

    live: bool = attribute(default=False)
    device: ET.Element = child()


@payload
class UpdateDevice(Request[None], namespace=ns.VM_DEFINITION, action="updatedevice"):
    """New here: change a device in place, such as the medium of a CD drive (virDomainUpdateDeviceFlags).

    ``live``: on the running machine alone, whose definition says so already.
    """

    live: bool = attribute(default=False)
    device: ET.Element = child()
