# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that make no sense are refused, with the name of the argument, before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

BOB = "bob@example.org"
NO_MACHINE = "<archipel action='rostervm'/>"

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("vm", {"memory": 64}, "one of the following is required: name, uuid, machines"),
    ("vm", {"name": "web", "machines": []}, "mutually exclusive: machines|name"),
    ("vm", {"machines": [{"memory": 64}]}, "one of the following is required: name, uuid"),
    ("vm", {"machines": [{"name": "web"}, {"name": "web"}]}, "machines: name web is there twice"),
    ("vm", {"name": "web", "memory": "much"}, "memory: 'much' is no amount of memory"),
    ("vm", {"name": "web", "memory": 64, "definition": "<domain/>"}, "mutually exclusive: definition|memory"),
    ("vm", {"name": "web", "definition": "<domain>"}, "web: definition: is not well-formed XML"),
    ("vm", {"name": "web", "state": "adopted", "memory": 64}, "state: adopted takes a machine as it is"),
    ("vm", {"name": "web", "state": "adopted"}, "has no such domain to adopt"),
    ("vm", {"uuid": "6f0c0000-0000-4000-8000-000000000009"}, "there is no such machine; give the name of the machine"),
    ("vm", {"name": "web", "disks": [{"path": "relative"}]}, "disks[0].path: 'relative' is not an absolute path"),
    ("vm", {"name": "web", "disks": [{"path": "/a", "pool": "p", "volume": "v"}]}, "mutually exclusive: path|volume"),
    ("vm", {"name": "web", "networks": [{"model": "e1000"}]}, "one of the following is required: network, bridge, user"),
    ("vm", {"name": "web", "graphics": [{"port": 5900, "autoport": True}]}, "mutually exclusive: port|autoport"),
    ("vm", {"name": "web", "graphics": [{"passwd": "x"}]}, "Unsupported parameters"),
    ("permission", {"subject": BOB}, "any of the following are missing: rights, roles"),
    ("permission", {"rights": ["info"]}, "one of the following is required: subjects, groups"),
    ("permission", {"subject": BOB, "state": "absent", "exclusive": True}, "exclusive: goes with state: present"),
    ("permission", {"subject": "no jid", "rights": ["info"]}, "subject: 'no jid'"),
    ("permission", {"subject": "no jid", "role": "student"}, "subject: 'no jid'"),
    ("permission", {"machine": "nowhere", "subject": BOB, "rights": ["info"]}, "manages no machine 'nowhere'"),
    ("roster", {"people": [BOB], "state": "absent", "exclusive": True}, "exclusive: goes with state: present"),
    ("roster", {"people": ["no jid"]}, "people: 'no jid'"),
    ("administrator", {"people": ["no jid"]}, "people: 'no jid'"),
    ("vm_info", {"names": ["nowhere", "elsewhere"]}, "manages no machine 'elsewhere'"),
    ("vm_info", {"states": ["broken"]}, "value of states must be one or more of: running"),
    ("hypervisor_info", {"gather": ["everything"]}, "value of gather must be one or more of: node"),
    ("hypervisor_info", {"xmpp_jid": "alice@example.org/desk"}, "xmpp_jid: give the account without a resource"),
    ("hypervisor_info", {"xmpp_jid": "alice"}, "xmpp_jid: 'alice' names no account"),
    ("hypervisor_info", {"hypervisor": "hyp"}, "hypervisor: 'hyp' names no account"),
    ("hypervisor_info", {"timeout": -1}, "timeout: must be more than 0 seconds"),
]


@pytest.mark.parametrize("module, arguments, message", REFUSED, ids=[f"{module}-{message[:40]}" for module, _arguments, message in REFUSED])
def test_what_makes_no_sense_is_refused(module: str, arguments: dict[str, Any], message: str, wire: Wire) -> None:
    wire.hypervisor("get", NO_MACHINE)
    answer = wire.run(module, **arguments)
    assert answer["failed"]
    assert message in answer["msg"]
    if wire.streams:
        wire.assert_asked()
