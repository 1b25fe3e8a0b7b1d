# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A student who may see, start and stop his own seat tries every weakness that the founding platform had: nothing gets through."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

import archipel
from archipel.xmpp.errors import WireError
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from tests.unit.agent.feed_house import FEED_UUID, ITEM_UUID, open_feed_house
from tests.wire.attacks import (
    ALL_DRIVES,
    CASTS,
    CENTRAL,
    CONTROL,
    DEFINITION,
    DISK,
    FORBIDDEN,
    HOST,
    HYPERVISOR,
    OTHER,
    REQUESTED,
    SEAT,
    SNAPSHOTS,
    TAGS,
    USERS,
    Attack,
    Try,
)
from tests.wire.matching import child, show
from tests.wire.person import PUBSUB, PUBSUB_EVENT, QUIET, Person
from tests.wire.platform import Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each", "tags_node")]

WEAKNESSES = {f"S{number}" for number in range(1, 19)} | {f"M{number}" for number in range(1, 15)}
OWN_RIGHTS = ("info", "create", "shutdown")
SCREEN = "<devices><graphics type='vnc' port='-1' autoport='yes' passwd='seen-by-none'/></devices>"


@dataclass
class Scene:
    """The student, his seat, a machine that is somebody else's, and a file that is none of his business."""

    platform: Platform
    admin: Person
    student: Person
    seat: Machine
    other: Machine
    outside: Path

    def address(self, who: str) -> str:
        return {HOST: self.platform.host, SEAT: self.seat.full, OTHER: self.other.full}[who]

    def words(self) -> dict[str, str]:
        names = {"seat": self.seat.uuid, "seat_name": self.seat.name, "other": self.other.uuid}
        return {**names, "domain": self.platform.domain, "me": self.student.bare, "outside": str(self.outside), "offered": ITEM_UUID}

    async def refused(self, who: str, namespace: str, text: str, kind: str = "set") -> None:
        """Ask, and check that it was refused in a typed error."""
        answer = await self.student.command(self.address(who), namespace, text.format(**self.words()), kind)
        assert answer.get("type") == "error", f"{text} got through: {show(answer)}"
        assert "Traceback" not in show(answer)
        assert "internal error" not in show(answer)

    async def differs(self, attempt: Try, rights: tuple[str, ...]) -> str | None:
        """Ask, and return what is not as it must be: refused for what the attack is about, or before that for the lack of a right."""
        words = self.words()
        answer = await self.student.command(self.address(attempt.who), attempt.namespace, attempt.command.format(**words))
        if answer.get("type") != "error":
            return f"{attempt.command} got through: {show(answer)}"
        error = child(answer, "error")
        code, text = int(error.get("code", "0")), "".join(error.itertext())
        if rights:  # the hypervisor does not even know him
            known = code == FORBIDDEN and ({part.get("right") for part in error} & {*rights} or "roster" in text)
        else:
            known = code == attempt.code and attempt.words.format(**words) in text
        return None if known else f"{attempt.command} is refused with {code}: {text}"

    def all_that_counts(self) -> object:
        """Domains, records, rights, accounts, rosters and files."""
        platform = self.platform
        with platform.libvirt() as connection:
            domains = sorted((found.XMLDesc(1), found.isActive()) for found in connection.listAllDomains())
        records = platform.rows("SELECT * FROM virtual_machines ORDER BY uuid")
        rights = platform.rows("SELECT entity, subject, token FROM grants ORDER BY id")
        rosters = [sorted(platform.roster_on_server(bare)) for bare in (platform.hypervisor, self.seat.bare, self.other.bare)]
        files = sorted(str(path) for path in (platform.agent.folder / "vm").rglob("*") if "vmcasts" not in path.parts)
        return domains, records, rights, sorted(platform.accounts()), rosters, files, self.outside.read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def machines(platform: Platform, admin: Person) -> tuple[Machine, Machine]:
    """A seat, and a machine of somebody else."""
    return await platform.make_machine(admin, more=SCREEN), await platform.make_machine(admin)


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def offer(platform: Platform, admin: Person) -> AsyncIterator[None]:
    """An appliance that can be downloaded."""
    with open_feed_house() as house:
        house.offer(b"x")
        for action, attributes in (("register", f"url='{house.url}'"), ("unregister", f"uuid='{FEED_UUID}'")):
            answer = await admin.command(platform.host, CASTS, f"<archipel action='{action}' {attributes}/>")
            assert answer.get("type") == "result", show(answer)
            if action == "register":
                yield


@pytest_asyncio.fixture(loop_scope="session")
async def scene(platform: Platform, admin: Person, student: Person, machines: tuple[Machine, Machine], tmp_path: Path) -> Scene:
    """A student, new for each attack, with his rights on the seat."""
    seat, other = machines
    await platform.grant(admin, seat.full, student, *OWN_RIGHTS)
    outside = tmp_path / "outside"
    outside.write_text("not yours")
    return Scene(platform, admin, student, seat, other, outside)


