# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from archipel.client.addresses import as_uuid, bare_address, parse_address
from archipel.client.errors import MalformedAddress
from archipel.client.machine_state import MachineState
from archipel.client.settings import ConnectionSettings
from archipel.protocol.virtual_machine import Info


def make_settings(**changes: object) -> ConnectionSettings:
    return ConnectionSettings(**{"jid": "alice@example.org", "password": "secret-word", **changes})


def test_the_password_does_not_show() -> None:
    assert "secret-word" not in repr(make_settings())


def test_the_pubsub_service_is_that_of_the_domain_unless_given() -> None:
    assert make_settings().service == "pubsub.example.org"
    assert make_settings(pubsub_service="events.example.net").service == "events.example.net"


def test_without_a_host_the_srv_records_decide() -> None:
    assert make_settings().address == (None, None)
    assert make_settings(host="192.0.2.1").address == ("192.0.2.1", 5222)
    assert make_settings(host="192.0.2.1", port=15222, ca_file=Path("ca.pem")).address == ("192.0.2.1", 15222)


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"jid": "example.org"}, "example.org"),
        ({"jid": "alice@example.org/laptop"}, "jid"),
        ({"host": "h", "port": 0}, "port"),
        ({"host": "h", "port": 65536}, "port"),
        ({"port": 5222}, "port"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        make_settings(**changes)


def test_an_address_is_prepared_for_comparison() -> None:
    assert bare_address("Alice@EXAMPLE.org/Laptop") == "alice@example.org"
    assert parse_address("Alice@EXAMPLE.org/Laptop").resource == "Laptop"


@pytest.mark.parametrize("text", ["", "example.org", "@example.org", "a@", "a b@example.org", "a@" + "x" * 2000])
def test_what_names_no_account_is_refused(text: str) -> None:
    with pytest.raises(MalformedAddress):
        parse_address(text)


def test_a_uuid_is_known_in_any_spelling() -> None:
    assert as_uuid("6F0C0000-0000-4000-8000-000000000001") == "6f0c0000-0000-4000-8000-000000000001"
    assert as_uuid("web") is None


@pytest.mark.parametrize(
    "number, state",
    [
        (0, MachineState.UNKNOWN),
        (1, MachineState.RUNNING),
        (2, MachineState.RUNNING),
        (3, MachineState.PAUSED),
        (4, MachineState.SHUTTING_DOWN),
        (5, MachineState.OFF),
        (6, MachineState.CRASHED),
        (7, MachineState.ASLEEP),
        (99, MachineState.UNKNOWN),
    ],
)
def test_libvirts_states_have_words(number: int, state: MachineState) -> None:
    assert MachineState.of(Info(state=number, max_memory=1, memory=1, vcpus=1, hypervisor="h@d/r", autostart=False)) is state


def test_no_info_means_that_there_is_no_domain() -> None:
    assert MachineState.of(None) is MachineState.NOT_DEFINED


def test_where_the_server_is_can_be_told() -> None:
    assert ConnectionSettings(jid="a@example.org", password="x", host="192.0.2.1").place == "192.0.2.1:5222"
    assert ConnectionSettings(jid="a@example.org", password="x").place == "the server that DNS names for example.org"
