# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import uvloop

from archipel.agent import appliance_repository
from archipel.agent import download as download_module
from archipel.agent.appliance_repository import repository_of
from archipel.agent.dispatch import answer_iq
from archipel.agent.download import Order, download
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.options import Host
from archipel.agent.own_feed import FeedServer, write_own_feed
from archipel.agent.web_fetch import FetchFailed, Progress, Reach, check_url, fetch
from archipel.protocol.errors import CommandError
from archipel.protocol.feeds import FeedUnreadable, parse_feed
from tests.unit.agent.conftest import ask as ask_entity
from tests.unit.agent.conftest import finish_work
from tests.unit.agent.fake_xmpp import FakeXmpp, parse_stanza
from tests.unit.agent.fakes import ADMIN, HYP, command_iq, make_settings
from tests.unit.agent.feed_house import FEED_UUID, ITEM_UUID, FeedHouse, open_feed_house
from tests.wire.waiting import eventually

CASTS = "archipel:hypervisor:vmcasting"
CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedHouse]:
    monkeypatch.setattr(download_module, "PAUSE", 0.0)
    with open_feed_house() as house:
        house.offer(CONTENT)
        yield house


async def ask(hypervisor: Hypervisor, action: str, more: str = "") -> ET.Element:
    return await ask_entity(hypervisor, CASTS, f"<archipel action='{action}' {more}/>", ADMIN)


async def status(hypervisor: Hypervisor) -> dict[str, str]:
    found = await ask(hypervisor, "get")
    return {one.get("uuid", ""): one.get("status", "") for one in found.iter() if one.tag.endswith("appliance")}


async def subscribe(hypervisor: Hypervisor, house: FeedHouse) -> None:
    await ask(hypervisor, "register", f"url='{house.url}'")