async def assert_alive(scene: Scene) -> None:
    answer = await scene.student.command(scene.seat.full, CONTROL, "<archipel action='info'/>", "get")
    assert answer.get("type") == "result", show(answer)
    assert "Traceback" not in scene.platform.log


@pytest.mark.parametrize("generous", [False, True], ids=["own-rights", "and-more"])
@pytest.mark.parametrize("attack", REQUESTED, ids=str)
async def test_what_is_asked_is_refused_and_changes_nothing(scene: Scene, attack: Attack, generous: bool):
    """Also when somebody gave the student what a request of that kind needs."""
    if generous:
        for address, rights in ((scene.seat.full, attack.on_seat), (scene.platform.host, attack.on_host)):
            if rights:
                await scene.platform.grant(scene.admin, address, scene.student, *rights)
    before = scene.all_that_counts()
    lacking = () if generous else (*attack.on_seat, *attack.on_host)
    assert [told for attempt in attack.requests if (told := await scene.differs(attempt, lacking))] == []
    assert scene.all_that_counts() == before
    await assert_alive(scene)


async def test_a_drive_that_is_called_like_a_path_lies_in_the_seats_own_folder(scene: Scene):
    await scene.platform.grant(scene.admin, scene.seat.full, scene.student, *ALL_DRIVES)
    text = f"<archipel action='create' name='{scene.outside}' size='1' unit='M' format='raw'/>"
    assert (await scene.student.command(scene.seat.full, DISK, text)).get("type") == "result"
    (made,) = (scene.platform.agent.machines / scene.seat.uuid).glob("*.raw")
    assert made.stem == str(scene.outside).replace("/", "_")
    assert scene.outside.read_text() == "not yours"


# -- what is more than a request --------------------------------------------------------------------------------------

Deed = Callable[[Scene], Coroutine[Any, Any, None]]
DEEDS: dict[str, Deed] = {}


def deed(*numbers: str) -> Callable[[Deed], Deed]:
    """Name the weaknesses that a deed tries."""

    def note(work: Deed) -> Deed:
        DEEDS.update(dict.fromkeys(numbers, work))
        return work

    return note


async def test_every_weakness_is_tried():
    assert {attack.number for attack in REQUESTED} | DEEDS.keys() == WEAKNESSES
    assert not {attack.number for attack in REQUESTED} & DEEDS.keys()


def source() -> str:
    """All that the agent is made of."""
    return "\n".join(path.read_text() for path in Path(archipel.__file__).parent.rglob("*.py"))


@deed("S4", "S10", "M10")
async def look_for_passwords(scene: Scene) -> None:
    """Whoever may read the definition, snapshots too, reads no password."""
    await scene.platform.grant(scene.admin, scene.seat.full, scene.student, "xmldesc", "snapshot_get", "snapshot_take", "snapshot_current")
    for namespace, text in ((CONTROL, "xmldesc"), (SNAPSHOTS, "take"), (SNAPSHOTS, "current"), (SNAPSHOTS, "get"), (CONTROL, "info")):
        answer = await scene.student.command(scene.seat.full, namespace, f"<archipel action='{text}' name='s'/>")
        assert "seen-by-none" not in show(answer)
        assert "::::" not in show(answer)
    assert scene.platform.leaked_passwords() == []


@deed("S7", "M2", "M1")
async def forge_administrators(scene: Scene) -> None:
    name, platform = scene.student.bare.partition("@")[0], scene.platform
    admin = f"<admin node='{name}' domain='{platform.domain}'/>"
    statistic = "<event type='keepalive' force_update='true'><required_stats><stat major='__import__' minor='x'/></required_stats></event>"
    for node, payload in (("/archipel/adminaccounts", admin), ("/archipel/centralagentkeepalive", statistic)):
        items = f"<items node='{node}'><item id='x'>{payload}</item></items>"
        for address in (platform.host, scene.seat.full):
            scene.student.send(f"<message type='headline' to='{address}'><event xmlns='{PUBSUB_EVENT}'>{items}</event></message>")
    tag = f"<tag xmlns='{TAGS}' jid='{scene.other.bare}' tags='mine'/>"
    publish = f"<pubsub xmlns='{PUBSUB}'><publish node='/archipel/tags'><item id='x'>{tag}</item></publish></pubsub>"
    assert (await scene.student.ask(platform.pubsub, publish)).get("type") == "error"
    await asyncio.sleep(QUIET)
    await scene.refused(HOST, HYPERVISOR, "<archipel action='rostervm'/>")
    assert re.search(r"(?<![\w.])(eval|exec)\(", source()) is None


