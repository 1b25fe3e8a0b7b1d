# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import enum

import libvirt
import pytest

from archipel.agent.virt import lifecycle
from archipel.agent.virt.lifecycle import DETAILS, DomainEvent, DomainState, LifecycleEvent, StoppedDetail, UnknownDetail


def known(kind: type[enum.IntEnum]) -> dict[str, int]:
    return {member.name: member.value for member in kind if member.name != "UNKNOWN"}


def constants(prefix: str) -> dict[str, int]:
    """What libvirt calls so; a name with a further underscore may belong to a longer prefix."""
    return {name.removeprefix(prefix): value for name, value in vars(libvirt).items() if name.startswith(prefix)}


def test_states_have_libvirts_numbers() -> None:
    names = ("NOSTATE", "RUNNING", "BLOCKED", "PAUSED", "SHUTDOWN", "SHUTOFF", "CRASHED", "PMSUSPENDED")
    assert known(DomainState) == {name: getattr(libvirt, f"VIR_DOMAIN_{name}") for name in names} == dict(zip(names, range(8), strict=True))


def test_events_have_libvirts_numbers() -> None:
    names = ("DEFINED", "UNDEFINED", "STARTED", "SUSPENDED", "RESUMED", "STOPPED", "SHUTDOWN", "PMSUSPENDED", "CRASHED")
    numbers = {name: getattr(libvirt, f"VIR_DOMAIN_EVENT_{name}") for name in names}
    assert known(LifecycleEvent) == numbers == dict(zip(names, range(9), strict=True))


@pytest.mark.parametrize("event", known(LifecycleEvent))
def test_details_have_libvirts_numbers_and_none_is_missing(event: str) -> None:
    assert known(DETAILS[LifecycleEvent[event]]) == constants(f"VIR_DOMAIN_EVENT_{event}_")


def test_an_event_is_decoded() -> None:
    assert DomainEvent.decode("u", "web", 5, 1) == DomainEvent("u", "web", LifecycleEvent.STOPPED, StoppedDetail.DESTROYED)


def test_numbers_of_a_newer_libvirt_are_unknown_instead_of_an_error() -> None:
    assert DomainEvent.decode("u", "web", 5, 77).detail is StoppedDetail.UNKNOWN
    event = DomainEvent.decode("u", "web", 77, 1)
    assert (event.event, event.detail) == (LifecycleEvent.UNKNOWN, UnknownDetail.UNKNOWN)
    assert DomainState(77) is DomainState.NOSTATE


def test_a_state_is_never_taken_for_an_event() -> None:
    assert lifecycle.DomainState.CRASHED == 6
    assert lifecycle.LifecycleEvent.SHUTDOWN == 6
