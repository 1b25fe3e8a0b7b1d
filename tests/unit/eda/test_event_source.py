# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the event source delivers, in which order, and that it goes on whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from archipel.client import watch as watch_module
from archipel.xmpp.errors import Disconnected, LoginRefused, ServerUnreachable
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, OWN, UUID, ScriptedStream, normal
from tests.unit.eda.conftest import LIST, OTHER, OTHER_MACHINE, TAGS, Start, item, let_listen, listing, notification, push, tags

NEW = UUID[:-1] + "3"
NEW_MACHINE = f"{NEW}@example.org"


def is_push(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "push")


async def test_each_host_is_told_at_the_beginning(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    begun = {}
    while len(begun) < 3:
        event = await listener.take_until(lambda event: event["type"] == "resync")
        begun[event["host"]["name"]] = event
    assert set(begun) == {"hyp", "web", "db"}
    assert {event["reason"] for event in begun.values()} == {"begin"}
    assert begun["web"]["host"] == {
        "name": "web",
        "jid": MACHINE,
        "uuid": UUID,
        "hypervisor": HYPERVISOR,
        "kind": "virtualmachine",
        "tags": [],
    }
    assert begun["hyp"]["host"]["kind"] == "hypervisor"


async def test_a_push_says_what_and_who(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    await listener.settle()
    platform.deliver(f"<presence from='{MACHINE_FULL}'><show>xa</show><status>Off</status></presence>")
    platform.deliver(push(MACHINE, 7, "shutdown", by="teacher@example.org"))
    presence, event = await listener.take(), await listener.take()
    assert (presence["type"], presence["state"], presence["shows"]) == ("presence", "off", "Off")
    assert event.pop("host")["name"] == "web"
    assert event.pop("meta")["uuid"]
    assert event == {
        "type": "push",
        "topic": "virtualmachine:control",
        "change": "shutdown",
        "words": "it was switched off, or shut down",
        "who": "teacher@example.org",
        "own": False,
        "sequence": 7,
        "epoch": "e1",
        "date": "2026-01-02T03:04:05.000006",
        "state": "off",
        "shows": "Off",
    }


async def test_what_the_sources_own_account_did_is_marked(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    await listener.settle()
    platform.deliver(push(MACHINE, 1, by=OWN))
    platform.deliver(push(MACHINE, 2))
    assert [(await listener.take_until(is_push))["own"] for _ in range(2)] == [True, False]


@pytest.mark.parametrize("name", ["{{ lookup('pipe', 'id') }}", "{% if true %}", "{#", "{{{{", "{{%", "a{{b}}c{%d%}"])
async def test_nothing_in_an_event_is_a_template(name: str, listen: Start, platform: ScriptedStream) -> None:
    """ansible-rulebook hands events to playbooks as extra variables, which Ansible trusts."""
    platform.replace(LIST, listing(item(UUID, name.replace("'", "&apos;"))))
    platform.replace(TAGS, tags({MACHINE: "{{tag}}"}))
    listener = listen()
    await listener.settle(2)
    platform.deliver(f"<presence from='{MACHINE_FULL}'><status>{{{{ status }}}}</status></presence>")
    platform.deliver(push(MACHINE, 1, "{{change}}", by="{{who}}"))
    event = await listener.take_until(is_push)
    texts = [event["host"]["name"], *event["host"]["tags"], event["shows"], event["change"], event["who"]]
    assert [text.replace(" ", "") for text in texts] == [
        text.replace(" ", "") for text in (name, "{{tag}}", "{{status}}", "{{change}}", "{{who}}")
    ]
    assert not any(mark in str(text) for text in texts for mark in ("{{", "{%", "{#"))


async def test_words_are_for_people(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    await listener.settle()
    platform.deliver(push(HYPERVISOR, 1, "migrate", topic="hypervisor"))
    platform.deliver(push(HYPERVISOR, 2, "eve@example.org", topic="permissions"))
    moved, granted = await listener.take_until(is_push), await listener.take_until(is_push)
    assert moved["words"].startswith("a machine has come from another hypervisor: a <journey")
    assert (granted["change"], granted["words"], granted["who"]) == ("eve@example.org", "", "")


async def test_the_order_is_kept_and_a_slow_reader_sees_what_was_true_then(listen: Start, platform: ScriptedStream) -> None:
    """A queue of one, that is read only when all is over."""
    listener = listen(size=1)
    await listener.settle()
    for number in range(40):
        show, words, change = (("<show>away</show>", "Paused", "suspended"), ("", "Running", "resumed"))[number % 2]
        platform.deliver(f"<presence from='{MACHINE_FULL}'>{show}<status>{words}</status></presence>")
        platform.deliver(push(MACHINE, number + 1, change))
    for _ in range(20):
        await asyncio.sleep(0)
    assert listener.queue.qsize() == 1
    pushes = [await listener.take_until(is_push) for _ in range(40)]
    assert [event["sequence"] for event in pushes] == list(range(1, 41))
    assert [(event["change"], event["state"]) for event in pushes[:2]] == [("suspended", "paused"), ("resumed", "running")]


async def test_the_uuid_of_a_push_is_the_same_for_everybody(listen: Start, platform: ScriptedStream) -> None:
    found = []
    for _ in range(2):
        listener = listen()
        await listener.settle()
        platform.deliver(push(MACHINE, 1))
        platform.deliver(push(MACHINE, 2))
        platform.deliver(push(OTHER_MACHINE, 1))
        found.append([(await listener.take_until(is_push))["meta"]["uuid"] for _ in range(3)])
        listener.task.cancel()
        await asyncio.wait({listener.task})
    assert found[0] == found[1]
    assert len(set(found[0])) == 3


async def test_a_push_without_number_has_a_uuid_too(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    await listener.settle()
    founding = "<item id='x'><push xmlns='archipel:push:virtualmachine:control' date='2016-01-02 03:04:05.{}' change='created'/></item>"
    for moment in ("000001", "000002", "000001"):
        platform.deliver(notification(MACHINE, founding.format(moment)))
    uuids = [(await listener.take_until(is_push))["meta"]["uuid"] for _ in range(3)]
    assert uuids[0] == uuids[2] != uuids[1]


async def test_a_gap_is_told_before_the_push_after_it(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    await listener.settle()
    for number in (1, 4):
        platform.deliver(push(MACHINE, number))
    platform.deliver(push(MACHINE, 1, epoch="e2"))
    told = [await listener.take() for _ in range(5)]
    assert [(event["type"], event.get("reason"), event.get("sequence")) for event in told] == [
        ("push", None, 1),
        ("resync", "gap", None),
        ("push", None, 4),
        ("resync", "restarted", None),
        ("push", None, 1),
    ]


async def test_malformed_pushes_are_left_out(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    await listener.settle()
    for element in (
        "<push xmlns='archipel:push:virtualmachine:control' change='created'/>",
        "<push xmlns='archipel:push:virtualmachine:control' date='never' change='created'/>",
        "<push xmlns='archipel:push:x' date='2016-01-02 03:04:05.000001' change='x' sequence='-1' epoch='e'/>",
        "<shove xmlns='archipel:push:x'/>",
        "",
    ):
        platform.deliver(notification(MACHINE, f"<item id='x'>{element}</item>"))
    platform.deliver(push("eve@example.org", 1))
    platform.deliver(push(MACHINE, 1))
    assert (await listener.take())["sequence"] == 1


async def test_a_session_that_was_lost_is_told_when_it_is_back(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    await listener.settle()
    platform.break_off()
    reasons = {}
    while len(reasons) < 3:
        event = await listener.take_until(lambda event: event["type"] == "resync")
        reasons[event["host"]["name"]] = event["reason"]
    assert set(reasons.values()) == {"reconnected"}
    assert len(platform.logins) == 2
    platform.deliver(push(MACHINE, 3))
    assert (await listener.take_until(is_push))["sequence"] == 3


async def test_a_machine_that_is_made_later_is_listened_to(listen: Start, platform: ScriptedStream) -> None:
    listener = listen()
    await listener.settle()
    let_listen(platform, NEW_MACHINE)
    platform.replace(LIST, listing(item(UUID, "web"), item(OTHER, "db"), item(NEW, "new")))
    platform.deliver(push(HYPERVISOR, 1, "alloc", topic="hypervisor", by=OWN))
    assert (await listener.take_until(is_push))["change"] == "alloc"
    assert (await listener.take_until(lambda event: event["type"] == "resync"))["host"]["name"] == "new"
    platform.deliver(push(NEW_MACHINE, 1))
    assert (await listener.take_until(is_push))["host"]["uuid"] == NEW


async def test_only_what_was_asked_for_is_delivered(listen: Start, platform: ScriptedStream) -> None:
    listener = listen(entities=["web"])
    await listener.settle(2)
    platform.deliver(push(OTHER_MACHINE, 1))
    platform.deliver(push(HYPERVISOR, 1, "free", topic="hypervisor"))
    platform.deliver(push(MACHINE, 1))
    assert [(await listener.take_until(is_push))["host"]["name"] for _ in range(2)] == ["hyp", "web"]


async def test_tags_choose_machines_when_the_event_comes(listen: Start, platform: ScriptedStream) -> None:
    platform.replace(TAGS, tags({MACHINE: "course-101;;web"}))
    listener = listen(tags=["course-101"])
    await listener.settle(2)
    platform.deliver(push(OTHER_MACHINE, 1))
    platform.deliver(push(MACHINE, 1))
    event = await listener.take_until(is_push)
    assert (event["host"]["name"], event["host"]["tags"]) == ("web", ["course-101", "web"])


async def test_nobody_has_tags_that_cannot_be_read(listen: Start, platform: ScriptedStream, caplog: pytest.LogCaptureFixture) -> None:
    platform.replace(TAGS, Disconnected("gone"))
    listener = listen(tags=["course-101"])
    await listener.settle(1)
    platform.deliver(push(MACHINE, 1))
    platform.deliver(push(HYPERVISOR, 1, "free", topic="hypervisor"))
    assert (await listener.take_until(is_push))["host"]["name"] == "hyp"
    assert caplog.text.count("tags cannot be read") == 1


# -- hypervisors that go and come -----------------------------------------------------------------------------------------


async def test_a_hypervisor_that_stays_away_is_told_to_be_absent_once(listen: Start, platform: ScriptedStream) -> None:
    listener = listen(absence=0.05)
    await listener.settle()
    platform.answers_to = lambda _text: None
    platform.deliver(f"<presence type='unavailable' from='{HYPERVISOR_FULL}'/>")
    gone, absent = await listener.take(), await listener.take()
    assert (gone["type"], gone["state"]) == ("presence", "offline")
    assert (absent["type"], absent["state"], absent["seconds"], absent["host"]["name"]) == ("absent", "offline", 0.05, "hyp")
    platform.deliver(f"<presence from='{HYPERVISOR_FULL}'><status>Online (2)</status></presence>")
    back = [await listener.take() for _ in range(3)]
    assert {event["type"] for event in back} == {"presence", "returned", "resync"}
    assert next(event["reason"] for event in back if event["type"] == "resync") == "returned"
    assert {event["state"] for event in back} == {"online"}


async def test_a_hypervisor_that_is_back_in_time_is_not_told_to_be_absent(listen: Start, platform: ScriptedStream) -> None:
    listener = listen(absence=0.1)
    await listener.settle()
    platform.deliver(f"<presence type='unavailable' from='{HYPERVISOR_FULL}'/>")
    platform.deliver(f"<presence from='{HYPERVISOR_FULL}'><status>Online (2)</status></presence>")
    await asyncio.sleep(0.2)
    kinds = [listener.queue.get_nowait()["type"] for _ in range(listener.queue.qsize())]
    assert "presence" in kinds
    assert "absent" not in kinds


async def test_a_hypervisor_that_never_came_is_absent(listen: Start, platform: ScriptedStream) -> None:
    platform.answers_to = lambda _text: None
    listener = listen(absence=0.05)
    event = await listener.take_until(lambda event: event["type"] == "absent")
    assert (event["host"]["jid"], event["state"]) == (HYPERVISOR, "offline")


async def test_who_is_away_himself_tells_nobody_to_be_absent(
    listen: Start, platform: ScriptedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = listen(absence=0.05)
    await listener.settle()
    platform.refusal = ServerUnreachable("down")
    platform.deliver(f"<presence type='unavailable' from='{HYPERVISOR_FULL}'/>")
    platform.break_off()
    await asyncio.sleep(0.2)
    assert [listener.queue.get_nowait()["type"] for _ in range(listener.queue.qsize())] == ["presence"]


# -- limits of plays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit, name, expected",
    [
        (None, "web", None),
        ("none", "web", None),
        ("name", "web", ["web"]),
        ("jid", "web", [MACHINE]),
        ("hypervisor", "web", [HYPERVISOR]),
        *(
            ("name", name, [MACHINE])
            for name in ("all", "localhost", "ungrouped", "a,b", "!web", "*", "web:db", "@file", "~web", "", "we b")
        ),
    ],
)
async def test_plays_are_limited_to_the_host_and_to_nothing_else(
    limit: str | None, name: str, expected: list[str] | None, listen: Start, platform: ScriptedStream
) -> None:
    platform.replace(LIST, listing(item(UUID, name)))
    listener = listen(limit_plays=limit)
    await listener.settle(2)
    platform.deliver(push(MACHINE, 1))
    assert (await listener.take_until(is_push))["meta"].get("hosts") == expected


# -- beginning and end ----------------------------------------------------------------------------------------------------


async def test_it_ends_when_it_is_cancelled(listen: Start, platform: ScriptedStream) -> None:
    listener = listen(size=1)
    await listener.take()
    await asyncio.sleep(0)
    listener.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listener.task
    assert platform.logged_out


async def test_it_waits_for_a_server(
    listen: Start, platform: ScriptedStream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch_module, "FIRST_RETRY", 0.001)
    platform.refusal = ServerUnreachable("nobody listens there")
    listener = listen()
    while len(platform.logins) < 3:  # noqa: ASYNC110 - the script sets no event
        await asyncio.sleep(0.001)
    platform.refusal = None
    await listener.settle()
    assert caplog.text.count("no connection yet: nobody listens there") == 1


async def test_a_refused_login_is_an_error(listen: Start, platform: ScriptedStream) -> None:
    platform.refusal = LoginRefused("wrong password")
    with pytest.raises(LoginRefused, match="wrong password"):
        await listen().task
    assert len(platform.logins) == 1


async def test_a_loss_while_it_begins_to_listen_is_not_the_end(listen: Start, platform: ScriptedStream, main: Callable[..., Any]) -> None:
    main.__globals__["PAUSE"] = 0.001
    platform.answer(
        "<iq type='get'><query xmlns='jabber:iq:roster'/></iq>",
        Disconnected("lost"),
        Disconnected("lost"),
        "<query xmlns='jabber:iq:roster'/>",
    )
    listener = listen(hypervisors=None)
    with pytest.raises(ValueError, match="hypervisors: name them"):
        await listener.task
    assert platform.asked.count(normal("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>")) == 3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"xmpp_password": "secret-word"}, "xmpp_password: options of a source are written into logs"),
        ({"hypervisor": "x"}, "hypervisor is no option; did you mean hypervisors?"),
        ({"xmpp_port": "many"}, "xmpp_port: 'many' does not do"),
        ({"timeout": -1}, "timeout: -1 does not do: give a number of seconds"),
        ({"absence": "inf"}, "absence: 'inf' does not do"),
        ({"xmpp_allow_plain": "maybe"}, "xmpp_allow_plain: 'maybe' does not do: give true or false"),
        ({"limit_plays": "all"}, "limit_plays: 'all' does not do: give one of none, name"),
        ({"hypervisors": 7}, "hypervisors: 7 does not do"),
        ({"xmpp_jid": None}, "xmpp_jid: say who logs in"),
    ],
)
async def test_a_wrong_option_is_named(options: dict[str, Any], message: str, listen: Start, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")) as raised:
        await listen(**options).task
    assert "secret-word" not in str(raised.value) + caplog.text


async def test_options_may_be_texts_and_the_environment_has_some(
    listen: Start, platform: ScriptedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"JID": OWN, "HOST": "192.0.2.7", "PORT": "5223", "HYPERVISOR": HYPERVISOR}.items():
        monkeypatch.setenv(f"ARCHIPEL_{name}", value)
    listener = listen(
        xmpp_jid=None, xmpp_host=None, hypervisors=None, absence="5", xmpp_allow_plain="no", entities="web", eda_feedback_queue=1
    )
    await listener.settle(2)
    assert platform.logins == [("192.0.2.7", 5223)]


async def test_an_empty_variable_of_the_environment_is_none(
    listen: Start, platform: ScriptedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOST", "PORT", "CA_FILE", "PUBSUB_SERVICE", "HYPERVISOR", "PROFILE"):
        monkeypatch.setenv(f"ARCHIPEL_{name}", "")
    listener = listen(xmpp_host="192.0.2.7")
    await listener.settle(2)
    assert platform.logins == [("192.0.2.7", 5222)]


async def test_without_the_library_it_says_how_to_get_it(main: Callable[..., Any]) -> None:
    main.__globals__["MISSING"] = ImportError("No module named 'archipel'")
    with pytest.raises(RuntimeError, match=r"pip install ~/\.ansible/collections"):
        await main(asyncio.Queue(), {})


async def test_the_password_is_in_no_log(listen: Start, platform: ScriptedStream, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        listener = listen()
        await listener.settle()
    assert "secret-word" not in caplog.text
