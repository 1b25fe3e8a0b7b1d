# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory, find_entities

from archipel.client import AmbiguousMachine, Hypervisor, MachineEntry, MachineNotFound
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import PermissionDenied
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, UUID, ScriptedStream, command, no_right

OTHER_UUID = "6f0c0000-0000-4000-8000-000000000002"
LIST = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>")
ITEMS = (
    f"<query xmlns='{ns.HYPERVISOR_CONTROL}'><item managed='True' name='web'>{MACHINE_FULL}</item>"
    f"<item managed='False' name='legacy'>{OTHER_UUID}@example.org</item></query>"
)


def directory(hypervisor: Hypervisor, *names: str, managed: bool = True) -> Directory:
    """Return a directory of machines with these names."""
    uuids = [f"6f0c0000-0000-4000-8000-{number:012}" for number in range(len(names))]
    return Directory(
        hypervisor, [MachineEntry(name, uuid, f"{uuid}@example.org", managed) for name, uuid in zip(names, uuids, strict=True)]
    )


async def test_machines_are_found_by_name_uuid_and_jid(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(LIST, ITEMS)
    loaded = await Directory.load(hypervisor, [])
    for reference in ("web", " web ", UUID, UUID.upper(), MACHINE, MACHINE_FULL):
        assert loaded.machine(reference).uuid == UUID
    assert loaded.find("nowhere") is None


async def test_a_domain_that_is_not_managed_is_no_machine(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(LIST, ITEMS)
    loaded = await Directory.load(hypervisor, [])
    assert loaded.find("legacy") == MachineEntry("legacy", OTHER_UUID, f"{OTHER_UUID}@example.org", managed=False)
    with pytest.raises(MachineNotFound, match="libvirt has such a domain: adopt it"):
        loaded.machine("legacy")


def test_blanks_may_have_become_hyphens(hypervisor: Hypervisor) -> None:
    assert directory(hypervisor, "web-1").machine("web 1").name == "web-1"
    assert directory(hypervisor, "web-1", "web 1").machine("web 1").name == "web 1"


def test_composed_characters_are_the_same(hypervisor: Hypervisor) -> None:
    assert directory(hypervisor, "caf\N{LATIN SMALL LETTER E WITH ACUTE}").find("cafe\N{COMBINING ACUTE ACCENT}") is not None


def test_one_of_several_of_a_name_is_found_by_its_uuid(hypervisor: Hypervisor) -> None:
    with pytest.raises(AmbiguousMachine, match=r"several machines are called 'web': .*; give the uuid"):
        directory(hypervisor, "web", "web").find("web")


async def test_without_the_list_uuids_stand_for_themselves(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(LIST, no_right("rostervm"))
    loaded = await Directory.load(hypervisor, [UUID, f"{OTHER_UUID}@example.org/hyp"])
    assert loaded.machine(UUID).bare == MACHINE
    assert loaded.machine(OTHER_UUID).bare == f"{OTHER_UUID}@example.org"


@pytest.mark.parametrize("references", [[], ["web"], [UUID, "web"]])
async def test_without_the_list_names_are_nobodys(references: list[str], hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(LIST, no_right("rostervm"))
    with pytest.raises(PermissionDenied) as caught:
        await Directory.load(hypervisor, references)
    assert caught.value.right == "rostervm"


async def test_no_machines_mean_the_hypervisor(hypervisor: Hypervisor) -> None:
    (found,) = await find_entities(hypervisor, None)
    assert (found.name, found.entity) == (HYPERVISOR, hypervisor)


async def test_each_machine_is_found_once_and_all_that_are_missing_are_told(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(LIST, ITEMS)
    assert [found.name for found in await find_entities(hypervisor, ["web", "web"])] == ["web"]
    with pytest.raises(MachineNotFound, match=r"'one'.*'two'"):
        await find_entities(hypervisor, ["one", "web", "two"])


def test_machines_of_one_list_answer_to_what_each_answers_to(hypervisor: Hypervisor) -> None:
    uuids = [UUID, OTHER_UUID]
    entries = [
        MachineEntry("web", UUID, f"{UUID}@example.org/hyp", managed=True),
        MachineEntry(UUID, OTHER_UUID, f"{OTHER_UUID}@example.org", managed=False),  # somebody called it so
    ]
    loaded = Directory(hypervisor, entries)
    words = [
        "web",
        "",
        "hyp",
        "WEB",
        *uuids,
        *(uuid.upper() for uuid in uuids),
        *(word for entry in entries for word in (entry.jid, entry.bare)),
    ]
    for word in words:
        assert set(loaded._answering(word)) == {entry for entry in entries if entry.answers_to(word)}, word
