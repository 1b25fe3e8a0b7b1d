# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of contacts' preferences."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

PREFERENCES = "archipel:contact:preferences"
ANSWER = "<preferences verbosity='{verbosity}' quiet='{quiet}' zone='*' alarms='{alarms}' origin='*'/>"
ANY = ANSWER.format(verbosity="*", quiet="*", alarms="*")
WRONG_HOURS = ("at night", "22", "25:00-07:00", "22:70-07:00", "7-7")


def every_entity(kind: str) -> tuple[Action, ...]:
    return (
        Action(kind, PREFERENCES, "get", None, -17001, answer=ANY),
        Action(
            kind,
            PREFERENCES,
            "set",
            None,
            -17001,
            "verbosity='all' quiet='22:00-07:00' zone='Europe/Berlin' alarms='0'",
            answer="<preferences verbosity='all' quiet='22:00-07:00' zone='Europe/Berlin' alarms='0' origin='own'/>",
            malformed=(
                Wrong("verbosity"),
                Wrong("verbosity", "verbosity='loud'"),
                *(Wrong("quiet", f"quiet='{hours}'") for hours in WRONG_HOURS),
                Wrong("zone", "zone='Middle/Earth'"),
                Wrong("zone", "zone='../../etc/passwd'"),
                Wrong("alarms", "alarms='maybe'"),
            ),
        ),
        Action(
            kind,
            PREFERENCES,
            "sethours",
            None,
            -17001,
            "hours='22 to 7 UTC no alarms'",
            answer="<preferences verbosity='*' quiet='22:00-07:00' zone='UTC' alarms='0' origin='own'/>",
            malformed=(Wrong("hours"), Wrong("hours", "hours=' '"), *(Wrong("hours", f"hours='{hours}'") for hours in WRONG_HOURS)),
        ),
        Action(
            kind, PREFERENCES, "hush", None, -17001, answer="<preferences verbosity='silent' quiet='*' zone='*' alarms='*' origin='own'/>"
        ),
        Action(kind, PREFERENCES, "reset", None, -17001, answer=ANY),
    )


ROWS = (*every_entity(HYPERVISOR), *every_entity(MACHINE))
