# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before it becomes a command is written down too; of too much in one minute only how much it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from archipel.agent.dispatch import Caller
from archipel.protocol import namespaces as ns

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

MESSAGE: Final = (ns.CLIENT, "message")  # namespace and action of a chat message that became no command


def note_refusal(entity: Entity, caller: Caller, asked: tuple[str, str], rule: str, text: str, phrase: str = "") -> None:
    """Write a refusal in the audit log: ``asked`` is namespace and action, ``text`` the reason, ``phrase`` what was said."""
    namespace, action = asked
    entity.services.audit.record(
        caller=caller.full,
        entity=entity.bare,
        namespace=namespace,
        action=action,
        arguments=None,
        rule=rule,
        outcome=f"error: {text}",
        seconds=0,
        phrase=phrase,
        stranger=True,
    )
