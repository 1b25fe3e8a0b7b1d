# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions about the kernel's out-of-memory killer. Machines of libvirt's test driver have no process."""

from __future__ import annotations

from tests.wire.action import MACHINE, Action, Wrong, values

OOM = "archipel:vm:oom"

ROWS = (
    Action(MACHINE, OOM, "getadjust", "oom_getadjust", -1, answer="<oom adjust='0' score='0' kernel='0'/>"),
    Action(
        MACHINE,
        OOM,
        "setadjust",
        "oom_setadjust",
        -1,
        "adjust='-17'",
        malformed=(
            *values("never", "16", "-18", "1.5", "", name="adjust"),
            Wrong("adjust", "adjust='0' kernel='0'"),
            *(Wrong("kernel", f"kernel='{value}'") for value in ("never", "1001", "-1001", "1.5", "")),
        ),
    ),
)
