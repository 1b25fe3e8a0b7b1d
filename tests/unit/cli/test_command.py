# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.cli.xml_text import read_xml, write_xml
from archipel.protocol import namespaces as ns
from tests.unit.cli.conftest import CommandLine, query
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, command, no_right

REQUEST = f"<query xmlns='{ns.HYPERVISOR_CONTROL}'><archipel action='ip'/></query>"
ANSWER = f'<query xmlns="{ns.HYPERVISOR_CONTROL}">\n  <ip>192.0.2.1</ip>\n</query>\n'


def script(archipel: CommandLine, kind: str = "set") -> None:
    asked = command(kind, HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='ip'/>")
    archipel.wire.answer(asked, query(ns.HYPERVISOR_CONTROL, "<ip>192.0.2.1</ip>"))


def test_a_request_is_sent_as_it_is_and_the_answer_printed(archipel: CommandLine) -> None:
    script(archipel)
    assert archipel.run("command", HYPERVISOR, "--xml", REQUEST).stdout == ANSWER
    assert archipel.json("command", HYPERVISOR, "--xml", REQUEST) == {"on": HYPERVISOR, "answer": ANSWER.rstrip("\n")}


def test_a_request_comes_from_a_file_or_standard_input(archipel: CommandLine, tmp_path: Path) -> None:
    script(archipel)
    file = tmp_path / "request.xml"
    file.write_text(f"<?xml version='1.0'?>\n{REQUEST}")
    assert archipel.run("command", HYPERVISOR, str(file)).stdout == ANSWER
    assert archipel.run("command", HYPERVISOR, "-", input=REQUEST).stdout == ANSWER


def test_a_whole_iq_says_its_type_and_who_is_asked_says_the_command(archipel: CommandLine) -> None:
    script(archipel, "get")
    assert archipel.run("command", HYPERVISOR, "--xml", f"<iq type='get' to='other@example.org'>{REQUEST}</iq>").stdout == ANSWER
    assert archipel.run("command", HYPERVISOR, "--type", "get", "--xml", REQUEST).stdout == ANSWER


def test_a_refusal_ends_the_command_as_any_other(archipel: CommandLine) -> None:
    archipel.wire.answer(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='ip'/>"), no_right("ip"))
    assert "You lack the right ip" in archipel.run("command", HYPERVISOR, "--xml", REQUEST, code=3).stderr


@pytest.mark.parametrize(
    "text, told",
    [
        ("", "no well-formed XML"),
        ("<query", "no well-formed XML"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><query xmlns='a'/>", "document type"),
        ("<query><archipel action='ip'/></query>", "a request is <query"),
        ("<archipel action='ip'/>", "a request is <query"),
        ("<iq type='result'><query xmlns='a'/></iq>", "of type get or set"),
        ("<iq type='get'/>", "of type get or set"),
        ("<a>" * 300 + "</a>" * 300, "nests"),
    ],
)
def test_what_is_no_request_is_wrong_usage(archipel: CommandLine, text: str, told: str) -> None:
    assert told in archipel.run("command", HYPERVISOR, "--xml", text, code=2).stderr


@pytest.mark.parametrize("arguments", [(), ("-", "--xml", REQUEST)])
def test_a_request_is_given_once(archipel: CommandLine, arguments: tuple[str, ...]) -> None:
    assert "not both" in archipel.run("command", HYPERVISOR, *arguments, input=REQUEST, code=2).stderr


@given(
    st.lists(st.sampled_from(["", "urn:a", "urn:b"]), min_size=1, max_size=6),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=9),
)
def test_xml_that_is_printed_means_what_it_meant(spaces: list[str], value: str) -> None:
    inner = ""
    for number, space in enumerate(spaces):
        inner = f"<e{number} xmlns='{space}'>{inner}</e{number}>"
    element = read_xml(inner)
    element.set("value", value)
    again = read_xml(write_xml(element))
    assert [(found.tag, dict(found.attrib)) for found in again.iter()] == [(found.tag, dict(found.attrib)) for found in element.iter()]
