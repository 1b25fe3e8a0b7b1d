# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing a picture."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

AVATAR = "archipel:avatar"
NO_NAMES = ("../defaultvm.png", "/etc/passwd", "a\\b.png", ".hidden.png", "..", "a&#9;.png", "x" * 256)
PACKAGED = "".join(f"<avatar name='{name}.png' content-type='image/png' hash='*'>*</avatar>" for name in ("defaulthypervisor", "defaultvm"))

ROWS = tuple(
    row
    for kind in (HYPERVISOR, MACHINE)
    for row in (
        Action(
            kind,
            AVATAR,
            "getavatars",
            "getavatars",
            -1,
            answer=f"<avatars>{PACKAGED}</avatars>",
            malformed=tuple(Wrong("after", f"after='{name}'") for name in NO_NAMES),
        ),
        Action(
            kind,
            AVATAR,
            "setavatar",
            "setavatar",
            -2,
            "avatar='defaultvm.png'",
            malformed=(Wrong("avatar"), *(Wrong("avatar", f"avatar='{name}'") for name in ("", " ", *NO_NAMES))),
        ),
    )
)
