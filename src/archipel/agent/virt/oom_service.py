# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``archipel-oom``, which systemd starts as root for each connection to ``archipel-oom.socket``.

It reads one question from standard input, looks at one process or adjusts it, answers, and ends. That process is QEMU's, the one
that libvirt noted for the machine of this name, and bears this UUID; nothing else of the host can be meant. It writes nothing but
that process's ``oom_score_adj``, and no lower value than ``--least``.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Sequence
from typing import Final

from archipel.agent.virt.oom_adjustment import LONGEST, OomAnswer, OomQuestion
from archipel.agent.virt.qemu_process import ProcessNotFound
from archipel.protocol.oom import LEAST, MOST

_LONGEST_NAME: Final = 250  # of a file, without its ending


class BadQuestion(ValueError):
    """The question is not one; the text says what is wrong."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the question on standard input; returns 0 if it was one, 1 if not."""
    parser = argparse.ArgumentParser(prog="archipel-oom", description="Adjust how likely the kernel ends a machine; systemd starts this.")
    parser.add_argument("--least", type=int, default=LEAST, help="no machine gets less than this [default: -1000, never ended]")
    least: int = parser.parse_args(arguments).least
    try:
        question = read_question(sys.stdin.buffer.readline(LONGEST), least)
    except BadQuestion as error:
        _say(OomAnswer(refused=str(error)))
        return 1
    _say(answer(question))
    return 0


def read_question(line: bytes, least: int) -> OomQuestion:
    """Return what a line asks; raises :class:`BadQuestion`."""
    try:
        asked = json.loads(line)
        machine, name, adjust = str(uuid.UUID(asked["uuid"])), asked["name"], asked["adjust"]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadQuestion("the question is not understood") from error
    if not isinstance(name, str) or not name.isprintable() or "/" in name or not 0 < len(name.encode()) <= _LONGEST_NAME:
        raise BadQuestion("name: is no name of a machine")
    if adjust is not None and (type(adjust) is not int or not LEAST <= adjust <= MOST):
        raise BadQuestion(f"adjust: must be from {LEAST} to {MOST}")
    if adjust is not None and adjust < least:
        raise BadQuestion(f"this host gives no machine less than {least} (--least in archipel-oom@.service)")
    return OomQuestion(machine, name, adjust)


def answer(question: OomQuestion) -> OomAnswer:
    """Do what is asked, and return what came of it."""
    try:
        return OomAnswer(question.answer())
    except ProcessNotFound as error:
        return OomAnswer(missing=str(error))
    except (OSError, ValueError) as error:
        return OomAnswer(refused=getattr(error, "strerror", None) or str(error))


def _say(told: OomAnswer) -> None:
    sys.stdout.buffer.write(told.write())
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
