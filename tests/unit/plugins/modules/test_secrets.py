# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret comes back, wherever somebody put it: not in a failure, a difference, a warning, nor in what verbose runs show."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from ansible.errors import AnsibleError
from ansible_collections.archipel.platform.plugins.plugin_utils.own_process import ActionModule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.client.scripted_stream import error
from tests.unit.plugins.modules.test_vm import LIST, OTHER
from tests.unit.plugins.modules.wire import LOGIN, Wire, wire
from tests.unit.plugins.plugin_utils.test_own_process import make_action

__all__ = ["wire"]

# Words that stand in no message by themselves.
SECRETS = st.from_regex(r"[a-z'\"&<\\\\ ]{0,3}QZ[0-9]{6}[a-z'\"&<\\\\ ]{0,3}", fullmatch=True)
ENTRIES = ("networks", "disks", "graphics", "drives")


def places(secret: str) -> list[dict[str, Any]]:
    """Return arguments of module vm with a secret in each place where people put one."""
    attribute = f"passwd={quoteattr(secret)}"
    display = f"<domain type='kvm'><memory>65536</memory><devices><graphics type='vnc' {attribute}/></devices></domain>"
    return [
        {"password": secret},
        {"memory": {"password": secret}},
        {"boot": [{"passwd": secret}]},
        *({option: [{"password": secret}]} for option in ENTRIES),
        *({option: {"password": secret}} for option in ENTRIES),
        *({"machines": [{"name": "web", option: [{"vnc_password": [secret]}]}]} for option in ENTRIES),
        {"machines": [{"name": "web", "passwd": secret}, {"name": {"passphrase": secret}}]},
        {"definition": display},
        {"definition": display.replace("</devices>", "")},
        {"definition": display.replace("65536", display)},
        {"definition": display, "memory": 5},
        {"definition": display, "state": display},
        {"definition": [display]},
        {"machines": [{"name": "web", "definition": display}, {"name": "web", "definition": display}]},
        {"graphics": [{"type": "vnc", "listen": attribute}]},
    ]


@given(data=st.data(), secret=SECRETS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("check", [True, False])
def test_no_secret_comes_back(data: st.DataObject, secret: str, check: bool, wire: Wire) -> None:
    arguments = data.draw(st.sampled_from(places(secret)))
    wire.script.clear()
    wire.hypervisor("get", LIST, OTHER)
    wire.anything = error("internal-server-error", f"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{'no'}</text>")
    common = {} if "machines" in arguments else {"name": "web"}
    shown = [json.dumps(wire.run("vm", check=check, **common, **arguments), ensure_ascii=False)]
    try:
        shown.append(json.dumps(run_in_own_process({**LOGIN, **common, **arguments}, check=check), ensure_ascii=False))
    except AnsibleError as failure:
        shown.append(str(failure))
    assert not [text for text in shown if secret in text or secret[secret.index("QZ") :][:8] in text], arguments


def run_in_own_process(arguments: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Run the module as the action does, and return what that shows."""
    action = make_action(arguments, action="vm", resolved_action="archipel.platform.vm", check_mode=check, diff=True)
    try:
        return action.run(task_vars={})
    finally:
        ActionModule.KEPT.close()
