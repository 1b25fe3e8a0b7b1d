# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML and lists as people write them into a form."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.errors import BadRequest
from archipel.protocol.every_entity import SetRights
from archipel.protocol.form_texts import LONGEST_LIST
from archipel.protocol.forms import form_fields, request_element
from archipel.protocol.guest import Execute
from archipel.protocol.hypervisor import Manage
from archipel.protocol.parking import CreateParked, Unpark
from archipel.protocol.payload import Request
from archipel.protocol.rules import GrantRules
from archipel.protocol.snapshots import TakeSnapshot
from archipel.protocol.virtual_machine import AttachDevice, Define
from tests.unit.protocol.hostile import TEXTS


def read(request: type[Request[Any]], **values: str) -> Any:
    return request.read(request_element(request, values))


@pytest.mark.parametrize(
    "request_, field, description",
    [
        (Define, "domain", "XML: <domain>, or what stands in it."),
        (CreateParked, "items", "XML: any number of <item>."),
        (Manage, "machines", "Any number, each on its own line: jid."),
        (
            Unpark,
            "items",
            "Any number, each on its own line: identifier [start=]. What has blanks in it stands in quotation marks.",
        ),
    ],
)
def test_a_form_says_how_a_text_is_written(request_: type[Request[Any]], field: str, description: str) -> None:
    found = {each.name: each for each in form_fields(request_)}[field]
    assert (found.kind, found.description, found.sayable) == ("text-multi", description, False)


def test_an_item_with_one_value_is_its_line() -> None:
    assert [each.jid for each in read(Manage, machines=" web@lab.example\n\n  db ").machines] == ["web@lab.example", "db"]
    arguments = read(Execute, path="/bin/sh", arguments="-c\necho 'a b' x=y \"\nz").arguments
    assert [each.arg for each in arguments] == ["-c", "echo 'a b' x=y \"", "z"]


def test_values_are_named_or_stand_in_their_order() -> None:
    text = "ada@lab.example info permission_value=1\npermission_name='create' bob@lab.example"
    granted = read(SetRights, grants=text).grants
    assert [(each.target, each.name, each.granted) for each in granted] == [
        ("ada@lab.example", "info", True),
        ("bob@lab.example", "create", False),
    ]
    [rule] = read(GrantRules, rules="subject=ada@lab.example right=info reason='for the lab = all of it'").rules
    assert (rule.subject, rule.right, rule.reason, rule.scope) == ("ada@lab.example", "info", "for the lab = all of it", "entity")
    assert [each.start for each in read(Unpark, items="web start=yes\ndb").items] == [True, False]


@pytest.mark.parametrize(
    "request_, field, text, wrong",
    [
        (SetRights, "grants", "ada", "permission_name: is missing"),
        (SetRights, "grants", "ada info 1", "grants: '1' is too much: a line is permission_target permission_name"),
        (SetRights, "grants", "ada 'info", 'grants: "ada \'info": No closing quotation'),
        (GrantRules, "rules", "ada info", "rules: 'ada' is too much"),
        (SetRights, "grants", "a " * LONGEST_LIST, f"grants: must have {LONGEST_LIST} characters at most"),
        (Define, "domain", "<domain>", "domain: is not well-formed XML"),
        (Define, "domain", "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain>&a;</domain>", "domain: is not well-formed XML"),
        (Define, "domain", "</domain><domain>", "domain: is not well-formed XML"),
        (Define, "domain", "<a>" * 300 + "</a>" * 300, "nests more than"),
        (CreateParked, "items", "<domain/>", "items: must hold <item>, not <domain>"),
    ],
)
def test_what_is_wrong_is_named(request_: type[Request[Any]], field: str, text: str, wrong: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(request_, **{field: text})
    assert wrong in refusal.value.text


@pytest.mark.parametrize(
    "text", ["<domain><name>web</name></domain>", "<?xml version='1.0'?>\n<domain><name>web</name></domain>", "<name>web</name>"]
)
def test_xml_is_the_element_or_what_stands_in_it(text: str) -> None:
    assert read(Define, domain=text).domain.findtext("name") == "web"


def test_a_device_stands_in_its_element_or_alone() -> None:
    for text in ("<disk type='file'/>", "<device><disk type='file'/></device>"):
        assert [each.tag for each in read(AttachDevice, device=text).device] == ["disk"]


def test_a_list_of_definitions_is_xml() -> None:
    text = "<item uuid='1'><domain><name>web</name></domain></item>\n<item uuid='2'><domain/></item>"
    assert [each.uuid for each in read(CreateParked, items=text).items] == ["1", "2"]


def test_what_is_left_out_is_left_out() -> None:
    taken = read(TakeSnapshot, name="before")
    assert (taken.wanted_name, taken.wish) == ("before", None)
    assert read(TakeSnapshot, domainsnapshot="<description>why</description>").description == "why"


@given(TEXTS.filter(lambda text: text.strip()), TEXTS.filter(lambda text: text.strip()))
def test_whatever_is_quoted_is_taken_as_it_is(target: str, name: str) -> None:
    line = f"permission_target={shlex.quote(target)} permission_name={shlex.quote(name)}"
    if "\n" not in line and len(line) < LONGEST_LIST:
        [grant] = read(SetRights, grants=line).grants
        assert (grant.target, grant.name) == (target, name)


@given(TEXTS | st.text("<>/a='\" \n", max_size=40))
def test_nothing_but_a_refusal_comes_of_nonsense(text: str) -> None:
    for request, field in ((Define, "domain"), (CreateParked, "items"), (GrantRules, "rules"), (Manage, "machines")):
        refusal = _refusal(request, field, text)
        assert refusal == "" or refusal.startswith(f"{field}: ")


def _refusal(request: type[Request[Any]], field: str, text: str) -> str:
    try:
        return request_element(request, {field: text}).text or ""
    except BadRequest as error:
        return error.text


def test_each_field_of_a_request_is_one_of_its_form() -> None:
    assert [field.name for field in form_fields(TakeSnapshot)] == ["name", "memory", "external", "quiesce", "domainsnapshot"]
    assert len(form_fields(Execute)) == len(dataclasses.fields(Execute))
