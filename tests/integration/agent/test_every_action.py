# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each action of each kind of entity: allowed, refused, malformed, asked with get and with set (the rows of tests/wire/actions/).

What an action answers and does beyond that is looked at in the file of its namespace.
"""

from __future__ import annotations

import contextlib
import secrets
import uuid as uuids
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import libvirt
import pytest
import pytest_asyncio

from tests.wire.action import HYPERVISOR, NEVER, Action, Wrong, grant
from tests.wire.actions import ACTIONS
from tests.wire.actions.core import CARD
from tests.wire.matching import assert_error, assert_payload, assert_refused, assert_stranger_refused, assert_unsupported, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION_XML, PERMISSIONS, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each", "tags_node")]

KINDS = pytest.mark.parametrize("kind", ["get", "set"])
EACH = pytest.mark.parametrize("action", ACTIONS, ids=str)
RIGHTS = {kind: {action.right for action in ACTIONS if action.kind == kind and action.right} for kind in {row.kind for row in ACTIONS}}
STEPS = {"off": (), "running": ("create",), "paused": ("create", "suspend")}


@dataclass(frozen=True)
class Scene:
    """Who asks whom about what: a machine that is managed, a domain that is not."""

    platform: Platform
    admin: Person
    machine: Machine
    other: str
    asker: Person

    def address(self, action: Action) -> str:
        return self.platform.host if action.kind == HYPERVISOR else self.machine.full

    def words(self) -> dict[str, str]:
        machine, platform = self.machine, self.platform
        return {
            "jid": machine.bare,
            "full": machine.full,
            "uuid": machine.uuid,
            "other": f"{self.other}@{platform.domain}",
            "person": self.asker.bare,
            "host": platform.host,
            "pools": f"{platform.agent.folder}/vm/pools",
            "definition": machine.definition().replace("65536", "32768"),
        }

    async def let_hold(self, action: Action, rights: set[str]) -> None:
        """Let the asker hold exactly these rights of those that any action needs."""
        every = {*RIGHTS[action.kind], "message"}
        changes = "".join(grant(self.asker.bare, right, str(int(right in rights))) for right in sorted(every | rights))
        answer = await self.admin.command(self.address(action), PERMISSIONS, f"<archipel action='set'>{changes}</archipel>")
        assert_payload(answer, PERMISSIONS, "")

    async def bring(self, action: Action) -> None:
        if action.rights_on_machine:
            await self.platform.grant(self.admin, self.machine.full, self.asker, *action.rights_on_machine)
        steps = [(CONTROL, f"<archipel action='{step}'/>") for step in STEPS[action.state]]
        before = [(namespace, request.format(**self.words())) for namespace, request in action.before]
        for namespace, request in (*before, *steps):
            answer = await self.admin.command(self.address(action), namespace, request)
            assert answer.get("type") == "result", show(answer)

    def all_that_could_change(self, action: Action) -> object:
        """Domains, records, rights and roster, as far as a request of this scene concerns them."""
        platform, bare = self.platform, self.address(action).partition("/")[0]
        with platform.libvirt() as connection:
            flags = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE
            domains = [
                (domain.XMLDesc(flags), domain.info()[:4], domain.autostart())
                for domain in connection.listAllDomains()
                if domain.UUIDString() in {self.machine.uuid, self.other} or domain.name() == NEVER
            ]
            networks = [(found.XMLDesc(), found.isActive(), found.autostart()) for found in connection.listAllNetworks()]
        names = self.machine.uuid, self.other, NEVER
        records = platform.rows("SELECT * FROM virtual_machines WHERE uuid IN (?, ?) OR name = ? ORDER BY uuid", *names)
        rights = platform.rows("SELECT entity, subject, token FROM grants WHERE entity IN (?, ?) ORDER BY id", bare, self.machine.bare)
        return sorted(domains), sorted(networks), records, rights, sorted(platform.roster_on_server(bare))


@contextlib.contextmanager
def define_behind(platform: Platform) -> Iterator[str]:
    """A domain that no agent manages; its UUID."""
    uuid = str(uuids.uuid4())
    with platform.libvirt() as connection:
        connection.defineXML(DEFINITION_XML.format(name=f"vm-{secrets.token_hex(4)}", uuid=uuid, more=""))
    yield uuid
    with platform.libvirt() as connection, contextlib.suppress(libvirt.libvirtError):
        connection.lookupByUUIDString(uuid).undefine()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asker(platform: Platform) -> Person:
    return await platform.enter()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene(platform: Platform, admin: Person, asker: Person) -> AsyncIterator[Scene]:
    """What requests that change nothing can share."""
    with define_behind(platform) as other:
        yield Scene(platform, admin, await platform.make_machine(admin, more=CARD), other, asker)


@EACH
@KINDS
async def test_who_holds_the_right_may(platform: Platform, admin: Person, asker: Person, action: Action, kind: str):
    with define_behind(platform) as other:
        scene = Scene(platform, admin, await platform.make_machine(admin, more=CARD), other, asker)
        await scene.let_hold(action, {action.right or "message"})
        await scene.bring(action)
        if action.prepare is not None:
            with platform.libvirt() as connection:
                action.prepare(connection)
        answer = await asker.command(scene.address(action), action.namespace, action.request(scene.words()), kind)
        if action.unsupported:
            assert_unsupported(answer, action.action)
        elif action.refusal:
            code, condition = action.refusal
            assert_error(answer, code=code, condition=condition, action=action.action)
        else:
            assert_allowed(scene, action, answer)
        if action.action == "free":
            await eventually(lambda: platform.rows("SELECT uuid FROM virtual_machines WHERE uuid = ?", scene.machine.uuid) == [])


def assert_allowed(scene: Scene, action: Action, answer: ET.Element) -> None:
    assert answer.get("type") == "result", show(answer)
    if action.answer is not None:
        assert_payload(answer, action.namespace, action.answer.format(**scene.words()))
    if action.effect is not None:
        with scene.platform.libvirt() as connection:
            assert action.effect(connection.lookupByUUIDString(scene.machine.uuid))


@EACH
@KINDS
async def test_who_lacks_the_right_is_told_which(scene: Scene, action: Action, kind: str):
    """He holds all other rights; who needs none but to be known is refused as a stranger."""
    await scene.let_hold(action, RIGHTS[action.kind] - {action.right} if action.right else set())
    before = scene.all_that_could_change(action)
    answer = await scene.asker.command(scene.address(action), action.namespace, action.request(scene.words()), kind)
    if action.right is None:
        assert_stranger_refused(answer)
    else:
        assert_refused(answer, action.right)
    assert scene.all_that_could_change(action) == before


@KINDS
@pytest.mark.parametrize(
    "action, wrong",
    [pytest.param(action, wrong, id=f"{action}-{number}") for action in ACTIONS for number, wrong in enumerate(action.malformed)],
)
async def test_what_is_malformed_is_named_and_changes_nothing(scene: Scene, action: Action, wrong: Wrong, kind: str):
    await scene.let_hold(action, {action.right or "message"})
    before = scene.all_that_could_change(action)
    answer = await scene.asker.command(scene.address(action), action.namespace, action.request(scene.words(), wrong), kind)
    assert_error(answer, code=action.code, condition="bad-request", mentions=wrong.told, action=action.action)
    assert scene.all_that_could_change(action) == before
