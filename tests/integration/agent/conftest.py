# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One platform for each worker of the test run, on one loop: its people stay logged in. Tests that break things start their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.actions.notices import PREFERENCES
from tests.wire.person import PUBSUB, Person
from tests.wire.platform import ADMIN, TAGS_NODE, Machine, Platform, open_platform
from tests.wire.waiting import eventually

OPTIONS = {
    ("GEOLOCALIZATION", "localization_latitude"): "48.8566",
    ("GEOLOCALIZATION", "localization_longitude"): "2.3522",
    ("NOTICES", "notices_verbosity"): "silent",  # people hear what their test is about; who did what, if they ask for it
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running platform that tests share."""
    async with open_platform(tmp_path_factory.mktemp("platform"), authority, "agents.localhost", OPTIONS, patient=True) as platform:
        yield platform
        assert platform.leaked_passwords() == []
        assert "Traceback" not in platform.log, platform.log


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def admin(platform: Platform) -> Person:
    """The administrator, with the hypervisor in his roster and subscribed to its events."""
    person = await platform.enter(ADMIN)
    await platform.meet_hypervisor(person)
    await person.subscribe_to_events(platform.hypervisor, platform.pubsub)
    return person


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def one_answer_each(platform: Platform) -> AsyncIterator[None]:
    """Whatever was asked in a module's tests was answered once, and a moment later still."""
    yield
    await asyncio.gather(*(person.assert_one_answer_each() for person in platform.people if not person.lost.done()))


@pytest_asyncio.fixture(loop_scope="session")
async def usual_news(platform: Platform, admin: Person) -> None:
    """The administrator hears what those hear who chose nothing: other tests may have chosen for him, or taken him off the roster."""
    await platform.meet_hypervisor(admin)
    await eventually(lambda: platform.roster_on_server(platform.hypervisor).get(admin.bare) in {"both", "from"}, "the place in the roster")
    await admin.command(platform.host, PREFERENCES, "<archipel action='reset'/>")


@pytest_asyncio.fixture(loop_scope="session")
async def student(platform: Platform) -> Person:
    """An ordinary user, new for each test, whom no entity knows yet."""
    return await platform.enter()


@pytest_asyncio.fixture(loop_scope="session")
async def machine(platform: Platform, admin: Person) -> Machine:
    """A machine of the administrator's, defined and off."""
    return await platform.make_machine(admin)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tags_node(platform: Platform, admin: Person) -> AsyncIterator[None]:
    """The node as an administrator makes it for the platform: hypervisors publish, everybody reads."""
    fields = {"access_model": "open", "publish_model": "publishers", "max_items": "1000", "persist_items": "1", "notify_retract": "1"}
    form = "".join(f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in fields.items())
    kind = "<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field>"
    configure = f"<configure><x xmlns='jabber:x:data' type='submit'>{kind}{form}</x></configure>"
    await admin.ask_server(platform.pubsub, f"<pubsub xmlns='{PUBSUB}'><create node='{TAGS_NODE}'/>{configure}</pubsub>")
    publisher = f"<affiliation jid='{platform.hypervisor}' affiliation='publisher'/>"
    owner = f"<pubsub xmlns='{PUBSUB}#owner'><affiliations node='{TAGS_NODE}'>{publisher}</affiliations></pubsub>"
    await admin.ask_server(platform.pubsub, owner)
    yield
    await admin.ask_server(platform.pubsub, f"<pubsub xmlns='{PUBSUB}#owner'><delete node='{TAGS_NODE}'/></pubsub>")
