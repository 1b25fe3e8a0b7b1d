# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else's XEP-0050 (slixmpp's plugin, which neither agent nor client use) walks through every command and every form.

Each answer is held against the rules of XEP-0050 and XEP-0004 (tests/wire/form_rules.py). The values for the forms are those of the
table of all actions.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio
from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError

from archipel.xmpp.tls import client_context
from tests.integration.agent.test_every_action import Scene, define_behind
from tests.wire.action import HYPERVISOR, MACHINE, Action
from tests.wire.actions import ACTIONS
from tests.wire.actions.core import CARD
from tests.wire.actions.notices import PREFERENCES
from tests.wire.form_rules import COMMANDS, FORMS, broken_rules
from tests.wire.person import Person
from tests.wire.platform import Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("tags_node")]

# Refused to whoever holds the right; an administrator settles by them what a hypervisor left behind that is gone.
FOR_ADMINISTRATORS = {(HYPERVISOR, "archipel:hypervisor:migration", action) for action in ("arrival", "forget")}
KINDS = pytest.mark.parametrize("kind", [HYPERVISOR, MACHINE])


class Foreigner:
    """A client made with slixmpp and its plugins; every answer that it gets must follow the rules."""

    def __init__(self, client: ClientXMPP) -> None:
        self._client = client
        self._plugin: Any = client.plugin["xep_0050"]
        self._discovery: Any = client.plugin["xep_0030"]

    async def read_menu(self, entity: str) -> dict[str, str]:
        """Names of commands by their nodes."""
        items = await self._plugin.get_commands(entity)
        found = items["disco_items"]["items"]
        assert {jid for jid, _node, _name in found} == {entity}, "an entity reports its own commands only"
        assert len({node for _jid, node, _name in found}) == len(found)
        return {node: name for _jid, node, name in found}

    async def identify(self, entity: str, node: str) -> tuple[set[Any], set[str]]:
        told = (await self._discovery.get_info(entity, node=node))["disco_info"]
        return {(category, kind) for category, kind, _lang, _name in told["identities"]}, set(told["features"])

    async def send(self, entity: str, node: str, action: str = "execute", session: str | None = None, **values: str) -> Any:
        """Send a command, with a form if there are values, and return the answer, result or error."""
        return await self._send(entity, node, action, session, self._fill(values) if values else None)

    async def submit(self, entity: str, node: str, session: str | None, values: dict[str, str]) -> Any:
        """Send a form back, even an empty one."""
        return await self._send(entity, node, "complete", session, self._fill(values))

    def _fill(self, values: dict[str, str]) -> Any:
        form: Any = self._client.plugin["xep_0004"].make_form("submit")
        for name, value in values.items():
            form.add_field(var=name, value=value.split("\n") if "\n" in value else value)
        return form

    async def _send(self, entity: str, node: str, action: str, session: str | None, form: Any) -> Any:
        try:
            answer = await self._plugin.send_command(entity, node, action=action, payload=form, sessionid=session, timeout=30)
        except IqError as error:
            answer = error.iq
        assert broken_rules(answer.xml, node) == [], f"{action} of {node}: {ET.tostring(answer.xml, encoding='unicode')}"
        return answer


def own_condition(answer: Any) -> str:
    """The condition of XEP-0050 that an error bears."""
    assert answer["type"] == "error", answer
    return next((part.tag.partition("}")[2] for part in answer["error"].xml if part.tag.startswith(f"{{{COMMANDS}}}")), "")


def fields_of(answer: Any) -> dict[str, Any]:
    return dict(answer["command"]["form"].get_fields())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def foreigner(platform: Platform, admin: Person) -> AsyncIterator[Foreigner]:
    """The administrator with another client."""
    password = platform.passwords[admin.bare.partition("@")[0]]
    client = ClientXMPP(f"{admin.bare}/foreign", password, ssl_context=client_context(platform.ejabberd.ca_file))
    client.enable_direct_tls = False
    for plugin in ("xep_0030", "xep_0004", "xep_0050"):
        client.register_plugin(plugin)
    started = asyncio.get_running_loop().create_future()
    client.add_event_handler("session_start", lambda _event: started.set_result(None))
    client.connect(platform.ejabberd.host, platform.ejabberd.port)
    await started
    yield Foreigner(client)
    await client.disconnect()


