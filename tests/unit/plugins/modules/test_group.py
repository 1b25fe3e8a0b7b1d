# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils import groups

from archipel.client import Hypervisor, Session
from archipel.protocol import namespaces as ns
from tests.unit.client.fake_api import FakeApi
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, ScriptedStream, command
from tests.unit.plugins.modules.wire import Wire, query, wire

__all__ = ["wire"]

BOB, EVE = "bob@example.org", "eve@example.org"
GROUPS = "<archipel action='groups'/>"


@pytest.fixture
def api() -> FakeApi:
    """ejabberd's API with one group."""
    fake = FakeApi()
    fake.groups["tp1"] = {"label": "TP 1", "description": "A class", "display": ["tp1"], "members": {BOB}}
    return fake


@pytest.fixture
def url(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where it is."""
    with api.on_loopback() as address:
        monkeypatch.setenv("ARCHIPEL_API_URL", address)
        yield address


@pytest.mark.parametrize(
    "declared, label, members",
    [
        ({"members": ["eve"]}, "TP 1", {BOB, EVE}),
        ({"members": [EVE], "exclusive": True}, "TP 1", {EVE}),
        ({"members": [], "exclusive": True}, "TP 1", set[str]()),
        ({"label": "Class"}, "Class", {BOB}),
        ({"label": "Class", "members": ["@all@"]}, "Class", {BOB, "@all@"}),
    ],
)
@pytest.mark.usefixtures("url")
def test_what_is_not_declared_stays(declared: dict[str, Any], label: str, members: set[str], api: FakeApi, wire: Wire) -> None:
    predicted = wire.run("group", check=True, name="tp1", **declared)
    assert api.groups["tp1"] == {"label": "TP 1", "description": "A class", "display": ["tp1"], "members": {BOB}}
    answer = wire.run("group", name="tp1", **declared)
    assert predicted["changed"]
    assert answer["changed"]
    assert predicted["groups"] == answer["groups"]
    assert answer["groups"][0]["members"] == sorted(members)
    assert api.groups["tp1"] == {"label": label, "description": "A class", "display": ["tp1"], "members": members}
    assert not wire.run("group", name="tp1", **declared)["changed"]


@pytest.mark.usefixtures("url")
def test_groups_may_display_those_that_are_declared_with_them(api: FakeApi, wire: Wire) -> None:
    declared = [{"name": "a", "displayed": ["b"]}, {"name": "b", "label": "B"}]
    assert [group["present"] for group in wire.run("group", groups=declared)["groups"]] == [True, True]
    assert (api.groups["a"]["display"], api.groups["a"]["label"], api.groups["b"]["label"]) == (["b"], "a", "B")
    assert not wire.run("group", groups=declared)["changed"]


@pytest.mark.usefixtures("url")
def test_a_group_is_removed(api: FakeApi, wire: Wire) -> None:
    answer = wire.run("group", name="tp1", state="absent")
    assert answer["groups"] == [{"name": "tp1", "on": "example.org", "present": False, "members": []}]
    assert api.groups == {}
    assert not wire.run("group", name="tp1", state="absent")["changed"]


@pytest.mark.parametrize(
    "members, sent, after",
    [("", [BOB], [BOB]), (f"<group name='helpers'><member jid='{EVE}'/></group>", [BOB, EVE], [BOB, EVE])],
)
def test_a_hypervisor_keeps_a_group(members: str, sent: list[str], after: list[str], wire: Wire) -> None:
    kept = "".join(f"<member jid='{member}'/>" for member in sent)
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, GROUPS, members, f"<group name='helpers'>{kept}</group>")
    request = f"<archipel name='helpers' action='setgroup'>{kept}</archipel>"
    wire.entity(HYPERVISOR_FULL, "set", ns.RIGHTS, request)
    answer = wire.run("group", kept_by="hypervisor", name="helpers", members=["bob"])
    assert answer["groups"][0]["members"] == after
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.RIGHTS, request))


def test_a_group_of_the_server_hides_one_of_a_hypervisor(wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, GROUPS, "<group name='helpers' shared='1'/>")
    answer = wire.run("group", check=True, kept_by="hypervisor", name="helpers", members=["bob"])
    assert "the server's shared roster has a group of that name" in answer["msg"]


@pytest.mark.parametrize(
    "declared, words",
    [
        ({"name": " "}, "name: say what the group is called"),
        ({"name": "tp2", "exclusive": True}, "exclusive: say who the members are"),
        ({"name": "tp2", "displayed": ["nowhere"]}, "displayed: there is no group 'nowhere'"),
        ({"name": "a\\b"}, "is no name of a group"),
        ({"name": "tp2", "kept_by": "hypervisor"}, "members: name at least one"),
        ({"name": "tp2", "kept_by": "hypervisor", "label": "x", "members": [BOB]}, "label: only groups of the server have that"),
        ({"name": "tp2", "kept_by": "hypervisor", "members": ["@all@"]}, "@all@ and @online@ are for groups of the server"),
        ({"groups": [{"name": "a"}, {"name": "a"}]}, "groups: name a is there twice"),
        ({"name": "tp2", "api_url": "http://example.org"}, "api_url: "),
    ],
)
@pytest.mark.usefixtures("url")
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], words: str, wire: Wire) -> None:
    assert words in wire.run("group", check=True, **declared)["msg"]


def test_a_refusal_of_the_api_is_told(api: FakeApi, url: str, wire: Wire) -> None:
    api.instead = (403, "no")
    answer = wire.run("group", name="tp1")
    assert answer["msg"].startswith(f"{url}: srg_list: alice@example.org may not call it")
    assert "secret-word" not in str(answer)


async def test_what_is_described_is_what_may_be_declared(
    url: str, session: Session, hypervisor: Hypervisor, stream: ScriptedStream
) -> None:
    described = await groups.describe_all(session, url)
    assert [group["name"] for group in described] == ["tp1"]
    declared = groups.ServerGroup(session, dict.fromkeys(groups.KIND) | described[0] | {"api_url": url}, check_mode=True)
    before = await declared.read()
    assert declared.desired(before) == before
    listed = f"<group name='helpers'><member jid='{BOB}'/></group><group name='tp1' shared='1'/>"
    stream.answer(command("get", HYPERVISOR_FULL, ns.RIGHTS, GROUPS), query(ns.RIGHTS, listed))
    assert await groups.describe_kept(hypervisor) == [{"name": "helpers", "members": [BOB], "exclusive": True}]
    assert hypervisor.bare == HYPERVISOR
