# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of ``archipel:declaration``; what they answer is looked at in tests/integration/agent/test_declaration.py."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, Action, Wrong

DECLARATION = "archipel:declaration"
UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
LONG_LABEL, LONG_KEY = "x" * 101, "x" * 501

NO_LABEL = (
    Wrong("label", "label=' '"),
    Wrong("label", f"label='{LONG_LABEL}'"),
    Wrong("label", "label='a&#10;b'"),
)
NO_ITEMS = tuple(
    Wrong(field, "label='lab'", f"<{tag} {attributes}/>")
    for tag in ("add", "remove")
    for field, attributes in (
        ("kind", "key='web'"),
        ("kind", "kind='Two words' key='web'"),
        ("key", "kind='network'"),
        ("key", "kind='network' key=' '"),
        ("key", f"kind='network' key='{LONG_KEY}'"),
        ("key", "kind='network' key='a&#10;b'"),
        ("key", "kind='machine' key='web'"),
        ("key", f"kind='machine' key='{UUID}/ada'"),
    )
)
ROWS = (
    Action(
        HYPERVISOR,
        DECLARATION,
        "describe",
        None,
        -470001,
        "parts='info tags addresses system'",
        "<machine uuid='{uuid}'/>",
        answer="<machines/>",  # the asker is known to the hypervisor, but not to the machine
        malformed=(
            Wrong("parts", "parts='info disks'"),
            Wrong("uuid", inner="<machine/>"),
            Wrong("uuid", inner="<machine uuid='web'/>"),
            Wrong("next", inner="<next part='info'/>", mentions="uuid"),
            Wrong("next", inner=f"<next uuid='{UUID}' part='disks'/>", mentions="part"),
        ),
    ),
    Action(
        HYPERVISOR,
        DECLARATION,
        "owned",
        "ownership_get",
        -470002,
        "label='nobody'",
        answer="<owned more='0'/>",
        malformed=(*NO_LABEL, Wrong("after", inner="<after kind='network'/>", mentions="key")),
    ),
    Action(
        HYPERVISOR,
        DECLARATION,
        "own",
        "ownership_set",
        -470003,
        "label='lab'",
        "<add kind='network' key='lab'/><remove kind='machine' key='{uuid}'/>",
        malformed=(
            Wrong("label"),
            *NO_LABEL,
            *NO_ITEMS,
            Wrong("take", "label='lab' take='perhaps'"),
            Wrong("key", "label='lab'", "<add kind='network' key='lab'/><remove kind='network' key='lab'/>", mentions="remove"),
        ),
    ),
)
