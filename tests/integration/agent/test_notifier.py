# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on a real agent arrives by mail, webhook and message (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from testbed.certificates import Authority
from tests.documentation import read_steps
from tests.unit.agent.mail_house import PASSWORD, USER, MailServer, WebService, server_context
from tests.wire.matching import CLIENT, assert_error
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTIFIER = "archipel:hypervisor:notifier"
ROUTES = """
[[route]]
name = "mail"
events = ["power", "machines"]
[route.mail]
server = "localhost"
port = {mail}
from = "archipel@agents.localhost"
to = ["ops@agents.localhost"]
user = "{user}"
password_file = "{folder}/mail.secret"
ca_file = "{authority}"
[[route]]
name = "hook"
events = ["everything"]
[route.webhook]
url = "https://localhost:{web}/in?key=of-the-url"
secret_file = "{folder}/hook.secret"
ca_file = "{authority}"
[[route]]
name = "message"
events = ["refusals"]
[route.xmpp]
to = ["{admin}"]
"""


def write_routes(folder: Path, mail: MailServer, web: WebService, authority: Authority, admin: str) -> Path:
    for name, text in (("mail.secret", PASSWORD), ("hook.secret", "hook-secret")):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    places = {"mail": mail.port, "web": web.port, "folder": folder, "authority": authority.certificate, "admin": admin, "user": USER}
    (folder / "routes.toml").write_text(ROUTES.format(**places))
    return folder / "routes.toml"


async def test_all_ways_lead_out(authority: Authority, root: Path, tmp_path: Path) -> None:
    bundle = authority.issue("localhost", tmp_path)
    mail = await MailServer(server_context(bundle)).open(at_once=False)
    web = await WebService(server_context(bundle)).open(at_once=True)
    routes = write_routes(tmp_path, mail, web, authority, f"{ADMIN}@agents.localhost")
    async with open_platform(
        tmp_path / "platform", authority, "agents.localhost", {("NOTIFIER", "notifier_routes"): str(routes)}
    ) as platform:
        admin, student = await platform.enter(ADMIN), await platform.enter()
        machine = await platform.make_machine(admin)
        await platform.grant(admin, machine.full, student, "info")
        await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
        answer = await student.command(machine.full, CONTROL, "<archipel action='destroy'/>")
        assert answer.get("type") == "error"
        await eventually(lambda: f"{machine.name} was started" in "".join(sent.get_content() for sent in mail.mails))
        await admin.until(lambda: message_about(admin, platform, student), "the refusal")
        events = await eventually(lambda: events_of(web) if len(events_of(web)) > 3 else None)
        assert {"hypervisor/alloc", "command/done"} <= events
        await say_as_the_page(platform, admin, root)
        await try_route(platform, admin, web)
        assert PASSWORD not in platform.log
        assert "of-the-url" not in platform.log + platform.audit
    await mail.close()
    await web.close()


def events_of(web: WebService) -> set[str]:
    return {event["event"] for post in web.posts for event in json.loads(post.body)["events"]}


def message_about(admin: Person, platform: Platform, who: Person) -> list[ET.Element]:
    heard = admin.heard(platform.hypervisor)
    return [stanza for stanza in heard if who.bare in (stanza.findtext(f"{{{CLIENT}}}body") or "")]


async def say_as_the_page(platform: Platform, admin: Person, root: Path) -> None:
    [step] = read_steps(root / "docs" / "notifications.md")
    words = step.command.removeprefix("archipel chat hypervisor@example.org ").replace("night-shift", "hook")
    assert await admin.say(platform.host, words) == "\n".join(step.shown)


async def try_route(platform: Platform, admin: Person, web: WebService) -> None:
    answer = await admin.command(platform.host, NOTIFIER, "<archipel action='test' route='hook'/>")
    assert answer.get("type") == "result"
    assert "notifier/test" in events_of(web)
    await web.close()
    answer = await admin.command(platform.host, NOTIFIER, "<archipel action='test' route='hook'/>")
    assert_error(answer, code=-16001, condition="remote-server-timeout", mentions="cannot be used")
