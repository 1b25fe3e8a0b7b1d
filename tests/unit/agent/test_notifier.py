# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens leaves by the routes of the configuration: by mail, webhook and message, encrypted, at a bearable pace, and off the way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.capabilities import notifier as capability
from archipel.agent.config import ConfigError
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.notifier import outbox as outbox_module
from archipel.agent.notifier import ways
from archipel.agent.notifier.occurrences import LONGEST, Occurrence, plain
from archipel.agent.notifier.outbox import DROPPED, FAILED, MOST_WAITING, PAUSES, SENT, Outbox
from archipel.agent.notifier.routes import Mail, Message, Route, Webhook, parse_routes
from archipel.agent.notifier.ways import DeliveryFailed, Errand, Letter, send_mail, send_webhook, sign
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from archipel.protocol.events import Topic
from archipel.protocol.urls import parse_http_url
from testbed.certificates import Authority
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STRANGER, STUDENT, make_settings
from tests.unit.agent.mail_house import PASSWORD, USER, MailServer, WebService, server_context
from tests.wire.waiting import eventually

CONTROL, NOTIFIER = "archipel:vm:control", "archipel:hypervisor:notifier"
SECRET = "hook-secret"
CRASH = Occurrence("virtualmachine:control/crashed", "vm@lab.example", "web", "virtualmachine", "web has crashed")
LETTER = Letter("host1", "r", (CRASH,))


@pytest.fixture(scope="session")
def certificate(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority.issue("localhost", tmp_path_factory.mktemp("server"))


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Path]:
    files = {}
    for name, text in (("mail", PASSWORD), ("hook", SECRET)):
        files[name] = tmp_path / name
        files[name].touch(mode=0o600)
        files[name].write_text(text + "\n")
    return files


@pytest.fixture
async def mail_server(certificate: Path) -> AsyncIterator[MailServer]:
    server = await MailServer(server_context(certificate)).open(at_once=False)
    yield server
    await server.close()


@pytest.fixture
async def web(certificate: Path) -> AsyncIterator[WebService]:
    service = await WebService(server_context(certificate)).open(at_once=True)
    yield service
    await service.close()


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], tuple[Route, ...]]:
    def read_text(text: str) -> tuple[Route, ...]:
        path = tmp_path / "routes.toml"
        path.write_text(text)
        return parse_routes(str(path))

    return read_text


@pytest.fixture
def mail(read: Any, mail_server: MailServer, authority: Authority, secrets: dict[str, Path]) -> Mail:
    [route] = read(
        f"""[[route]]
name = "operators"
[route.mail]
server = "localhost"
port = {mail_server.port}
from = "archipel@lab.example"
to = ["ops@lab.example", "boss@lab.example"]
user = "{USER}"
password_file = "{secrets["mail"]}"
ca_file = "{authority.certificate}"
"""
    )
    assert isinstance(route.way, Mail)
    return route.way


@pytest.fixture
def hook(read: Any, web: WebService, authority: Authority, secrets: dict[str, Path]) -> Webhook:
    [route] = read(
        f"""[[route]]
name = "hook"
[route.webhook]
url = "https://localhost:{web.port}/in?key=of-the-url"
secret_file = "{secrets["hook"]}"
ca_file = "{authority.certificate}"
"""
    )
    assert isinstance(route.way, Webhook)
    return route.way


# -- mail -----------------------------------------------------------------------------------------------------------------


async def test_mail_goes_out_after_starttls_and_the_password_after_that(mail: Mail, mail_server: MailServer):
    await send_mail(mail, LETTER)
    [message] = mail_server.mails
    assert (message["Subject"], message["From"]) == ("[host1] web has crashed", "archipel@lab.example")
    assert "web has crashed" in message.get_content()
    assert message["Auto-Submitted"] == "auto-generated"
    assert mail_server.recipients == ["ops@lab.example", "boss@lab.example"]
    assert mail_server.logins == [(USER, True)]


async def test_mail_goes_out_with_tls_from_the_first_byte_on(mail: Mail, certificate: Path):
    server = await MailServer(server_context(certificate)).open(at_once=True)
    await send_mail(replace(mail, security="tls", port=server.port), LETTER)
    assert len(server.mails) == 1
    await server.close()


async def test_a_mail_server_without_starttls_gets_neither_password_nor_mail(mail: Mail, mail_server: MailServer):
    mail_server.offers_starttls = False
    with pytest.raises(DeliveryFailed, match="STARTTLS") as failed:
        await send_mail(mail, LETTER)
    assert failed.value.lasting
    assert (mail_server.logins, mail_server.mails) == ([], [])


