# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events nodes that the founding agent has left: open to everybody, with subscribers whom nobody asked for."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from testbed.certificates import Authority
from tests.wire.matching import show
from tests.wire.person import PUBSUB
from tests.wire.platform import ADMIN, open_platform
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN = """<pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='{node}'/><configure><x xmlns='jabber:x:data' type='submit'>
<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field>
<field var='pubsub#access_model'><value>open</value></field></x></configure></pubsub>"""


async def test_an_open_node_is_closed_and_its_strangers_hear_nothing_more(tmp_path: Path, authority: Authority):
    async with open_platform(tmp_path, authority, "inherited.localhost") as platform:
        admin, eve = await platform.enter(ADMIN), await platform.enter()
        hypervisor = platform.hypervisor
        node = f"/archipel/{hypervisor}/events"
        await platform.meet_hypervisor(admin)  # its node is there then
        platform.agent.stop()
        owner = await platform.enter(hypervisor.partition("@")[0])
        await owner.ask_server(platform.pubsub, f"<pubsub xmlns='{PUBSUB}#owner'><delete node='{node}'/></pubsub>")
        await owner.ask_server(platform.pubsub, OPEN.format(node=node))
        await owner.log_out()
        subscribed = await eve.subscribe_to_events(hypervisor, platform.pubsub)
        assert subscribed.get("type") == "result", show(subscribed)
        platform.agent.start()
        await eventually(lambda: "was open to all" in platform.log)
        await platform.meet_hypervisor(admin)
        await admin.subscribe_to_events(hypervisor, platform.pubsub)
        since = len(admin.received)
        await platform.make_machine(admin)
        await admin.expect_push(hypervisor, "hypervisor", "alloc", since)
        assert [show(stanza) for stanza in eve.received if "push" in ET.tostring(stanza, encoding="unicode")] == []
        refused = await eve.subscribe_to_events(hypervisor, platform.pubsub)
        assert refused.get("type") == "error", show(refused)
