# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine has one name, in libvirt and in the store, whatever fails between the two; and one set of tags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from archipel.agent.definition import define, rename
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import LibvirtTimeout, VirtError
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent, UnknownDetail
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from archipel.protocol.events import TAGS_NODE
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp, Node
from tests.unit.agent.fakes import ADMIN, UUID, VM, FakeDomain, FakeHost, domain_xml, failure
from tests.unit.protocol.golden import xml


@pytest.fixture
def domain(host: FakeHost, machine: VirtualMachine) -> FakeDomain:
    return host.domain(UUID)


async def by_definition(machine: VirtualMachine) -> None:
    await define(machine, xml(domain_xml("db")), ADMIN)


async def by_name(machine: VirtualMachine) -> None:
    await rename(machine, "db")


async def names(machine: VirtualMachine, domain: FakeDomain) -> tuple[str, str, str]:
    """Return the machine's name, the store's and libvirt's."""
    record = await machine.services.store.machine(UUID)
    assert record is not None
    return machine.name, record.name, domain.called


def fail(*_arguments: object, **_named: object) -> Any:
    raise StoreError("disk full")


Renaming = Callable[[VirtualMachine], Awaitable[None]]
EITHER_WAY = pytest.mark.parametrize("change", [by_definition, by_name])


@EITHER_WAY
async def test_all_have_the_new_name(machine: VirtualMachine, domain: FakeDomain, change: Renaming) -> None:
    await change(machine)
    assert await names(machine, domain) == ("db", "db", "db")


@EITHER_WAY
async def test_a_store_that_is_full_changes_nothing_at_all(
    machine: VirtualMachine, domain: FakeDomain, change: Renaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = domain.stored
    monkeypatch.setattr(machine.services.store, "rename_machine", fail)
    with pytest.raises(StoreError, match="disk full"):
        await change(machine)
    assert await names(machine, domain) == ("web", "web", "web")
    assert domain.stored == before


@EITHER_WAY
async def test_a_store_that_is_full_a_moment_later_does_not_matter(
    machine: VirtualMachine, domain: FakeDomain, change: Renaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename_domain = domain.rename

    async def fill(name: str) -> None:
        await rename_domain(name)
        monkeypatch.setattr(machine.services.store, "rename_machine", fail)

    monkeypatch.setattr(domain, "rename", fill)
    await change(machine)
    assert await names(machine, domain) == ("db", "db", "db")


@EITHER_WAY
@pytest.mark.parametrize("error", [failure("it runs"), LibvirtTimeout("rename", 60)])
async def test_what_libvirt_does_not_do_the_store_does_not_keep(
    machine: VirtualMachine, domain: FakeDomain, change: Renaming, error: Exception
) -> None:
    domain.refuse["rename"] = error
    with pytest.raises(VirtError):
        await change(machine)
    assert await names(machine, domain) == ("web", "web", "web")


async def test_a_crash_after_libvirt_s_renaming_finds_the_name_stored(
    machine: VirtualMachine, domain: FakeDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    rename_domain = domain.rename

    async def look(name: str) -> None:
        await rename_domain(name)
        seen.append((await names(machine, domain))[1:])

    monkeypatch.setattr(domain, "rename", look)
    await rename(machine, "db")
    assert seen == [("db", "db")]


async def test_a_crash_before_it_leaves_libvirt_s_name(online: Hypervisor, machine: VirtualMachine, domain: FakeDomain) -> None:
    await machine.services.store.rename_machine(UUID, "db")
    machine.name = "db"  # as it is read at the next start
    await online.recover()
    assert await names(machine, domain) == ("web", "web", "web")


async def test_an_event_that_is_faster_than_the_answer_is_the_same_renaming(
    xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    await go_online(machine)
    rename_domain = domain.rename

    async def tell(name: str) -> None:
        await rename_domain(name)
        machine.take_event(DomainEvent(UUID, name, LifecycleEvent.DEFINED, UnknownDetail.UNKNOWN))
        await finish_work(machine)

    monkeypatch.setattr(domain, "rename", tell)
    await rename(machine, "db")
    assert await names(machine, domain) == ("db", "db", "db")
    assert xmpp.asked("change vcard") == 2


# -- tags ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tags(xmpp: FakeXmpp) -> Node:
    node = xmpp.nodes[TAGS_NODE] = Node("admin@lab.example")
    return node


async def tags_of(machine: VirtualMachine, node: Node) -> tuple[tuple[str, ...], str]:
    """Return the machine's tags in the store, and on the platform's node."""
    record = await machine.services.store.machine(UUID)
    assert record is not None
    payload, _publisher = node.items.get(VM, (None, None))
    return record.tags, "" if payload is None else payload.get("tags", "")


async def test_tags_that_cannot_be_published_are_not_stored(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, tags: Node
) -> None:
    await machine.keep_tags(("old",))
    xmpp.refuse["publish"] = CommandError("no")
    with pytest.raises(CommandError):
        await machine.keep_tags(("new",))
    assert await tags_of(machine, tags) == (("old",), "old")


@pytest.mark.parametrize("before,shown", [((), ""), (("old",), "old")])
async def test_tags_that_cannot_be_stored_are_not_published_either(
    online: Hypervisor, machine: VirtualMachine, tags: Node, monkeypatch: pytest.MonkeyPatch, before: tuple[str, ...], shown: str
) -> None:
    await machine.keep_tags(before)
    monkeypatch.setattr(machine.services.store, "set_tags", fail)
    with pytest.raises(StoreError, match="disk full"):
        await machine.keep_tags(("new",))
    assert await tags_of(machine, tags) == (before, shown)
