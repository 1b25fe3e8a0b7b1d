# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable

import libvirt
import pytest

from archipel.agent.virt import binding
from archipel.agent.virt.errors import DomainNotFound, LibvirtError


@pytest.fixture
def connect() -> libvirt.virConnect:
    binding.run_event_loop()
    return libvirt.open("test:///default")


def describe(action: Callable[..., object], *arguments: object) -> LibvirtError:
    with pytest.raises(binding.VirFailure) as failure:
        action(*arguments)
    return binding.describe(failure.value)


def test_an_error_has_libvirts_code_and_domain(connect: libvirt.virConnect) -> None:
    error = describe(connect.lookupByName, "nobody")
    assert isinstance(error, DomainNotFound)
    assert (error.code, error.domain) == (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_FROM_TEST)
    assert str(error) == error.message == "Domain not found"


def test_other_errors_are_not_taken_for_a_missing_domain(connect: libvirt.virConnect) -> None:
    assert not isinstance(describe(connect.defineXML, "<domain type='test'/>"), DomainNotFound)


def test_a_password_in_a_broken_definition_stays_out_of_the_message(connect: libvirt.virConnect) -> None:
    error = describe(connect.defineXML, "<domain type='test'>\n<graphics type='vnc' passwd='letmein'></graphic>\n</domain>")
    assert "graphics" in error.message
    assert "letmein" not in str(error)


def test_libvirt_prints_nothing(connect: libvirt.virConnect, capfd: pytest.CaptureFixture[str]) -> None:
    describe(connect.lookupByName, "nobody")
    assert capfd.readouterr() == ("", "")


def test_close_reasons_are_said_in_words() -> None:
    assert binding.name_close_reason(libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE) == "libvirt's daemon no longer answers"
    assert binding.name_close_reason(99) == "close reason 99"
