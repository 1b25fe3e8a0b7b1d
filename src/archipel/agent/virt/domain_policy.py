# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy for definitions of people who lack the right to pass it: an allow-list, and files confined to a few folders.

What holds the check together:

- Hand libvirt the text of the checked object (:meth:`Domain.to_text`), never the text that was received.
- Check at each definition *and* at each start: a guest can write a header into its raw disk that means something else once
  the disk is declared qcow2, and images change between the two.
- Files are only checked at that moment. That is enough because in the machine's folder, and in those of CD images and
  golden disks, nobody but the agent makes files or links: no network share with users' write access, no shell account.
- Whether the author may change *this* machine (its UUID, its name) is the dispatcher's question, not the policy's.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.agent.virt.allow_list import Rule, Violation, children_of, judge_element
from archipel.agent.virt.disk_policy import judge_disks
from archipel.agent.virt.domain_rules import DOMAIN
from archipel.agent.virt.image_chain import ReadImage, read_image
from archipel.protocol.domain.domain import Domain
from archipel.protocol.domain.xml_values import DomainXmlError

__all__ = ["DomainPolicy", "Scope", "Violation", "check_domain"]

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, kw_only=True)
class DomainPolicy:
    """What a restricted definition may use; names of networks, bridges and pools are shell patterns, as in the settings.

    Args:
        vm_folder: the machine's own folder, the only one where it writes.
        iso_folders: images for drives, read-only.
        golden_folders: disks to read, or to stand on.
        firmware_folders: firmware and its templates, read-only.
        nvram_folder: where libvirt keeps machines' firmware variables; only ``NAME_VARS.fd`` is allowed there.
        networks: libvirt networks.
        bridges: bridges of the host.
        pools: storage pools; every volume of such a pool is open to the machine.
        volume_path: finds the file of a volume (pool, volume); without it volumes must be raw.
        domain_types: who may run the machine.
        emulators: paths that libvirt itself writes into definitions; others are refused.
        listen_addresses: where displays may listen.
        user_networks: whether QEMU's user network is allowed, through which a guest reaches the host's loopback.
        max_disks: how many disks and drives there may be.
        max_interfaces: how many network cards there may be.
        max_vcpus: how many processors there may be; ``None`` is no limit.
        max_memory: how much memory there may be, in KiB; ``None`` is no limit.
        read_image: reads the header of an image.
    """

    vm_folder: Path
    iso_folders: tuple[Path, ...] = ()
    golden_folders: tuple[Path, ...] = ()
    firmware_folders: tuple[Path, ...] = ()
    nvram_folder: Path | None = None
    networks: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    volume_path: Callable[[str, str], Path | None] | None = None
    domain_types: frozenset[str] = frozenset({"kvm", "qemu"})
    emulators: frozenset[str] = frozenset()
    listen_addresses: frozenset[str] = LOOPBACK
    user_networks: bool = False
    max_disks: int = 32
    max_interfaces: int = 32
    max_vcpus: int | None = None
    max_memory: int | None = None
    read_image: ReadImage = read_image

    @property
    def readable_folders(self) -> tuple[Path, ...]:
        """All folders that the machine may read."""
        return (self.vm_folder, *self.iso_folders, *self.golden_folders)

    def allows_network(self, name: str) -> bool:
        """Whether a card may be plugged into the libvirt network."""
        return _matches(name, self.networks)

    def allows_bridge(self, name: str) -> bool:
        """Whether a card may be plugged into the bridge."""
        return _matches(name, self.bridges)

    def allows_pool(self, name: str) -> bool:
        """Whether disks may be volumes of the pool."""
        return _matches(name, self.pools)


@dataclass(frozen=True)
class Scope:
    """What a value is judged by: the policy, and the definition that it stands in."""

    policy: DomainPolicy
    domain: Domain


def check_domain(domain: Domain, policy: DomainPolicy, current: Domain | None = None, running: Domain | None = None) -> list[Violation]:
    """Return everything in the definition that the policy does not allow, all at once; nothing means that it may be used.

    Reads the headers of images, through a program by default: call it where blocking is allowed.

    Args:
        domain: the definition, judged as a whole.
        policy: what it may use.
        current: the stored definition. What stands there just so is not held against the author: an administrator gave it to
            the machine, and its people may still change the rest.
        running: the definition in force, if the machine runs.
    """
    scope = Scope(policy, domain)
    violations = list(judge_element(domain.element, DOMAIN, "domain", scope))
    try:
        violations += [*judge_disks(domain, policy, running), *_judge_limits(domain, policy, current)]
    except DomainXmlError as error:
        violations.append(Violation("domain", str(error), "correct it"))
    kept = set() if current is None else set(_unchanged_places(domain.element, current.element, DOMAIN, "domain"))
    return [violation for violation in violations if not kept.intersection(_places_above(violation.place))]


def _judge_limits(domain: Domain, policy: DomainPolicy, current: Domain | None) -> Iterator[Violation]:
    amounts: dict[str, tuple[Callable[[Domain], int], int | None]] = {
        "domain/devices/disk": (lambda one: len(one.disks), policy.max_disks),
        "domain/devices/interface": (lambda one: len(one.interfaces), policy.max_interfaces),
        "domain/vcpu": (lambda one: max(one.max_vcpus, one.vcpus), policy.max_vcpus),
        "domain/memory": (lambda one: max(one.memory or 0, one.current_memory or 0), policy.max_memory),
    }
    for place, (count, most) in amounts.items():
        amount = count(domain)
        if most is not None and amount > most and (current is None or amount > count(current)):
            yield Violation(place, f"{amount} is more than allowed", f"use at most {most}")


def _unchanged_places(element: ET.Element, current: ET.Element, rule: Rule, place: str) -> Iterator[str]:
    """Yield the places of attributes and children that stand in both definitions; devices are looked at one by one."""
    for name in element.attrib.keys() & current.attrib.keys():
        if element.attrib[name] == current.attrib[name]:
            yield f"{place}/@{name}"
    present = [_exactly(child) for child in current]
    for child, below, where in children_of(element, rule, place):
        if below is not None and child.tag == "devices":
            for devices in current.findall("devices"):
                yield from _unchanged_places(child, devices, below, where)
        elif (said := _exactly(child)) in present:
            present.remove(said)  # what stands there once is not held against the author once
            yield where


def _exactly(element: ET.Element) -> tuple[Any, ...]:
    """Return what an element says, blanks in values included; those of indentation do not count."""
    text = (element.text or "").strip() if len(element) else element.text or ""
    return (element.tag, sorted(element.attrib.items()), text, [_exactly(child) for child in element])


def _places_above(place: str) -> Iterator[str]:
    """Yield a place and those that hold it."""
    yield place
    yield from (place[:index] for index, character in enumerate(place) if character == "/")


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
