# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying machines."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, Action, Wrong
from tests.wire.platform import HOST

ROWS = (
    Action(
        HYPERVISOR,
        HOST,
        "clone",
        "clone",
        -9004,
        "jid='{jid}'",
        rights_on_machine=("xmldesc", "drives_get"),
        answer="<virtualmachine jid='*'/>",
        malformed=(
            Wrong("jid"),
            Wrong("jid", "jid=' '"),
            Wrong("name", "jid='{jid}' name='never/made'", mentions="slash"),
            Wrong("linked", "jid='{jid}' linked='maybe'"),
        ),
    ),
)
