# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How errors end the command: the exit code, and the words for scripts (docs/cli.md lists the codes)."""

from __future__ import annotations

import enum
from typing import Any, Final

from archipel.client.errors import AmbiguousMachine, LoginMissing, MachineNotFound, MalformedAddress, NotOnline
from archipel.client.failures import describe
from archipel.protocol.errors import CommandError, Condition, PermissionDenied
from archipel.xmpp.errors import LoginRefused, UntrustedServer, WireError


class ExitCode(enum.IntEnum):
    """Exit codes of the command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PERMISSION = 3
    UNREACHABLE = 4
    NOT_FOUND = 5
    LOGIN = 6


_REFUSALS: Final = frozenset({Condition.FORBIDDEN, Condition.NOT_ALLOWED})
_BY_CLASS: Final[tuple[tuple[type[Exception], ExitCode], ...]] = (
    (PermissionDenied, ExitCode.PERMISSION),
    (MachineNotFound, ExitCode.NOT_FOUND),
    (AmbiguousMachine, ExitCode.NOT_FOUND),
    (MalformedAddress, ExitCode.USAGE),
    (NotOnline, ExitCode.UNREACHABLE),
    (LoginRefused, ExitCode.LOGIN),
    (UntrustedServer, ExitCode.LOGIN),
    (LoginMissing, ExitCode.LOGIN),
    (WireError, ExitCode.UNREACHABLE),
)


def exit_code(error: BaseException) -> ExitCode:
    """Return how the command ends after ``error``."""
    if isinstance(error, CommandError) and error.condition in _REFUSALS:
        return ExitCode.PERMISSION
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), ExitCode.FAILED)


def exit_code_of_all(errors: list[BaseException]) -> ExitCode:
    """Return how a command on several machines ends: as the errors do if they all end alike."""
    codes = {exit_code(error) for error in errors}
    return ExitCode.OK if not codes else codes.pop() if len(codes) == 1 else ExitCode.FAILED


def as_json(error: BaseException) -> dict[str, Any]:
    """Return an error for scripts."""
    right = error.right if isinstance(error, PermissionDenied) else None
    return {"error": describe(error), "exit_code": int(exit_code(error))} | ({"right": right} if right else {})
