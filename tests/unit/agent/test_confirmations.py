# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever is about to lose something is asked first, in a chat and by a form; what is done unasked stands here with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from archipel.agent import parking
from archipel.agent.chat import reply
from archipel.agent.dispatch import Command, Registry
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.rights import EntityKind, TokenCatalogue
from tests.unit.agent.fakes import ADMIN, OWNER, UUID, FakeHost

NEW, OWN, UNDONE = "makes something new, replaces nothing", "what he is told himself", "undone by the opposite command"
UNASKED: Final = {
    (ns.AVATAR, "setavatar"): "a picture, set back at any time",
    (ns.HYPERVISOR_CONTROL, "alloc"): NEW,
    (ns.HYPERVISOR_CONTROL, "clone"): NEW,
    (ns.HYPERVISOR_NETWORK, "create"): UNDONE,
    (ns.HYPERVISOR_PARKING, "unpark"): UNDONE,
    (ns.HYPERVISOR_STORAGE, "poolcreate"): UNDONE,
    (ns.HYPERVISOR_STORAGE, "poolrefresh"): "looks again what is there",
    (ns.HYPERVISOR_STORAGE, "volumecreate"): NEW,
    (ns.HYPERVISOR_STORAGE, "volumeresize"): "larger; smaller only by a field that says so",
    (ns.HYPERVISOR_VMCASTING, "get"): "looks, and fetches feeds anew",
    (ns.HYPERVISOR_VMCASTING, "register"): UNDONE,
    (ns.HYPERVISOR_VMCASTING, "unregister"): UNDONE,
    (ns.HYPERVISOR_VMCASTING, "downloadappliance"): NEW,
    (ns.HYPERVISOR_VMCASTING, "stopdownload"): "what is there stays, and the next one goes on from there",
    (ns.NOTIFIER, "test"): "sends one message",
    (ns.SCHEDULER, "schedule"): UNDONE,
    (ns.SCHEDULER, "unschedule"): "a job by its own number, scheduled again at will",
    (ns.CONTACT_PREFERENCES, "set"): OWN,
    (ns.CONTACT_PREFERENCES, "sethours"): OWN,
    (ns.CONTACT_PREFERENCES, "hush"): OWN,
    (ns.CONTACT_PREFERENCES, "reset"): OWN,
    (ns.VM_CONSOLE, "chat"): UNDONE,
    (ns.VM_CONSOLE, "endchat"): UNDONE,
    (ns.VM_CONSOLE, "token"): "lets him look for some minutes",
    (ns.VM_CONTROL, "autostart"): UNDONE,
    (ns.VM_CONTROL, "create"): UNDONE,
    (ns.VM_CONTROL, "memory"): UNDONE,
    (ns.VM_OOM, "setadjust"): "set back at any time",
    (ns.VM_CONTROL, "migrate"): "the machine runs on, elsewhere",
    (ns.VM_CONTROL, "reboot"): "the guest is asked, and saves first",
    (ns.VM_CONTROL, "resume"): UNDONE,
    (ns.VM_CONTROL, "setvcpus"): UNDONE,
    (ns.VM_CONTROL, "shutdown"): "the guest is asked, and saves first",
    (ns.VM_CONTROL, "suspend"): UNDONE,
    (ns.VM_DISK, "convert"): "the same content in another format",
    (ns.VM_DISK, "create"): NEW,
    (ns.VM_DISK, "rename"): UNDONE,
    (ns.VM_DISK, "resize"): "larger; smaller only by a field that says so",
    (ns.VM_DISK, "setgolden"): NEW,
    (ns.VM_GUEST, "execstatus"): "looks",
    (ns.VM_GUEST, "fileread"): "looks",
    (ns.VM_GUEST, "freeze"): UNDONE,
    (ns.VM_GUEST, "synctime"): "the right time",
    (ns.VM_GUEST, "thaw"): UNDONE,
    (ns.VM_MIGRATION, "cancel"): "the machine runs on where it is",
    (ns.VM_SNAPSHOTS, "take"): NEW,
    (ns.VM_VMCASTING, "detach"): "forgets a name, the machine stays as it is",
    (ns.VM_VMCASTING, "package"): NEW,
}


def changing(registry: Registry) -> Iterator[Command]:
    for kind in EntityKind:
        yield from (found for found in registry.commands(kind) if not found.request.reads)


def test_what_changes_something_asks_first_or_stands_in_the_list(capabilities: tuple[TokenCatalogue, Registry]) -> None:
    unasked = {(found.request.namespace, found.request.action) for found in changing(capabilities[1]) if not found.confirm}
    assert unasked == set(UNASKED)


def test_a_confirmation_is_a_sentence(capabilities: tuple[TokenCatalogue, Registry]) -> None:
    asked = {found.confirm for found in changing(capabilities[1]) if found.confirm}
    assert all(text[0].isupper() and text[-1] in ".?" for text in asked), asked


SURE = "Say yes if you mean it. (Or say cancel.)"


@pytest.mark.parametrize("body", ["park web", "destroy network lan", "stop network lan", "stop pool lab", "forget pool lab"])
async def test_a_hypervisor_asks_before_something_is_lost(
    hypervisor: Hypervisor, machine: VirtualMachine, host: FakeHost, body: str
) -> None:
    host.domain(UUID).state_now = DomainState.RUNNING
    assert (await reply(hypervisor, body, ADMIN)).endswith(SURE)
    assert await reply(hypervisor, "no", ADMIN) == "All right, I leave it."
    assert host.domain(UUID).state_now is DomainState.RUNNING


async def test_a_machine_asks_before_an_appliance_replaces_its_definition(machine: VirtualMachine) -> None:
    body = "attach appliance 26b0dbd9-9d43-4b5b-a6d6-31c5a0ac0a47"
    assert "replaces my definition" in await reply(machine, body, OWNER)


@pytest.fixture
def parked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each machine that was parked was so with force; nothing else happens to it."""
    forced: list[bool] = []

    async def note(_machine: VirtualMachine, _parker: str, *, force: bool) -> None:
        forced.append(force)

    monkeypatch.setattr(parking, "take_off", note)
    monkeypatch.setattr(parking, "finish_soon", lambda *_: None)
    return forced


async def test_a_machine_is_parked_with_force_when_its_owner_means_it(machine: VirtualMachine, parked: list[bool]) -> None:
    assert "what my guest has not saved is lost" in await reply(machine, "park force", OWNER)
    assert parked == []
    assert await reply(machine, "yes", OWNER) == "See you."
    assert parked == [True]


async def test_a_machine_that_nothing_is_forced_upon_is_not_asked_about(machine: VirtualMachine, parked: list[bool]) -> None:
    assert await reply(machine, "park", OWNER) == "See you."
    assert parked == [False]


@pytest.mark.parametrize("body", ["guest fileread /etc/hostname", "guest execstatus 7"])
async def test_who_only_looks_is_not_asked_whether_he_means_it(machine: VirtualMachine, body: str) -> None:
    assert "Say yes" not in await reply(machine, body, OWNER)
