# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of ``archipel:rights``: why, rules, roles, groups."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

RIGHTS = "archipel:rights"
LONG = "x" * 501

# What the asker holds he may give; the roles are built in.
RULE = "<rule subject='somebody@agents.localhost' right='permission_set'/>"
NAMES = (
    Wrong("subject", inner="<rule right='message'/>"),
    Wrong("subject", inner="<rule subject='' right='message'/>"),
    Wrong("subject", inner="<rule subject='agents.localhost' right='message'/>"),
    Wrong("group", inner="<rule subject='{person}' group='g' right='message'/>"),
    Wrong("group", inner="<rule group=' ' role='student'/>"),
    Wrong("right", inner="<rule subject='{person}'/>"),
    Wrong("right", inner="<rule subject='{person}' right='mesage'/>", mentions="'mesage'"),
    Wrong("role", inner="<rule subject='{person}' right='message' role='student'/>"),
    Wrong("role", inner="<rule subject='{person}' role=''/>"),
    Wrong("scope", inner="<rule subject='{person}' right='message' scope='platform'/>"),
    Wrong("scope", inner="<rule subject='{person}' right='message' scope='tag'/>"),
)
NEW = (
    *NAMES,
    Wrong("role", inner="<rule subject='{person}' role='studnet'/>"),
    Wrong("expires", inner="<rule subject='{person}' right='message' expires='tomorrow'/>"),
    Wrong("expires", inner="<rule subject='{person}' right='message' expires='2099-01-01T00:00:00'/>"),
    Wrong("expires", inner="<rule subject='{person}' right='message' expires='2001-01-01T00:00:00Z'/>"),
    Wrong("reason", inner=f"<rule subject='{{person}}' right='message' reason='{LONG}'/>"),
)
OLD = (*NAMES, Wrong("effect", inner="<rule subject='{person}' right='message' effect='no'/>"))


def every_entity(kind: str) -> tuple[Action, ...]:
    beyond = () if kind == HYPERVISOR else (Wrong("scope", inner="<rule subject='{person}' right='message' scope='own'/>"),)
    return (
        Action(
            kind,
            RIGHTS,
            "why",
            None,
            -4,
            "right='message'",
            answer="<decision subject='{person}' right='message' allowed='1' rule='granted'>*</decision>",
            malformed=(
                Wrong("right"),
                Wrong("right", "right=' '"),
                Wrong("right", "right='sing a song'"),
                Wrong("subject", "right='message' subject='nobody at all'"),
            ),
        ),
        Action(kind, RIGHTS, "rules", None, -4, answer=None),
        Action(kind, RIGHTS, "grant", "permission_set", -5, inner=RULE, malformed=(*NEW, *beyond)),
        Action(kind, RIGHTS, "deny", "permission_set", -5, malformed=(*NEW, *beyond)),
        Action(kind, RIGHTS, "withdraw", "permission_set", -5, inner=RULE, malformed=(*OLD, *beyond)),
        Action(kind, RIGHTS, "roles", "permission_list", -6, answer=None),
    )


ON_HYPERVISOR = (
    Action(
        HYPERVISOR,
        RIGHTS,
        "setrole",
        "permission_set",
        -5,
        "name='operator' rights='create shutdown'",
        malformed=(
            Wrong("name", "rights='create'"),
            Wrong("name", "name='Two words' rights='create'", mentions="name"),
            Wrong("name", "name='student' rights='create'", mentions="'student'"),
            Wrong("rights", "name='operator'"),
            Wrong("rights", "name='operator' rights='creat'"),
            Wrong("description", f"name='operator' rights='create' description='{LONG}'"),
        ),
    ),
    Action(
        HYPERVISOR,
        RIGHTS,
        "removerole",
        "permission_set",
        -5,
        "name='operator'",
        malformed=(
            Wrong("name"),
            Wrong("name", "name='student'", mentions="'student'"),
        ),
    ),
    Action(HYPERVISOR, RIGHTS, "groups", None, -4, answer=None),
    Action(
        HYPERVISOR,
        RIGHTS,
        "setgroup",
        "permission_set",
        -5,
        "name='tp1'",
        "<member jid='somebody@agents.localhost'/>",
        malformed=(
            Wrong("name", inner="<member jid='somebody@agents.localhost'/>"),
            Wrong("jid", "name='tp1'", "<member/>"),
            Wrong("jid", "name='tp1'", "<member jid='agents.localhost'/>", mentions="member"),
        ),
    ),
)

ROWS = (*ON_HYPERVISOR, *every_entity(HYPERVISOR), *every_entity(MACHINE))
