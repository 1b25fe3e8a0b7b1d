# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Items of the node /archipel/adminaccounts: the accounts that may do everything."""

from __future__ import annotations

from archipel.protocol.payload import Payload, attribute, not_empty, payload


@payload
class AdministratorItem(Payload, tag="admin"):
    """An administrator's account, in two halves as the founders have it."""

    node: str = attribute(not_empty)
    domain: str = attribute(not_empty)

    @property
    def jid(self) -> str:
        """The account."""
        return f"{self.node}@{self.domain}"
