# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entity says of itself to any XMPP client."""

from __future__ import annotations

from importlib.metadata import version
from xml.etree import ElementTree as ET

import pytest

from archipel.agent.discovery import answer
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from tests.unit.agent.fake_xmpp import parse_stanza
from tests.unit.agent.fakes import OWNER, STRANGER


def ask(entity: Entity, namespace: str) -> ET.Element:
    return answer(entity, parse_stanza(f"<iq type='get' id='1' from='{OWNER.full}'><query xmlns='{namespace}'/></iq>"), namespace, OWNER)


def features(entity: Entity) -> set[str | None]:
    return {found.get("var") for found in ask(entity, ns.DISCO_INFO).iter(f"{{{ns.DISCO_INFO}}}feature")}


async def test_an_entity_is_an_automaton_with_a_name(machine: VirtualMachine) -> None:
    identity = next(ask(machine, ns.DISCO_INFO).iter(f"{{{ns.DISCO_INFO}}}identity"))
    assert identity.attrib == {"category": "automation", "type": "bot", "name": "web"}


async def test_the_features_are_what_is_really_served(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    everywhere = {ns.COMMANDS, ns.PING, ns.DISCO_INFO, ns.DISCO_ITEMS, ns.VERSION}
    await hypervisor.services.rights.grant(hypervisor.bare, OWNER.bare, "ip", granted_by=hypervisor.bare)
    for entity, some in ((machine, {ns.VM_CONTROL, ns.VM_DEFINITION, ns.TAGS}), (hypervisor, {ns.HYPERVISOR_CONTROL, ns.TAGS})):
        served = {command.request.namespace for command in entity.services.registry.commands(entity.kind)}
        assert features(entity) == everywhere | served
        assert served >= some


def ask_node(entity: Entity, namespace: str, node: str) -> ET.Element:
    question = f"<iq type='get' id='1' from='{OWNER.full}'><query xmlns='{namespace}' node='{node}'/></iq>"
    return answer(entity, parse_stanza(question), namespace, OWNER)


async def test_the_node_of_a_command_bears_its_name(machine: VirtualMachine) -> None:
    told = ask_node(machine, ns.DISCO_INFO, f"{ns.VM_CONTROL}#create")
    [identity] = told.iter(f"{{{ns.DISCO_INFO}}}identity")
    assert identity.attrib == {"category": "automation", "type": "command-node", "name": "Start this machine."}
    [identity] = ask_node(machine, ns.DISCO_INFO, ns.COMMANDS).iter(f"{{{ns.DISCO_INFO}}}identity")
    assert identity.attrib == {"category": "automation", "type": "command-list", "name": "Commands"}


@pytest.mark.parametrize("namespace", [ns.DISCO_INFO, ns.DISCO_ITEMS])
@pytest.mark.parametrize("node", ["nothing", f"{ns.HYPERVISOR_CONTROL}#alloc", f"{ns.VM_CONTROL}#screenshot"])
async def test_a_node_that_is_none_is_not_found(machine: VirtualMachine, namespace: str, node: str) -> None:
    refused = ask_node(machine, namespace, node)
    assert refused.get("type") == "error"
    assert refused.find(f".//{{{ns.STANZAS}}}item-not-found") is not None


async def test_there_are_no_items(machine: VirtualMachine) -> None:
    assert list(ask(machine, ns.DISCO_ITEMS)[0]) == []


async def test_the_version_is_that_of_the_package(machine: VirtualMachine) -> None:
    told = {child.tag.rpartition("}")[2]: child.text for child in ask(machine, ns.VERSION)[0]}
    assert told == {"name": "archipel-agent", "version": version("archipel")}


@pytest.mark.parametrize("namespace", [ns.DISCO_INFO, ns.DISCO_ITEMS, ns.VERSION])
async def test_strangers_are_told_nothing(machine: VirtualMachine, namespace: str) -> None:
    question = parse_stanza(f"<iq type='get' id='1' from='{STRANGER.full}'><query xmlns='{namespace}'/></iq>")
    refused = answer(machine, question, namespace, STRANGER)
    assert (refused.get("type"), refused.get("to"), len(refused)) == ("error", STRANGER.full, 1)
    assert refused.find(f".//{{{ns.STANZAS}}}forbidden") is not None