async def test_an_appliance_is_offered_downloaded_listed_and_deleted(hypervisor: Hypervisor, house: FeedHouse) -> None:
    await subscribe(hypervisor, house)
    assert await status(hypervisor) == {ITEM_UUID: "3"}
    await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    file = repository_of(hypervisor).file_of(ITEM_UUID)
    assert file.read_bytes() == CONTENT
    assert await status(hypervisor) == {ITEM_UUID: "1"}
    [told] = await ask(hypervisor, "getinstalledappliances")
    assert (told.get("path"), told.get("sha256")) == (str(file), hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(CommandError, match="downloaded already"):
        await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    await ask(hypervisor, "deleteappliance", f"uuid='{ITEM_UUID}'")
    assert list(file.parent.iterdir()) == []
    assert await status(hypervisor) == {ITEM_UUID: "3"}
    with pytest.raises(CommandError, match="nothing of web is downloaded"):
        await ask(hypervisor, "deleteappliance", f"uuid='{ITEM_UUID}'")


async def test_one_appliance_is_told_with_its_file_when_it_is_there(hypervisor: Hypervisor, house: FeedHouse) -> None:
    await subscribe(hypervisor, house)
    told = {"name": "web", "description": "a <web> server", "uuid": ITEM_UUID}
    [offered] = await ask(hypervisor, "getappliances", f"uuid='{ITEM_UUID}'")
    assert offered.attrib.items() >= {**told, "path": ""}.items()
    await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    [there] = await ask(hypervisor, "getappliances", f"uuid='{ITEM_UUID}'")
    path = str(repository_of(hypervisor).file_of(ITEM_UUID))
    assert there.attrib == {**told, "path": path, "sha256": hashlib.sha256(CONTENT).hexdigest()}


async def test_what_is_being_downloaded_is_told_and_pushed_with_its_progress(
    online: Hypervisor, xmpp: FakeXmpp, house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appliance_repository, "LOOK", 0.01)
    house.gate = threading.Event()
    await subscribe(online, house)
    assert len(await ask(online, "downloadqueue")) == 0
    await repository_of(online).start_download(ITEM_UUID)
    await eventually(lambda: ("vmcasting", "download_progress") in xmpp.pushes(HYP))
    answer = await answer_iq(online, parse_stanza(command_iq(CASTS, "<archipel action='downloadqueue'/>", ADMIN)), ADMIN)
    [running] = answer[0]
    assert running.attrib == {"uuid": ITEM_UUID, "name": "web", "percentage": "25.6", "total": str(len(CONTENT))}
    house.gate.set()
    await finish_work(online)
    told = [change for topic, change in xmpp.pushes(HYP) if topic == "vmcasting"]
    assert list(dict.fromkeys(told)) == ["register", "download_start", "download_progress", "download_complete"]
    assert len(await ask(online, "downloadqueue")) == 0


async def test_a_download_that_breaks_off_goes_on_where_it_was(hypervisor: Hypervisor, house: FeedHouse) -> None:
    house.breaks = 2
    await subscribe(hypervisor, house)
    await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    assert house.ranges == [f"bytes={len(CONTENT) // 2}-", f"bytes={len(CONTENT) * 3 // 4}-"]
    assert repository_of(hypervisor).file_of(ITEM_UUID).read_bytes() == CONTENT


async def test_a_download_is_stopped_and_the_next_one_goes_on_from_there(hypervisor: Hypervisor, house: FeedHouse) -> None:
    await subscribe(hypervisor, house)
    house.gate = threading.Event()
    under_way = asyncio.create_task(ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'"))
    try:
        await eventually(lambda: any(running.progress.done for running in repository_of(hypervisor).running.values()))
        repository_of(hypervisor).stop_download(ITEM_UUID)
    finally:
        house.gate.set()
    await under_way
    assert await status(hypervisor) == {ITEM_UUID: "4"}
    with pytest.raises(CommandError, match="is not being downloaded"):
        await ask(hypervisor, "stopdownload", f"uuid='{ITEM_UUID}'")
    house.gate = None
    await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    assert len(house.ranges) == 1
    assert repository_of(hypervisor).file_of(ITEM_UUID).read_bytes() == CONTENT


async def test_what_has_another_digest_than_the_feed_says_is_thrown_away(hypervisor: Hypervisor, house: FeedHouse) -> None:
    house.offer(CONTENT, sha256="0" * 64)
    await subscribe(hypervisor, house)
    await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    assert await status(hypervisor) == {ITEM_UUID: "4"}
    assert list(repository_of(hypervisor).settings.repository.iterdir()) == []


async def test_a_feed_that_cannot_be_read_stays_with_what_was_known_of_it(hypervisor: Hypervisor, house: FeedHouse) -> None:
    await subscribe(hypervisor, house)
    house.files["/rss.xml"] = b"<html/>"
    [source] = await ask(hypervisor, "get")
    assert (source.get("uuid"), len(source)) == (FEED_UUID, 1)
    assert "there is no <channel>" in source.get("problem", "")
    await ask(hypervisor, "unregister", f"uuid='{FEED_UUID}'")
    assert len(await ask(hypervisor, "get")) == 0


async def test_what_is_downloaded_stays_when_its_feed_goes_and_can_be_deleted(hypervisor: Hypervisor, house: FeedHouse) -> None:
    await subscribe(hypervisor, house)
    await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    await ask(hypervisor, "unregister", f"uuid='{FEED_UUID}'")
    assert [one.get("uuid") for one in await ask(hypervisor, "getinstalledappliances")] == [ITEM_UUID]
    await ask(hypervisor, "deleteappliance", f"uuid='{ITEM_UUID}'")
    with pytest.raises(CommandError, match="there is no appliance"):
        await ask(hypervisor, "getappliances", f"uuid='{ITEM_UUID}'")


@pytest.mark.parametrize(
    "url,why",
    [
        ("http://feeds.example/rss.xml", "is not https"),
        ("file:///etc/passwd", "only https"),
        ("https://user:word@feeds.example/", "user's name"),
        ("https:///rss.xml", "only https"),
        ("https://feeds.example:99999/", "no address"),
    ],
)
def test_only_https_is_read(url: str, why: str) -> None:
    with pytest.raises(FetchFailed, match=why):
        check_url(url, Reach())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://10.0.0.1/", "http://169.254.169.254/", "http://[::ffff:127.0.0.1]:1/", "http://0.0.0.0/"]
)
def test_private_addresses_are_not_asked(url: str) -> None:
    with pytest.raises(FetchFailed, match="is not read here"):
        fetch(url, Reach(plain=True), 10)


def test_a_redirection_leads_nowhere_that_could_not_be_asked_for_itself(house: FeedHouse) -> None:
    house.redirect["/away"] = "http://10.0.0.1/secret"
    with pytest.raises(FetchFailed, match="is not https"):
        fetch(f"{house.base}/away", Reach().for_feed(house.base), 10)
    house.redirect["/away"] = "file:///etc/passwd"
    with pytest.raises(FetchFailed, match="only https"):
        fetch(f"{house.base}/away", Reach().for_feed(house.base), 10)


def test_more_than_was_agreed_is_not_kept(house: FeedHouse, tmp_path) -> None:
    order = Order(url=f"{house.base}/web.xvm2", target=tmp_path / "a.xvm2", sha256="", most=1000, reach=Reach(loopback=True))
    with pytest.raises(FetchFailed, match="more than 1000 bytes"):
        download(order, Progress(lambda: False))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content,why",
    [
        (b"<!DOCTYPE rss [<!ENTITY a 'b'>]><rss><channel/></rss>", "document type"),
        (b"<rss><channel>", "well-formed"),
        (b"\xff\xfe<\0", "UTF-8"),
        (b" " * (1 << 20) + b"<rss/>", "bytes"),
        (b"<a>" * 30 + b"</a>" * 30, "nests"),
        (b"<rss><channel>" + b"<item/>" * 501 + b"</channel></rss>", "items"),
        (b"<rss><channel><item><enclosure url='https://a.example/a' sha256='../x'/></item></channel></rss>", "hexadecimal"),
    ],
)
def test_a_hostile_feed_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(FeedUnreadable, match=why):
        parse_feed(content, "https://a.example/rss.xml")