@pytest_asyncio.fixture(loop_scope="session")
async def address(platform: Platform, admin: Person, kind: str) -> str:
    return platform.host if kind == HYPERVISOR else (await platform.make_machine(admin)).full


@KINDS
async def test_the_menu_and_each_of_its_nodes_describe_themselves(foreigner: Foreigner, address: str, kind: str) -> None:
    menu = await foreigner.read_menu(address)
    assert set(menu) <= {f"{row.namespace}#{row.action}" for row in ACTIONS if row.kind == kind}
    assert len(menu) > 30
    assert all(menu.values()), "each has a name"
    assert await foreigner.identify(address, COMMANDS) == ({("automation", "command-list")}, {COMMANDS, FORMS})
    for node in menu:
        assert await foreigner.identify(address, node) == ({("automation", "command-node")}, {COMMANDS, FORMS})


@KINDS
async def test_each_form_can_be_cancelled_and_refuses_what_is_wrong(foreigner: Foreigner, address: str, kind: str) -> None:
    """Nothing is done: the commands that have no form are left out here."""
    forms = 0
    for node in await foreigner.read_menu(address):
        if not has_form(kind, node):
            continue
        forms += 1
        asked = await foreigner.send(address, node)
        assert (asked["command"]["status"], asked["command"]["actions"]) == ("executing", {"complete"})
        session = asked["command"]["sessionid"]
        fields = fields_of(asked)
        if any(field["required"] for field in fields.values()):
            assert own_condition(await foreigner.submit(address, node, session, {})) == "bad-payload"
        for name in (name for name, field in fields.items() if field["type"] == "boolean"):
            others = {other: "1" for other in fields if other != name}
            assert own_condition(await foreigner.submit(address, node, session, {**others, name: "maybe"})) == "bad-payload"
        assert own_condition(await foreigner.send(address, node, "prev", session)) == "bad-action"
        assert own_condition(await foreigner.submit(address, node, "no-such-session", {})) == "bad-sessionid"
        assert (await foreigner.send(address, node, "cancel", session))["command"]["status"] == "canceled"
        assert own_condition(await foreigner.submit(address, node, session, {})) == "session-expired"
    assert forms > 10


def has_form(kind: str, node: str) -> bool:
    """Whether a command asks for something, as the table of actions has it."""
    return any(row.attributes or row.inner for row in ACTIONS if row.kind == kind and f"{row.namespace}#{row.action}" == node)


def find_rows() -> list[Action]:
    """The first row of each action."""
    found: dict[tuple[str, str, str], Action] = {}
    for row in ACTIONS:
        found.setdefault(row.key, row)
    return list(found.values())


@KINDS
async def test_each_command_is_done_by_its_form(platform: Platform, admin: Person, foreigner: Foreigner, address: str, kind: str) -> None:
    """As the table of all actions says: done, or refused for the reason that it names."""
    menu = set(await foreigner.read_menu(address))
    for row in find_rows():
        if row.kind == kind and f"{row.namespace}#{row.action}" in menu:
            await do_by_form(platform, admin, foreigner, row)
            menu.remove(f"{row.namespace}#{row.action}")
    assert menu == set(), "each was done"
    await admin.command(platform.host, PREFERENCES, "<archipel action='reset'/>")  # other tests hear of what happens


async def do_by_form(platform: Platform, admin: Person, foreigner: Foreigner, row: Action) -> None:
    """Fill in and send the form of one action, for a machine of its own."""
    with define_behind(platform) as other:
        scene = Scene(platform, admin, await platform.make_machine(admin, more=CARD), other, admin)
        address, node = scene.address(row), f"{row.namespace}#{row.action}"
        await scene.bring(row)
        if row.prepare is not None:
            with platform.libvirt() as connection:
                row.prepare(connection)
        answer = await foreigner.send(address, node)
        if answer["type"] == "result" and answer["command"]["status"] == "executing":
            session, fields = answer["command"]["sessionid"], fields_of(answer)
            answer = await foreigner.submit(address, node, session, fill_in(row, scene, fields))
            if answer["type"] == "result":
                assert answer["command"]["sessionid"] == session
                again = await foreigner.submit(address, node, session, {})
                gone = row.kind == MACHINE and again["error"]["condition"] == "service-unavailable"  # freed, parked
                assert gone or own_condition(again) == "session-expired"
        if row.unsupported or (row.refusal and row.key not in FOR_ADMINISTRATORS):
            assert answer["type"] == "error", f"{row}: {answer}"
        else:
            assert (answer["type"], answer["command"]["status"]) == ("result", "completed"), f"{row}: {answer}"


