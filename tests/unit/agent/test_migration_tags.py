# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's tags stand on the platform's node once, published by who serves it; who lets it go takes his item back."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import entity as entity_module
from archipel.agent import migrating
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.events import TAGS_NODE
from tests.unit.agent.conftest import finish_work
from tests.unit.agent.fake_xmpp import FakeStream, FakeXmpp, Node
from tests.unit.agent.fakes import UUID, VM
from tests.unit.agent.two_houses import Houses, Loaded, open_houses

TAGGED = ("course-101", "red")


class StrictXmpp(FakeXmpp):
    """A server where a publisher can change his own items only, as ejabberd's; the node's owner is somebody else."""

    def _publish(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        self.refuse_others(stream, asked)
        return super()._publish(stream, asked)

    def _retract(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        self.refuse_others(stream, asked)
        return super()._retract(stream, asked)

    def refuse_others(self, stream: FakeStream, asked: ET.Element) -> None:
        node, item = self.node(asked[0].get("node", "")), asked[0][0].get("id", "")
        _payload, publisher = node.items.get(item, (None, stream.boundjid.bare))
        if publisher != stream.boundjid.bare:
            raise CommandError("it is another publisher's", 403, Condition.FORBIDDEN)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> StrictXmpp:
    server = StrictXmpp()
    monkeypatch.setattr(entity_module, "Stream", server.open_stream)
    server.nodes[TAGS_NODE] = Node("admin@lab.example")
    return server


@pytest.fixture
def opener(
    agent_folder: Path, empty_database: Path, server: StrictXmpp, monkeypatch: pytest.MonkeyPatch, capabilities: Loaded
) -> Callable[[], AbstractAsyncContextManager[Houses]]:
    numbers = itertools.count()
    return lambda: open_houses(agent_folder / str(next(numbers)), empty_database, server, monkeypatch, capabilities)


@pytest.fixture
async def houses(opener: Callable[[], AbstractAsyncContextManager[Houses]]) -> AsyncIterator[Houses]:
    async with opener() as houses:
        await houses.machine.keep_tags(TAGGED)
        yield houses


def shown(server: FakeXmpp) -> dict[str, tuple[str | None, str | None]]:
    """Return the tags on the node, and who published them, by the entity."""
    items = server.nodes[TAGS_NODE].items
    return {bare: (None if payload is None else payload.get("tags"), publisher) for bare, (payload, publisher) in items.items()}


async def run_home(houses: Houses) -> tuple[str, ...]:
    """Let housekeeping work on both sides until nothing changes."""
    for house in (*houses.both, *houses.both):
        await house.settle()
    return await houses.where()


def published_by(account: str) -> dict[str, tuple[str, str]]:
    """Return what is shown where this account shows the machine's tags."""
    return {VM: (";;".join(TAGGED), f"{account}@lab.example")}


async def test_tags_go_along_and_are_the_new_hypervisors(houses: Houses, server: StrictXmpp) -> None:
    assert shown(server) == published_by("hyp")
    await houses.migrate()
    assert await run_home(houses) == ("second",)
    assert shown(server) == published_by("second")
    # Who watches the node hears that there are none before the item goes: founders' clients take no retraction.
    ours = [(who.partition("@")[0], step) for who, step in server.steps if step in {"publish", "retract"}]
    assert ours[ours.index(("hyp", "retract")) - 1] == ("hyp", "publish")
    assert ours.index(("hyp", "retract")) < len(ours) - 1 - ours[::-1].index(("second", "publish"))


async def test_tags_come_back_with_the_machine(houses: Houses, server: StrictXmpp) -> None:
    await houses.migrate()
    await run_home(houses)
    machine = houses.second.hypervisor.machines[UUID]
    await migrating.begin(machine, "owner@lab.example", houses.first.hypervisor.full)
    await finish_work(houses.first.hypervisor, houses.second.hypervisor)
    assert await run_home(houses) == ("hyp",)
    assert shown(server) == published_by("hyp")


@pytest.mark.parametrize("step", ["publish", "retract"])
async def test_a_machine_moves_although_its_tags_cannot_be_taken_back(step: str, houses: Houses, server: StrictXmpp) -> None:
    server.refuse[step] = CommandError("not now", 500, Condition.INTERNAL_SERVER_ERROR)
    await houses.migrate()
    assert await run_home(houses) == ("second",)


async def test_a_machine_moves_where_the_platform_keeps_no_tags(houses: Houses, server: StrictXmpp) -> None:
    del server.nodes[TAGS_NODE]
    await houses.migrate()
    assert await run_home(houses) == ("second",)


async def test_a_hypervisor_that_dies_midway_keeps_no_item_of_a_machine_that_left(
    opener: Callable[[], AbstractAsyncContextManager[Houses]], server: StrictXmpp
) -> None:
    for moment in itertools.count(1):
        async with opener() as houses:
            await houses.machine.keep_tags(TAGGED)
            houses.fate.victim, houses.fate.moment = "hyp", moment
            with contextlib.suppress(CommandError):
                await houses.migrate()
            if not houses.fate.struck:
                break
            await houses.first.begin_again()
            [place] = await run_home(houses)
            assert shown(server) == published_by(place), (moment, houses.said)
        shutil.rmtree(houses.first.services.settings.machines.base_path, ignore_errors=True)
        server.nodes[TAGS_NODE].items.clear()
    assert moment > 5
