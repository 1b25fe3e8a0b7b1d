# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of rights."""

from __future__ import annotations

import pytest

from archipel.protocol.founding_rights import Standing, founding_names, standing_of
from archipel.protocol.rights import (
    ANY_ENTITY,
    CORE_TOKENS,
    ON_HYPERVISOR,
    ON_VIRTUAL_MACHINE,
    EntityKind,
    Token,
    TokenCatalogue,
    core_catalogue,
)
from archipel.protocol.roles import BUILT_IN

EVERY_ENTITY = (
    "all presence message permission_get permission_getown permission_list permission_set permission_setown subscription_add "
    "subscription_remove settags getavatars setavatar"
)
HYPERVISOR = "alloc free rostervm clone ip migrationinfo capabilities nodeinfo manage unmanage setorginfo"
VIRTUAL_MACHINE = (
    "info create shutdown destroy reboot suspend resume xmldesc migrate autostart memory setvcpus networkinfo define undefine "
    "capabilities nodeinfo free screenshot"
)


@pytest.mark.parametrize(
    "kind,names",
    [
        (EntityKind.HYPERVISOR, f"{EVERY_ENTITY} {HYPERVISOR} getroster domain_policy_bypass"),
        (EntityKind.VIRTUAL_MACHINE, f"{EVERY_ENTITY} {VIRTUAL_MACHINE} roster getroster domain_policy_bypass"),
    ],
)
def test_the_founding_rights_and_the_new_one_exist(kind: EntityKind, names: str):
    assert [token.name for token in TokenCatalogue(CORE_TOKENS).tokens(kind)] == names.split()


def test_the_founding_code_has_108_names_and_asked_for_five_that_it_never_made():
    assert len(founding_names()) == 108
    every = [(kind, token.name) for kind in EntityKind for token in core_catalogue().tokens(kind)]
    assert [name for kind, name in every if standing_of(kind, name) is Standing.NEVER_MADE] == [
        "vmparking_updatexml",
        "drives_getgolden",
        "drives_setgolden",
        "network_getnics",
        "network_getnwfilters",
    ]
    assert {name for kind, name in every if standing_of(kind, name) is Standing.DEAD} == {"roster"}
    assert {name for kind, name in every if standing_of(kind, name) is Standing.NEW} == {"getroster", "domain_policy_bypass"}


@pytest.mark.parametrize("kind,count", [(EntityKind.HYPERVISOR, 39 + 1), (EntityKind.VIRTUAL_MACHINE, 31 + 4)])
def test_rights_of_founding_modules_wait_for_their_capability(kind: EntityKind, count: int):
    """As many as the founding modules made there, and those that they asked for without making them."""
    catalogue = core_catalogue()
    waiting = [token.name for token in catalogue.tokens(kind) if catalogue.waits(kind, token.name)]
    assert len(waiting) == count
    own = Token(waiting[0], "As its capability words it", frozenset({kind}))
    catalogue.register(own)
    assert catalogue.find(kind, own.name) == own
    assert not catalogue.waits(kind, own.name)
    assert [token.name for token in catalogue.tokens(kind)].count(own.name) == 1


def test_roles_have_an_order():
    assert list(BUILT_IN) == ["student", "webmaster", "developer", "assistant", "teacher", "host-admin", "auditor"]


def test_no_role_but_the_highest_changes_more_than_it_says():
    changing = {"define", "destroy", "create", "permission_set", "alloc", "free", "all", "domain_policy_bypass"}
    assert {name: sorted(role.tokens & changing) for name, role in BUILT_IN.items()} == {
        "student": ["create", "destroy"],
        "webmaster": ["create", "destroy"],
        "developer": ["create", "define", "destroy"],
        "assistant": ["create", "destroy"],
        "teacher": ["alloc", "create", "define", "destroy", "free", "permission_set"],
        "host-admin": ["all"],
        "auditor": [],
    }


@pytest.mark.parametrize("kind", EntityKind)
def test_only_the_right_to_see_rights_is_there_by_default(kind: EntityKind):
    assert [token.name for token in core_catalogue().tokens(kind) if token.default] == ["permission_get"]


def test_only_the_way_past_the_domain_policy_is_reserved():
    assert {token.name for kind in EntityKind for token in core_catalogue().tokens(kind) if token.reserved} == {"domain_policy_bypass"}


@pytest.mark.parametrize("kind", EntityKind)
def test_every_right_is_described(kind: EntityKind):
    assert all(len(token.description) > 8 for token in core_catalogue().tokens(kind))


def test_capabilities_add_rights_to_the_kinds_they_name():
    catalogue = core_catalogue()
    vnc = Token("vnc_display", "See the screen", ON_VIRTUAL_MACHINE)
    catalogue.register(vnc)
    catalogue.register(vnc)
    assert catalogue.find(EntityKind.VIRTUAL_MACHINE, "vnc_display") == vnc
    assert catalogue.find(EntityKind.HYPERVISOR, "vnc_display") is None


def test_one_name_may_mean_two_things_on_two_kinds_but_not_on_one():
    catalogue = core_catalogue()
    catalogue.register(Token("snapshot", "of the host", ON_HYPERVISOR))
    catalogue.register(Token("snapshot", "of the machine", ON_VIRTUAL_MACHINE))
    with pytest.raises(ValueError, match="'all' is declared twice, differently, for a hypervisor"):
        catalogue.register(Token("all", "other", ANY_ENTITY, default=True))


@pytest.mark.parametrize("name", ["", "Two", "two words", "two-words", "zwölf", "1st"])
def test_a_right_is_a_lower_case_word(name: str):
    with pytest.raises(ValueError, match="is not a token"):
        core_catalogue().register(Token(name, "x", ANY_ENTITY))


@pytest.mark.parametrize(
    "wrong,near", [("creat", "create"), ("ALLOC", "alloc"), ("permision_set", "permission_set"), ("setorginfos", "setorginfo")]
)
def test_similar_names_are_found(wrong: str, near: str):
    kind = EntityKind.HYPERVISOR if near in HYPERVISOR.split() else EntityKind.VIRTUAL_MACHINE
    assert near in core_catalogue().near(kind, wrong)