def test_an_identity_that_is_none_never_becomes_a_files_name() -> None:
    feed = parse_feed(
        b"<rss><channel><uuid>../..</uuid><item><uuid>../../etc</uuid><enclosure url='https://a.example/a'/></item></channel></rss>",
        "https://a.example/rss.xml",
    )
    assert all(letter in "0123456789abcdef-" for letter in feed.uuid + feed.items[0].uuid)


async def test_the_own_feed_is_written_served_and_readable_by_its_own_reader(hypervisor: Hypervisor, tmp_path) -> None:
    more = f"[VMCASTING]\nown_vmcast_path = {tmp_path}/casts\nown_vmcast_name = A & <B> of $HOSTNAME\n"
    settings = make_settings(tmp_path, more).capabilities["hypervisor_vmcasts"]
    (tmp_path / "casts").mkdir()
    (tmp_path / "casts" / "we & b.xvm2").write_bytes(CONTENT)
    (tmp_path / "casts" / "secret.txt").write_text("secret")
    await asyncio.to_thread(write_own_feed, settings, FEED_UUID, "host1")
    server = await FeedServer(settings).start(Host("127.0.0.1", 0))
    try:
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/vmcasts"
        reach = Reach(loopback=True)
        feed = parse_feed(await asyncio.to_thread(fetch, f"{base}/rss.xml", reach, 1 << 20), base)
        assert (feed.name, feed.uuid) == ("A & <B> of host1", FEED_UUID)
        [item] = feed.items
        assert (item.name, item.size, item.url) == ("we & b", len(CONTENT), "http://127.0.0.1:8088/vmcasts/we%20%26%20b.xvm2")
        order = Order(url=f"{base}/we%20%26%20b.xvm2", target=tmp_path / "got", sha256="", most=1 << 30, reach=reach)
        assert await asyncio.to_thread(download, order, Progress(lambda: False)) == hashlib.sha256(CONTENT).hexdigest()
        for path in ("/secret.txt", "/../casts/secret.txt", "/%2e%2e/casts/secret.txt", "/"):
            with pytest.raises(FetchFailed, match="404"):
                await asyncio.to_thread(fetch, base + path, reach, 100)
    finally:
        server.close()


def test_images_and_ova_files_are_offered_but_not_as_packages(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, f"[VMCASTING]\nown_vmcast_path = {tmp_path}/casts\n").capabilities["hypervisor_vmcasts"]
    (tmp_path / "casts").mkdir()
    for name in ("a.xvm2", "b.ova", "c.qcow2", "d.raw", ".e.ova"):
        (tmp_path / "casts" / name).write_bytes(CONTENT)
    write_own_feed(settings, FEED_UUID, "host1")
    written = (tmp_path / "casts" / "rss.xml").read_bytes()
    assert [item.url.rpartition("/")[2] for item in parse_feed(written, "https://a.example/").items] == ["a.xvm2", "b.ova", "c.qcow2"]
    types = [enclosure.get("type") for enclosure in ET.fromstring(written).iter("enclosure")]
    assert types == ["application/enomalism2-xvm2", "application/octet-stream", "application/octet-stream"]


def test_the_own_feed_is_served_on_the_loop_that_the_agent_runs_on(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, f"[VMCASTING]\nown_vmcast_path = {tmp_path}/casts\n").capabilities["hypervisor_vmcasts"]
    (tmp_path / "casts").mkdir()
    (tmp_path / "casts" / "a.xvm2").write_bytes(CONTENT)

    async def serve_and_fetch() -> bytes:
        server = await FeedServer(settings).start(Host("127.0.0.1", 0))
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/vmcasts"
        try:
            return await asyncio.to_thread(fetch, f"{base}/a.xvm2", Reach(loopback=True), 1 << 30)
        finally:
            server.close()

    assert uvloop.run(serve_and_fetch()) == CONTENT


def test_a_feed_that_breaks_off_is_not_taken_for_a_short_one(house: FeedHouse) -> None:
    house.breaks = 1
    with pytest.raises(FetchFailed, match="broke off"):
        fetch(f"{house.base}/web.xvm2", Reach(loopback=True), 1 << 30)
