# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:tags on the wire, and what stands on the platform's tags node."""

from __future__ import annotations

import pytest

from tests.wire.matching import assert_error, assert_payload, name_of, show
from tests.wire.person import PUBSUB, Person
from tests.wire.platform import HOST, TAGS, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each", "tags_node")]

ENTITIES = pytest.mark.parametrize("entity", ["hypervisor", "machine"])
NODE = "/archipel/tags"


@pytest.fixture
def address(platform: Platform, machine: Machine, entity: str) -> str:
    return {"hypervisor": platform.host, "machine": machine.full}[entity]


async def tags_of(platform: Platform, admin: Person, bare: str) -> list[str]:
    """What the node says of an entity: one item, or none."""
    answer = await admin.ask_server(platform.pubsub, f"<pubsub xmlns='{PUBSUB}'><items node='{NODE}'/></pubsub>", "get")
    tags = [part for part in answer.iter() if name_of(part) == "tag" and part.get("jid") == bare]
    assert all(set(tag.attrib) == {"jid", "tags"} for tag in tags)
    return [tag.get("tags") or "" for tag in tags]


@ENTITIES
@pytest.mark.parametrize("kind", ["get", "set"])
async def test_tags_stand_on_the_platforms_node(platform: Platform, admin: Person, student: Person, address: str, kind: str):
    bare = address.partition("/")[0]
    await platform.grant(admin, address, student, "settags")
    for given, kept in (
        ("web;;paris", ["web;;paris"]),
        ("lab ;; ;;web;;lab", ["lab;;web"]),
        ("a&amp;b;;\u00e9t\u00e9", ["a&b;;\u00e9t\u00e9"]),
        ("", [""]),
    ):
        assert_payload(await student.command(address, TAGS, f"<archipel action='settags' tags='{given}'/>", kind), TAGS, "")
        assert await tags_of(platform, admin, bare) == kept


@ENTITIES
@pytest.mark.parametrize("wrong", ["", f"tags='{'x' * 101}'", f"tags='{';;'.join(map(str, range(51)))}'"])
async def test_wrong_tags_are_refused_and_the_old_ones_stay(platform: Platform, admin: Person, address: str, wrong: str):
    bare = address.partition("/")[0]
    await admin.command(address, TAGS, "<archipel action='settags' tags='kept'/>")
    answer = await admin.command(address, TAGS, f"<archipel action='settags' {wrong}/>")
    assert_error(answer, code=-7, condition="bad-request", mentions="tags", action="settags")
    assert await tags_of(platform, admin, bare) == ["kept"]


@ENTITIES
async def test_tags_that_nobody_keeps_any_more_do_not_matter(platform: Platform, admin: Person, address: str):
    bare = address.partition("/")[0]
    await admin.command(address, TAGS, "<archipel action='settags' tags='old'/>")
    retract = f"<pubsub xmlns='{PUBSUB}'><retract node='{NODE}'><item id='{bare}'/></retract></pubsub>"
    await admin.ask_server(platform.pubsub, retract)
    for tags, kept in (("", [""]), ("new", ["new"])):
        assert_payload(await admin.command(address, TAGS, f"<archipel action='settags' tags='{tags}'/>"), TAGS, "")
        assert await tags_of(platform, admin, bare) == kept


async def test_the_tags_of_a_machine_go_with_it(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, TAGS, "<archipel action='settags' tags='gone'/>")
    assert await tags_of(platform, admin, machine.bare) == ["gone"]
    answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{machine.bare}'/>")
    assert answer.get("type") == "result", show(answer)
    assert await tags_of(platform, admin, machine.bare) == []


@ENTITIES
async def test_a_hypervisor_that_may_not_publish_says_who_lets_it(platform: Platform, admin: Person, address: str):
    bare = address.partition("/")[0]
    await admin.command(address, TAGS, "<archipel action='settags' tags='kept'/>")
    host = platform.host.partition("/")[0]
    entitle = (
        f"<pubsub xmlns='{PUBSUB}#owner'><affiliations node='{NODE}'><affiliation jid='{host}' affiliation='{{}}'/></affiliations></pubsub>"
    )
    await admin.ask_server(platform.pubsub, entitle.format("none"))
    try:
        answer = await admin.command(address, TAGS, "<archipel action='settags' tags='new'/>")
    finally:
        await admin.ask_server(platform.pubsub, entitle.format("publisher"))
    assert_error(answer, code=-7, condition="forbidden", mentions="platform init", action="settags")
    assert host in show(answer)
    assert await tags_of(platform, admin, bare) == ["kept"]
