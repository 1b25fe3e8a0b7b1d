# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ejabberd's API: where it is, who logs in, and what refusals are in words."""

from __future__ import annotations

import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from archipel.client import ConnectionSettings
from archipel.client.server_api import ServerApi, ServerApiFailed
from archipel.client.shared_groups import SharedGroup, SharedGroups
from tests.unit.client.fake_api import FakeApi

SETTINGS = ConnectionSettings(jid="alice@example.org", password="secret-word", timeout=5)
CLASS = SharedGroup("tp1", "TP 1", "été", ("tp1", "tp2"), frozenset({"bob@example.org", "@all@"}))


@pytest.mark.parametrize("lists", [False, True], ids=["23.01", "24.12"])
async def test_groups_are_written_and_read_with_either_way_of_saying_several_names(lists: bool) -> None:
    fake = FakeApi(lists=lists)
    with fake.on_loopback() as url:
        groups = SharedGroups(ServerApi(SETTINGS, url))
        await groups.write(SharedGroup("tp2", "tp2", "", (), frozenset()))
        await groups.write(CLASS)
        assert await groups.list() == ("tp1", "tp2")
        assert await groups.read("tp1") == CLASS
        await groups.delete("tp2")
        assert await groups.read("tp2") is None
        assert (found := await groups.read("tp1")) is not None
        assert (found.displayed, found.members) == (("tp1",), CLASS.members)
    assert fake.logins == {"alice@example.org:secret-word"}


async def test_what_is_as_wanted_is_not_written_again() -> None:
    fake = FakeApi()
    with fake.on_loopback() as url:
        groups = SharedGroups(ServerApi(SETTINGS, url))
        await groups.write(CLASS)
        fake.called.clear()
        await groups.write(CLASS)
    assert {command for command in fake.called if command not in {"srg_list", "srg_get_info", "srg_get_members"}} == set()


async def test_a_group_that_the_server_refuses_is_none() -> None:
    with FakeApi(lists=True).on_loopback() as url, pytest.raises(ServerApiFailed, match=r"srg_create: example\.org refused the group tp1"):
        await SharedGroups(ServerApi(SETTINGS, url)).write(CLASS)


async def test_a_socket_will_do(tmp_path: Path) -> None:
    class UnixServer(socketserver.UnixStreamServer):
        """Has an address for the handler to name."""

        def get_request(self) -> tuple[object, tuple[str, int]]:  # type: ignore[override]  # a socket's peer has no name
            return super().get_request()[0], ("socket", 0)

    fake = FakeApi()
    handler: type[BaseHTTPRequestHandler] = fake.handler()
    with fake.serve(UnixServer(str(tmp_path / "api.sock"), handler)):
        assert await SharedGroups(ServerApi(SETTINGS, f"unix:{tmp_path}/api.sock")).list() == ()


@pytest.mark.parametrize(
    "status, body, words",
    [
        (401, "no", "ejabberd does not take account and password of alice@example.org"),
        (403, "no", "alice@example.org may not call it: its access must be in ejabberd's api_permissions"),
        (404, "no", "there is no such command: ejabberd needs mod_http_api at that path, and mod_admin_extra"),
        (500, "internal_error", "ejabberd answered 500: internal_error"),
        (400, "bad", "ejabberd answered 400: bad"),
        (200, "<html/>", "the answer is no JSON"),
        (200, '{"not": "a list"}', "example.org answered with something unreadable"),
    ],
)
async def test_a_refusal_is_told_with_the_command_and_what_to_do(status: int, body: str, words: str) -> None:
    fake = FakeApi()
    fake.instead = (status, body)
    with fake.on_loopback() as url, pytest.raises(ServerApiFailed, match="srg_list: ") as raised:
        await SharedGroups(ServerApi(SETTINGS, url)).list()
    assert words in str(raised.value)
    assert "secret-word" not in str(raised.value)


async def test_nobody_there_is_told() -> None:
    with FakeApi().on_loopback() as url:
        pass
    with pytest.raises(ServerApiFailed, match="ejabberd's API does not answer"):
        await ServerApi(SETTINGS, url).call("srg_list")


@pytest.mark.parametrize(
    "url, words",
    [
        ("http://example.org/api", "would show the password to everybody on the way; use https"),
        ("ftp://example.org/api", "is no address such as https://"),
        ("https://bob:secret@example.org/api", "is no address such as https://"),
        ("unix://run/api.sock", "is no address such as https://"),
        ("here", "is no address such as https://"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match="api_url: ") as raised:
        ServerApi(SETTINGS, url)
    assert words in str(raised.value)