async def test_a_mail_server_with_another_authoritys_certificate_gets_nothing(mail: Mail, mail_server: MailServer, read: Any):
    [route] = read(
        f'[[route]]\nname = "x"\n[route.mail]\nserver = "localhost"\nport = {mail_server.port}\nfrom = "a@b.example"\nto = ["c@d.example"]'
    )
    with pytest.raises(DeliveryFailed, match="certificate") as failed:
        await send_mail(route.way, LETTER)
    assert failed.value.lasting
    assert mail_server.mails == []


@pytest.mark.parametrize(
    "verb, answer, lasting",
    [("RCPT", "550 nobody here", True), ("RCPT", "450 later", False), ("DATA", "452 full", False), ("AUTH", "535 no", True)],
)
async def test_what_a_mail_server_refuses_is_told(mail: Mail, mail_server: MailServer, verb: str, answer: str, lasting: bool):
    mail_server.refuse[verb] = answer
    with pytest.raises(DeliveryFailed, match=answer[:3]) as failed:
        await send_mail(mail, LETTER)
    assert failed.value.lasting is lasting
    assert PASSWORD not in str(failed.value)


async def test_an_address_where_nobody_listens_is_tried_again(mail: Mail, mail_server: MailServer):
    await mail_server.close()
    with pytest.raises(DeliveryFailed, match="cannot be used") as failed:
        await send_mail(mail, LETTER)
    assert not failed.value.lasting


async def test_one_who_does_not_take_mail_does_not_keep_it_from_others(
    mail: Mail, mail_server: MailServer, caplog: pytest.LogCaptureFixture
):
    answers = iter(["550 nobody", ""])
    mail_server.refuse = Refusals(lambda verb: next(answers) if verb == "RCPT" else "")
    await send_mail(mail, LETTER)
    assert len(mail_server.mails) == 1
    assert "ops@lab.example: 550" in caplog.text


class Refusals(dict[str, str]):
    def __init__(self, find: Callable[[str], str]) -> None:
        super().__init__()
        self._find = find

    def get(self, verb: str, _default: Any = None) -> Any:
        return self._find(verb)


@given(st.text())
def test_whatever_machines_are_called_a_subject_is_one_line(name: str):
    shown = Letter("host1", "r", (replace(CRASH, text=plain(name)),)).subject
    assert len(shown) <= LONGEST + 3
    assert shown.isprintable()


# -- webhook --------------------------------------------------------------------------------------------------------------