@deed("S8")
async def watch_others(scene: Scene) -> None:
    answer = await scene.student.subscribe_to_events(scene.other.bare, scene.platform.pubsub)
    assert answer.get("type") == "error", show(answer)
    read = f"<pubsub xmlns='{PUBSUB}'><items node='{scene.other.node}'/></pubsub>"
    assert (await scene.student.ask(scene.platform.pubsub, read, "get")).get("type") == "error"


@deed("S12", "M14")
async def guess_passwords(scene: Scene) -> None:
    passwords = scene.platform.machine_passwords()
    assert len({*passwords.values()}) == len(passwords)
    assert all(len(password) >= 32 for password in passwords.values())
    told = " ".join(psutil.Process(scene.platform.agent.pid).cmdline())
    assert not any(password in told for password in (*passwords.values(), *scene.platform.passwords.values()))
    assert re.search(r"random\.(choice|sample|randint|randbytes|getrandbits|shuffle)|uuid1\(", source().replace("secrets.", "")) is None


@deed("S13")
async def use_the_shipped_key(_scene: Scene) -> None:
    files = [path for path in Path(archipel.__file__).parent.rglob("*") if path.is_file() and path.suffix != ".py"]
    assert [path.name for path in files if b"PRIVATE KEY" in path.read_bytes()] == []


@deed("S14")
async def stand_between(scene: Scene) -> None:
    """A server whose certificate nobody vouches for gets no password."""
    assert client_context().verify_mode is ssl.CERT_REQUIRED
    stream = Stream(f"{scene.student.bare}/x", "password", client_context())
    with pytest.raises(WireError, match="ertificate"):
        await stream.login(scene.platform.ejabberd.host, scene.platform.ejabberd.port)


@deed("S15")
async def subscribe_as_a_stranger(scene: Scene) -> None:
    stranger, before, since = await scene.platform.enter(), scene.all_that_counts(), len(scene.admin.received)
    for kind in ("subscribe", "unsubscribe", "subscribed", "unsubscribed"):
        for bare in (scene.platform.hypervisor, scene.other.bare):
            stranger.send(f"<presence type='{kind}' to='{bare}'/>")
    await asyncio.sleep(QUIET)
    assert scene.all_that_counts()[:5] == before[:5]
    assert [push for push in scene.admin.pushes(scene.platform.hypervisor, since) if push.what[0] == "subscription"] == []


@deed("S16", "M13")
async def answer_what_nobody_asked(scene: Scene) -> None:
    """A result or an error is no request, whoever sends it."""
    before = scene.all_that_counts()
    jobs = "<archipel action='schedule' job='create' comment='x' year='2099' month='1' day='1' hour='1' minute='1' second='1'/>"
    for person in (scene.student, scene.admin):
        for kind in ("result", "error"):
            for namespace, text in ((CONTROL, "<archipel action='create'/>"), ("archipel:entity:scheduler", jobs)):
                person.send(f"<iq type='{kind}' id='x1' to='{scene.other.full}'><query xmlns='{namespace}'>{text}</query></iq>")
    await asyncio.sleep(QUIET)
    assert scene.all_that_counts() == before


@deed("S17")
async def ask_without_end(scene: Scene) -> None:
    keys = [
        scene.student.request(scene.seat.full, f"<query xmlns='{CONTROL}'><archipel action='info'/></query>", "get") for _ in range(300)
    ]
    await scene.student.until(lambda: all(scene.student.answers(key) for key in keys), "an answer to each request")
    assert all(len(scene.student.answers(key)) == 1 for key in keys)
    await asyncio.sleep(1.5)  # who asked too fast may ask again after a moment


@deed("S18")
async def have_a_shell_run(_scene: Scene) -> None:
    assert re.search(r"shell=True|os\.system|os\.popen|create_subprocess_shell", source()) is None


@deed("M11")
async def read_what_is_left_open(scene: Scene) -> None:
    await scene.refused(HOST, USERS, "<archipel action='changepassword'><user jid='admin@{domain}' password='known-to-me'/></archipel>")
    assert "known-to-me" not in scene.platform.log + scene.platform.audit
    process = psutil.Process(scene.platform.agent.pid)
    listening = {one.laddr.ip for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("number", sorted(DEEDS, key=lambda name: (name[0], int(name[1:]))))
async def test_what_is_done_gets_nowhere(scene: Scene, number: str):
    await DEEDS[number](scene)
    await assert_alive(scene)
    await scene.refused(OTHER, CONTROL, "<archipel action='create'/>")
    await scene.refused(SEAT, DEFINITION, "<archipel action='undefine'/>")
    await scene.refused(HOST, CENTRAL, "<archipel action='read_vms'/>")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