def fill_in(row: Action, scene: Scene, fields: dict[str, Any]) -> dict[str, str]:
    """What a client sends that shows the form's own values and lets somebody change them; all fields, check marks too."""
    request = ET.fromstring(row.request(scene.words()))
    wanted = {**request.attrib, **write_texts(request, fields)}
    blank = {name: shown(field) or ("0" if field["type"] == "boolean" else "") for name, field in fields.items()}
    assert set(wanted) - {"action"} <= set(fields), f"{row}: the form lacks a field"
    return {name: wanted.get(name, value) for name, value in blank.items() if wanted.get(name, value)}


def shown(field: Any) -> str:
    return "\n".join(value.text or "" for value in field.xml.findall(f"{{{FORMS}}}value"))


def write_texts(request: ET.Element, fields: dict[str, Any]) -> dict[str, str]:
    """What stands in a request, as the descriptions of the fields want it: XML, or an item on each line."""
    texts: dict[str, list[str]] = {}
    for part in request:
        multi = [name for name, field in fields.items() if field["type"] == "text-multi"]
        name = next(name for name in (part.tag, f"{part.tag}s", *multi) if name in fields)
        is_xml = name in multi and fields[name]["desc"].startswith("XML")
        texts.setdefault(name, []).append(ET.tostring(part, "unicode") if is_xml else write_line(part))
    return {name: "\n".join(lines) for name, lines in texts.items()}


def write_line(item: ET.Element) -> str:
    if item.text or len(item.attrib) == 1:
        return item.text or next(iter(item.attrib.values()))
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in item.attrib.items())


async def test_a_machine_is_made_gets_a_snapshot_and_an_owner_by_buttons_alone(
    platform: Platform, admin: Person, student: Person, foreigner: Foreigner
) -> None:
    name = "by-buttons"
    made = await press(foreigner, platform.host, "archipel:hypervisor:control#alloc", name=name)
    address = next(word.rstrip(".") for word in made.split() if "@" in word)
    uuid = address.partition("@")[0]
    roster = await press(foreigner, platform.host, "archipel:hypervisor:control#rostervm")
    machine = next(line.partition("(")[2].rstrip(")") for line in roster.splitlines() if line.startswith(f"{name} "))
    try:
        await press(foreigner, machine, "archipel:vm:disk#create", name="system", size="1", unit="M", format="qcow2")
        image = f"{platform.agent.machines}/{uuid}/system.qcow2"
        disk = f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{image}'/><target dev='vda'/></disk>"
        definition = Machine(uuid, name, platform.domain).definition(more=f"<devices>{disk}</devices>")
        await press(foreigner, machine, "archipel:vm:definition#define", domain=definition)
        await press(foreigner, machine, "archipel:virtualmachine:snapshoting#take", name="first")
        await press(foreigner, machine, "archipel:vm:control#create")
        await press(
            foreigner, machine, "archipel:rights#grant", rules=f"subject={student.bare} right=info\nsubject={student.bare} right=message"
        )
        assert "first" in await press(foreigner, machine, "archipel:virtualmachine:snapshoting#get")
        assert "running" in await student.say(machine, "info")
    finally:
        await press(foreigner, platform.host, "archipel:hypervisor:control#free", jid=address)


async def press(foreigner: Foreigner, entity: str, node: str, **values: str) -> str:
    """Choose a command of the menu, fill in its form if it has one, and return what it says in the end."""
    assert node in await foreigner.read_menu(entity)
    answer = await foreigner.send(entity, node)
    if answer["type"] == "result" and answer["command"]["status"] == "executing":
        answer = await foreigner.submit(entity, node, answer["command"]["sessionid"], values)
    assert (answer["type"], answer["command"]["status"]) == ("result", "completed"), f"{node}: {answer}"
    return str(answer["command"]["notes"][0][1])