async def test_a_webhook_gets_json_that_it_can_trust(hook: Webhook, web: WebService):
    await send_webhook(hook, LETTER)
    [post] = web.posts
    assert post.path == "/in?key=of-the-url"
    told = json.loads(post.body)
    assert (told["host"], told["route"], told["left_out"]) == ("host1", "r", 0)
    [event] = told["events"]
    assert (event["event"], event["name"], event["text"]) == ("virtualmachine:control/crashed", "web", "web has crashed")
    moment = post.headers["x-archipel-timestamp"]
    expected = hmac.new(SECRET.encode(), moment.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    assert post.headers["x-archipel-signature"] == f"sha256={expected}"
    assert post.headers["x-archipel-delivery"] == told["id"] == LETTER.key


def test_a_signature_is_of_its_moment():
    assert sign(b"s", b"{}", 1) != sign(b"s", b"{}", 2)


@pytest.mark.parametrize("status, lasting", [(400, True), (404, True), (302, True), (408, False), (429, False), (500, False), (503, False)])
async def test_what_a_webhook_answers_is_told_and_never_followed(hook: Webhook, web: WebService, status: int, lasting: bool):
    web.answers.statuses = [status]
    with pytest.raises(DeliveryFailed, match=f"answers {status}") as failed:
        await send_webhook(hook, LETTER)
    assert failed.value.lasting is lasting
    assert "of-the-url" not in str(failed.value)
    assert len(web.posts) == 1


async def test_a_webhook_with_another_authoritys_certificate_gets_nothing(web: WebService, read: Any):
    [route] = read(f'[[route]]\nname = "x"\n[route.webhook]\nurl = "https://localhost:{web.port}/"')
    with pytest.raises(DeliveryFailed, match="certificate"):
        await send_webhook(route.way, LETTER)
    assert web.posts == []


async def test_a_service_that_never_answers_is_given_up(hook: Webhook, web: WebService, monkeypatch: pytest.MonkeyPatch):
    web.answers.statuses = [None]
    monkeypatch.setattr(ways, "TIMEOUT", 0.05)
    with pytest.raises(DeliveryFailed, match="no answer"):
        await send_webhook(hook, LETTER)


async def test_a_service_that_takes_its_time_byte_by_byte_is_given_up(hook: Webhook, web: WebService):
    web.answers.statuses = [None]
    with pytest.raises(DeliveryFailed, match="within"):
        await Errand(lambda errand: ways._post(errand, hook, b"{}", {})).run(0.2)


# -- routes ---------------------------------------------------------------------------------------------------------------

MAIL = '[route.mail]\nserver = "127.0.0.1"\nfrom = "a@b.example"\nto = ["c@d.example"]\n'
XMPP = '[route.xmpp]\nto = ["ops@lab.example"]\n'


@pytest.mark.parametrize(
    "text, mentions",
    [
        ("", "route is missing"),
        ("route = 3", "is not a list"),
        ("[[route]", "line 1"),
        (f'[[route]]\nname = "UP"\n{XMPP}', "name"),
        (f"[[route]]\n{XMPP}", "name is missing"),
        ('[[route]]\nname = "a"', "needs one of mail, webhook, xmpp"),
        (f'[[route]]\nname = "a"\n{XMPP}{MAIL}', "needs one of"),
        (f'[[route]]\nname = "a"\nevents = ["bells"]\n{XMPP}', "'bells'"),
        (f'[[route]]\nname = "a"\nevents = []\n{XMPP}', "events"),
        (f'[[route]]\nname = "a"\nper_minute = 0\n{XMPP}', "per_minute"),
        (f'[[route]]\nname = "a"\nper_minute = true\n{XMPP}', "per_minute"),
        (f'[[route]]\nname = "a"\ncolour = "red"\n{XMPP}', "'colour'"),
        (f'[[route]]\nname = "a"\n{XMPP}[[route]]\nname = "a"\n{XMPP}', "two routes"),
        ('[[route]]\nname = "a"\nxmpp = 3', "is not a table"),
        ('[[route]]\nname = "a"\n[route.xmpp]\nto = ["lab.example"]', "to"),
        (f'[[route]]\nname = "a"\n{MAIL}user = "me"', "belong together"),
        (f'[[route]]\nname = "a"\n{MAIL}security = "ssl"', "security"),
        (f'[[route]]\nname = "a"\n{MAIL.replace("c@d.example", "c@d.example" + chr(92) + "nBcc: x@y.example")}', "line"),
        (f'[[route]]\nname = "a"\n{MAIL.replace("127.0.0.1", "mail.example")}security = "none"', "insecure_plaintext"),
        (f'[[route]]\nname = "a"\n{MAIL}ca_file = "/nowhere"', "ca_file"),
        ('[[route]]\nname = "a"\n[route.webhook]\nurl = "http://hooks.example/"', "insecure_plaintext"),
        ('[[route]]\nname = "a"\n[route.webhook]\nurl = "ftp://hooks.example/"', "url"),
        ('[[route]]\nname = "a"\n[route.webhook]\nurl = "https://u:p@hooks.example/"', "url"),
        ('[[route]]\nname = "a"\n[route.webhook]\nurl = "https://hooks.example:x/"', "url"),
        ('[[route]]\nname = "a"\n[route.webhook]\nurl = "https://hooks.example/"\ninsecure_plaintext = 1', "true nor false"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(read: Any, text: str, mentions: str):
    with pytest.raises(ValueError, match=mentions):
        read(text)


def test_a_password_file_that_others_read_is_refused(read: Any, tmp_path: Path):
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        read(f'[[route]]\nname = "a"\n{MAIL}user = "me"\npassword_file = "{tmp_path / "open"}"')


def test_what_the_file_lacks_is_a_problem_of_the_configuration(tmp_path: Path):
    with pytest.raises(ConfigError, match="notifier_routes"):
        make_settings(tmp_path, f"[NOTIFIER]\nnotifier_routes = {tmp_path}/missing.toml")


@pytest.mark.parametrize("url", ["http://localhost:8000/", "http://127.0.0.1/", "http://[::1]:80/x?y"])
def test_the_loopback_needs_no_encryption(read: Any, url: str):
    [route] = read(f'[[route]]\nname = "a"\n[route.webhook]\nurl = "{url}"')
    assert not route.way.url.secure
    assert route.way.tls is None


def test_a_web_address_shows_its_host_alone():
    url = parse_http_url("https://hooks.example/services/T0/secret?key=1")
    assert url.origin == "https://hooks.example:443"
    assert "secret" not in repr(url)


@given(st.text())
def test_no_text_at_all_breaks_the_reading_of_addresses(text: str):
    with contextlib.suppress(ValueError):
        assert parse_http_url(f"https://{text}").host


@pytest.mark.parametrize("url", ["https://hooks.example/secret key", "https://user:secret@hooks.example/", "gopher://hooks.example/secret"])
def test_what_is_wrong_with_an_address_is_told_without_it(url: str):
    with pytest.raises(ValueError, match=r"\w") as wrong:
        parse_http_url(url)
    assert "secret" not in str(wrong.value)


def route(events: tuple[str, ...] = ("everything",), **more: Any) -> Route:
    return Route(name="r", events=events, way=Message(to=("ops@lab.example",)), **more)


@pytest.mark.parametrize(
    "events, taken",
    [
        (("alarms",), True),
        (("crashes",), True),
        (("virtualmachine:control/*",), True),
        (("everything",), True),
        (("jobs", "rights", "drives"), False),
        (("virtualmachine:control/created",), False),
    ],
)
def test_a_route_takes_what_its_events_say(events: tuple[str, ...], taken: bool):
    assert route(events).takes(CRASH) is taken


def test_a_route_may_be_about_some_machines_or_tags_only():
    assert route(machines=("we*",)).takes(CRASH)
    assert route(machines=("vm@lab.example",)).takes(CRASH)
    assert not route(machines=("db*",)).takes(CRASH)
    assert route(tags=frozenset({"prod"})).takes(replace(CRASH, tags=frozenset({"prod", "x"})))
    assert not route(tags=frozenset({"prod"})).takes(CRASH)


# -- outboxes -------------------------------------------------------------------------------------------------------------


class Post:
    """Where letters end; ``trouble`` is raised, one for each attempt. Time passes when somebody sleeps."""

    def __init__(self, per_minute: int = 10) -> None:
        self.letters: list[Letter] = []
        self.trouble: list[DeliveryFailed] = []
        self.now = 0.0
        self.slept: list[float] = []
        self.idle = asyncio.Event()
        self.box = Outbox(route(per_minute=per_minute), "host1", self.send, sleep=self.sleep, clock=lambda: self.now)

    async def send(self, letter: Letter) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.letters.append(letter)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def work(self, *then: Callable[[], Awaitable[object]]) -> None:
        task = asyncio.create_task(self.box.run())
        await eventually(lambda: self.box.waiting == 0 and not self.box._wake.is_set())
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_event_is_one_letter_and_a_storm_is_one_digest():
    post = Post()
    post.box.offer(CRASH)
    await post.work()
    for number in range(40):
        post.box.offer(replace(CRASH, text=f"web-{number} has crashed"))
    await post.work()
    assert [len(letter.occurrences) for letter in post.letters] == [1, 40]
    assert post.letters[1].subject == "[host1] 40 events: web-0 has crashed"
    assert post.box.counts[SENT] == 41


async def test_letters_go_no_faster_than_the_route_says():
    post = Post(per_minute=2)
    for _ in range(4):
        post.box.offer(CRASH)
        await post.work()
    assert len(post.letters) == 4
    assert post.now > 55  # two at once, then one each half minute


async def test_of_a_flood_the_beginning_is_told_and_the_rest_counted():
    post = Post()
    for _ in range(MOST_WAITING + 7):
        post.box.offer(CRASH)
    await post.work()
    [letter] = post.letters
    assert (len(letter.occurrences), letter.left_out) == (MOST_WAITING, 7)
    assert letter.text.endswith(f"and {MOST_WAITING - ways.MOST_LINES + 7} more")
    assert post.box.counts[DROPPED] == 7


async def test_a_failure_is_tried_again_later_and_later_and_logged_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    post = Post()
    post.trouble = [DeliveryFailed("down")] * 3
    post.box.offer(CRASH)
    await post.work()
    assert len(post.letters) == 1
    assert post.slept[1:4] == list(PAUSES[:3])
    assert [record.levelname for record in caplog.records if "route r" in record.getMessage()] == ["ERROR", "INFO"]
    assert post.box.trouble == ""


@pytest.mark.parametrize("trouble", [[DeliveryFailed("no such mailbox", lasting=True)], [DeliveryFailed("down")] * (len(PAUSES) + 1)])
async def test_what_cannot_be_delivered_is_given_up_and_the_next_goes_out(trouble: list[DeliveryFailed]):
    post = Post()
    post.trouble = list(trouble)
    post.box.offer(CRASH)
    await post.work()
    assert (post.letters, post.box.counts[FAILED]) == ([], 1)
    assert post.box.trouble
    post.box.offer(CRASH)
    await post.work()
    assert len(post.letters) == 1


# -- the agent ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings_with_routes(agent_folder: Path, web: WebService, authority: Authority, secrets: dict[str, Path]) -> Path:
    path = agent_folder / "routes.toml"
    path.write_text(
        f"""[[route]]
name = "hook"
events = ["everything"]
[route.webhook]
url = "https://localhost:{web.port}/in?key=of-the-url"
ca_file = "{authority.certificate}"
secret_file = "{secrets["hook"]}"
[[route]]
name = "people"
events = ["refusals"]
[route.xmpp]
to = ["ops@lab.example"]
"""
    )
    return path


@pytest.fixture
async def told(hypervisor: Hypervisor, settings_with_routes: Path, agent_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Hypervisor:
    """A hypervisor with routes, at work; what happens together is gathered for a moment only."""
    hypervisor.services.settings = make_settings(agent_folder, f"[NOTIFIER]\nnotifier_routes = {settings_with_routes}")
    monkeypatch.setattr(outbox_module, "GATHER", 0.01)
    await go_online(hypervisor)
    return hypervisor


async def at_work(hypervisor: Hypervisor, look: Callable[[], object]) -> None:
    task = asyncio.create_task(capability.notify(hypervisor))
    await eventually(look)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_push_a_command_and_a_refusal_leave_by_their_routes(told: Hypervisor, machine: VirtualMachine, web: WebService, xmpp: Any):
    await go_online(machine)
    alarm = ET.Element("alarm", {"resource": "disk", "state": "raised", "value": "97"})
    told.push(Topic.HEALTH, "alarm", alarm)
    await ask(machine, CONTROL, "<archipel action='create'/>", OWNER)
    for caller in (STUDENT, STRANGER):
        with pytest.raises(CommandError):
            await ask(machine, CONTROL, "<archipel action='destroy'/>", caller)
    await at_work(told, lambda: web.posts)
    assert xmpp.streams[HYP].took("ops@lab.example") == []  # strangers are no refusals
    events = [event for post in web.posts for event in json.loads(post.body)["events"]]
    by_name = {event["event"]: event for event in events}
    assert by_name["health/alarm"]["details"] == [{"element": "alarm", "attributes": alarm.attrib, "text": ""}]
    assert by_name["command/done"]["who"] == OWNER.bare
    assert {event["event"] for event in events if event["event"].startswith("command/")} == {"command/done", "command/stranger"}


async def test_somebody_known_who_is_refused_is_told_of_by_message(told: Hypervisor, machine: VirtualMachine, xmpp: Any):
    await go_online(machine)
    await told.services.rights.grant(machine.bare, STUDENT.bare, "info", granted_by=HYP)
    with pytest.raises(CommandError):
        await ask(machine, CONTROL, "<archipel action='destroy'/>", STUDENT)
    stream = xmpp.streams[HYP]
    await at_work(told, lambda: stream.took("ops@lab.example", "chat", "destroy", STUDENT.bare))


async def test_questions_that_are_answered_are_told_nobody(told: Hypervisor, machine: VirtualMachine):
    await go_online(machine)
    await ask(machine, CONTROL, "<archipel action='info'/>", OWNER)
    notifier = capability.notifier_of(told)
    assert notifier is not None
    assert notifier.outboxes["hook"].waiting == 0


async def test_the_routes_are_listed_without_their_keys(told: Hypervisor):
    answer = ET.tostring(await ask(told, NOTIFIER, "<archipel action='routes'/>", ADMIN), "unicode")
    assert "https://localhost:" in answer
    assert "of-the-url" not in answer
    assert SECRET not in answer


async def test_a_route_is_tried(told: Hypervisor, web: WebService):
    await ask(told, NOTIFIER, "<archipel action='test' route='hook'/>", ADMIN)
    assert ADMIN.bare in json.loads(web.posts[-1].body)["events"][0]["text"]
    web.answers.statuses = [500]
    with pytest.raises(CommandError, match="answers 500"):
        await ask(told, NOTIFIER, "<archipel action='test' route='hook'/>", ADMIN)
    with pytest.raises(CommandError, match="no route 'none'"):
        await ask(told, NOTIFIER, "<archipel action='test' route='none'/>", ADMIN)


async def test_what_became_of_events_is_counted(told: Hypervisor, web: WebService):
    told.push(Topic.HEALTH, "alarm")
    await finish_work(told)
    registry = told.services.metrics.registry
    labels = {"route": "hook", "result": "sent"}
    await at_work(told, lambda: (registry.get_sample_value("archipel_notifications_total", labels) or 0) >= 1)


async def test_without_routes_nothing_is_kept(hypervisor: Hypervisor):
    hypervisor.push(Topic.HEALTH, "alarm")
    await capability.notify(hypervisor)
    assert capability.notifier_of(hypervisor) is None
