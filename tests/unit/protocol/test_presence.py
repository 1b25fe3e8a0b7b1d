# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How states look in a contact list: what founding clients tell machines' states by."""

from __future__ import annotations

import pytest

from archipel.protocol.presence import LIBVIRT_LOST, Status, busy_hypervisor, hypervisor_status, status_of_state


@pytest.mark.parametrize(
    "state,show,text",
    [
        (None, "xa", "Not defined"),
        (1, None, "Running"),
        (2, None, "Running"),
        (3, "away", "Paused"),
        (4, None, "Shutting down..."),
        (5, "xa", "Off"),
        (6, "xa", "Crashed"),
        (7, "away", "Asleep"),
    ],
)
def test_each_state_of_a_domain_has_its_presence(state: int | None, show: str | None, text: str) -> None:
    assert status_of_state(state) == Status(show, text)


@pytest.mark.parametrize("state", [0, 8, -1])
def test_a_state_that_says_nothing_has_none(state: int) -> None:
    assert status_of_state(state) is None


@pytest.mark.parametrize(
    "machines,hardware,text", [(0, True, "Online (0)"), (12, True, "Online (12)"), (12, False, "Online (12) \N{EM DASH} no VT")]
)
def test_a_hypervisor_tells_how_many_machines_it_has(machines: int, hardware: bool, text: str) -> None:
    assert hypervisor_status(machines, hardware_virtualisation=hardware) == Status(None, text)


def test_a_busy_hypervisor_tells_what_it_does() -> None:
    assert busy_hypervisor("Allocating vm...") == Status(None, "Online (Allocating vm...)")


def test_without_libvirt_an_entity_does_not_want_to_be_disturbed() -> None:
    assert Status("dnd", "Libvirt connection lost") == LIBVIRT_LOST
