# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.archipel.platform.plugins.module_utils.fleet.document import read_document
from ansible_collections.archipel.platform.plugins.module_utils.fleet.expand import Declaration, expand
from ansible_collections.archipel.platform.plugins.module_utils.fleet.graph import build_graph
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item
from ansible_collections.archipel.platform.plugins.module_utils.fleet.kinds import KINDS
from ansible_collections.archipel.platform.plugins.module_utils.fleet.loops import fill_in
from ansible_collections.archipel.platform.plugins.module_utils.fleet.people_kinds import PASSWORD_ENV, PASSWORD_FILE, read_password
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import DeclarationProblems
from hypothesis import given
from hypothesis import strategies as st

THREE = "hypervisors: {a: a@example.org, b: b@example.org, c: {jid: c@example.org}}\n"


def declare(text: str, aliases: Mapping[str, str] | None = None, otherwise: str | None = "hyp@example.org") -> Declaration:
    document = read_document(None, yaml.safe_load(text), [kind.section for kind in KINDS])
    declaration: Declaration = expand(document, KINDS, aliases or {}, otherwise)
    return declaration


def refuse(text: str) -> list[str]:
    with pytest.raises(DeclarationProblems) as problems:
        declare(text)
    return [problem.removeprefix("document: ") for problem in problems.value.problems]


def machines(text: str) -> list[str]:
    """Return the machines that are declared, each with its hypervisor."""
    return [f"{key.hypervisor}/{key.name}" for key in declare(text).items if key.kind == "machine"]


def arguments(text: str, name: str) -> dict[str, Any]:
    """Return what is said of a machine."""
    [item] = [item for key, item in declare(text).items.items() if (key.kind, key.name) == ("machine", name)]
    return {option: value for option, value in item.arguments.items() if value is not None}


def others(text: str) -> list[Item]:
    return [item for key, item in declare(text).items.items() if key.kind != "machine"]


def test_the_connections_hypervisor_is_the_one_where_none_is_named() -> None:
    declaration = declare("vms: [{name: web}]")
    assert declaration.hypervisors.accounts == {"hyp": "hyp@example.org"}
    assert [str(key) for key in declaration.items] == ["machine web on hyp"]


def test_count_makes_machines_by_a_pattern_with_leading_zeros_and_a_start() -> None:
    assert machines("vms: [{name: 's{n:02}', count: 3}]") == ["hyp/s01", "hyp/s02", "hyp/s03"]
    assert machines("vms: {'s{n}': {count: 2, start: 9}}") == ["hyp/s9", "hyp/s10"]
    assert machines("vms: [{name: 's{n}', count: 0}]") == []


def test_fields_stand_in_all_texts_and_numbers_come_of_them() -> None:
    text = "vms: [{name: 's{n}', count: 2, vcpus: '{n}', owner: 'student{n:03}', networks: [{network: 'net-{n}', mac: '52:54:00:00:00:{n:02}'}]}]"
    found = arguments(text, "s2")
    assert (found["vcpus"], found["userid"], found["networks"][0]["network"]) == (2, "student002", "net-2")
    assert found["networks"][0]["mac"] == "52:54:00:00:00:02"


def test_foreach_takes_texts_and_mappings() -> None:
    assert machines("vms: [{name: '{item}', foreach: [red, blue]}]") == ["hyp/red", "hyp/blue"]
    text = "vms: [{name: '{item.name}-{n}', foreach: [{name: red, mib: 96}], memory: '{item.mib}'}]"
    assert arguments(text, "red-1")["memory"] == "96"
    assert refuse("vms: [{name: '{item.nam}', foreach: [{name: red}]}]") == [
        "vms {item.nam}: {item.nam}: there is no 'nam' in it; there are name"
    ]


@pytest.mark.parametrize("field", ["{n.__class__}", "{n.real.imag}", "{item.__class__.__mro__}", "{item.name.__len__}"])
def test_fields_lead_to_nothing_but_what_is_declared(field: str) -> None:
    [problem] = refuse(f"vms: [{{name: 'x{field}', foreach: [{{name: red, password: geheim}}]}}]")
    assert "in it" in problem
    assert "geheim" not in problem


@pytest.mark.parametrize("text", ["a\x1b[2Kb", "a\nb", "a\rb", "a\0b", "\u202eabc", "a\x9bb", "a\u2028b"])
def test_a_name_that_a_plan_cannot_show_is_refused(text: str) -> None:
    for document in ({"vms": [{"name": text}]}, {"networks": [{"name": text}]}, {"hypervisors": {text: "a@example.org"}}):
        with pytest.raises(DeclarationProblems) as problems:
            expand(read_document(None, document, [kind.section for kind in KINDS]), KINDS, {}, "hyp@example.org")
        assert repr(text) in str(problems.value)
        assert text not in str(problems.value)


@given(st.text(alphabet="{}n:02 item.x-", max_size=30))
def test_other_braces_stay_as_they_are(text: str) -> None:
    assert fill_in(text, {}) == text
    filled = fill_in(text, {"n": 7, "item": "seven"})
    if not any(field in text for field in ("{n", "{item")):
        assert filled == text


@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=9))
def test_numbers_are_filled_as_they_are_written(number: int, width: int) -> None:
    assert fill_in(f"x{{n:0{width}}}", {"n": number}) == f"x{number:0{width}}"


def test_a_list_of_hypervisors_means_one_on_each_and_hypervisors_means_in_turn() -> None:
    assert machines(THREE + "vms: [{name: web, hypervisor: [a, c]}]") == ["a/web", "c/web"]
    assert machines(THREE + "vms: [{name: web, hypervisor: all}]") == ["a/web", "b/web", "c/web"]
    assert machines(THREE + "vms: [{name: 's{n}', count: 4, hypervisors: [a, b, c]}]") == ["a/s1", "b/s2", "c/s3", "a/s4"]
    assert machines(THREE + "vms: [{name: 's-{hypervisor}', hypervisor: [a, b]}]") == ["a/s-a", "b/s-b"]
    assert machines(THREE + "vms: [{name: web, hypervisor: b@example.org}]") == ["b/web"]


def test_the_options_accounts_rule_over_the_declarations() -> None:
    declaration = declare(THREE + "vms: [{name: web, hypervisor: a}]", {"a": "other@example.net", "d": "d@example.org"})
    assert declaration.hypervisors.accounts["a"] == "other@example.net"
    assert declaration.hypervisors.names == ["a", "b", "c", "d"]


def test_what_stands_below_a_hypervisor_is_on_it() -> None:
    text = "hypervisors: {a: {jid: a@example.org, vms: {web: {memory: 64}}, roster: t@example.org}, b: b@example.org}"
    assert [str(key) for key in declare(text).items] == ["machine web on a", "contact a: t@example.org on a"]


def test_profiles_build_on_others_and_entries_rule_over_them() -> None:
    text = """
    defaults: {vms: {memory: 64, vcpus: 1, owner: nobody}}
    profiles: {plain: {memory: 128, vcpus: 2}, big: {profile: plain, memory: 256}, quiet: {graphics: []}}
    vms: [{name: one, profile: [big, quiet], userid: bob}, {name: two}, {name: three, profile: plain, memory: 1}]
    """
    assert arguments(text, "one") == {"name": "one", "memory": "256", "vcpus": 2, "graphics": [], "userid": "bob"}
    assert arguments(text, "two") == {"name": "two", "memory": "64", "vcpus": 1, "userid": "nobody"}
    assert arguments(text, "three")["memory"] == "1"


def test_a_whole_definition_takes_the_place_of_options_in_defaults() -> None:
    text = "defaults: {vms: {memory: 64, autostart: true}}\nvms: [{name: one, definition: '<domain/>'}]"
    assert arguments(text, "one") == {"name": "one", "definition": "<domain/>", "autostart": True}


def test_people_and_rights_stand_inline_or_of_their_own() -> None:
    inline = (
        "vms: [{name: 's{n}', count: 2, roster: 'p{n}@example.org', permissions: {subject: 'p{n}@example.org', right: x, rights: [info]}}]"
    )
    wrong = "permissions: right is no option; did you mean rights?"
    assert refuse(inline) == [f"machine {name} on hyp: {wrong}" for name in ("s1", "s2")]
    found = others(inline.replace("right: x, ", ""))
    assert [str(item.key) for item in found][:2] == [
        "contact s1: p1@example.org on hyp",
        "grant s1: p1@example.org: info on hyp",
    ]
    assert {(item.machine, str(item.within)) for item in found} == {("s1", "machine s1 on hyp"), ("s2", "machine s2 on hyp")}
    own = (
        "vms: [{name: s1}, {name: s2}]\npermissions: [{machines: 's*', subject: p@example.org, role: student}, {group: g, rights: [info]}]"
    )
    assert [str(item.key) for item in others(own)] == [
        "grant s1: p@example.org: role student on hyp",
        "grant s2: p@example.org: role student on hyp",
        "grant hyp: group g: info on hyp",
    ]


def test_rights_find_the_hypervisor_of_their_machine() -> None:
    [item] = others(THREE + "vms: [{name: web, hypervisor: b}]\nrosters: [{machine: web, people: [p@example.org]}]")
    assert item.key.hypervisor == "b"


def test_nobody_has_anything_to_do_with_a_machine_that_is_to_go() -> None:
    assert others("vms: [{name: web, state: absent, roster: p@example.org}]") == []


@pytest.mark.parametrize(
    "text, problem",
    [
        ("vms: [{name: a, memoory: 1}]", "vms a: memoory is no option; did you mean memory or max_memory?"),
        ("vms: [{name: a, networks: [{netwerk: x}]}]", "vms a: networks.netwerk is no option; did you mean network?"),
        ("vms: [{name: a, vcpus: many}]", "vms a: argument 'vcpus' is of type str"),
        ("vms: [{name: a, state: up}]", "vms a: value of state must be one of: present, running"),
        ("vms: [{memory: 1}]", "vms: one of the following is required: name, uuid"),
        ("vms: [web]", "vms: an entry is a mapping of options, not str"),
        ("vms: [{name: a}, {name: a}]", "machine a on hyp: is declared at document already"),
        ("vms: [{name: a, count: 2}]", "machine a on hyp: is declared at document already; in a loop a name needs a field such as {n}"),
        ("vms: [{name: 'a{n}', count: -1}]", "vms a{n}: count: -1 is no number from 0 to 100000"),
        ("vms: [{name: 'a{n}', count: true}]", "vms a{n}: count: True is no number"),
        ("vms: [{name: 'a{n}', count: 1, foreach: [1]}]", "vms a{n}: count and foreach: give one of them"),
        ("vms: [{name: a, foreach: red}]", "vms a: foreach: is a list, not str"),
        ("vms: [{name: a, profile: none}]", "there is no profile 'none'"),
        ("profiles: {a: {profile: b}, b: {profile: a}}", "profile a: builds on itself: a -> b -> a"),
        ("defaults: {vms: {count: 3}}", "defaults: vms: count belongs to an entry, not here"),
        ("defaults: {vm: {memory: 3}}", "defaults: vm is no kind of object; did you mean vms?"),
        (THREE + "vms: [{name: a}]", "vms a: says no hypervisor: name one of a, b, c, or all"),
        (THREE + "vms: [{name: a, hypervisor: d}]", "vms a: there is no hypervisor 'd'"),
        (THREE + "vms: [{name: a, hypervisor: a, hypervisors: [b]}]", "vms a: hypervisor is one or each of several"),
        (
            "hypervisors: {a: {jid: a@example.org, vms: [{name: x, hypervisor: b}]}}",
            "vms x: stands below hypervisor a and names another, b",
        ),
        ("hypervisors: {a: {}}", "hypervisor a: jid: None is no account"),
        ("hypervisors: {a: {jid: a@example.org, vm: []}}", "hypervisor a: vm is no part of a hypervisor; did you mean vms?"),
        ("rosters: [{machine: 'x*', people: [p@example.org]}]", "rosters: no declared machine is like x*"),
        ("permissions: [{subject: p@example.org}]", "permissions: state is present but any of the following are missing: rights, roles"),
        ("permissions: [{group: g, rights: [info], exclusive: true}]", "permissions: exclusive: goes with rights of subjects alone"),
    ],
)
def test_mistakes_are_told_in_words(text: str, problem: str) -> None:
    assert refuse(text)[0].startswith(problem)


def test_all_mistakes_are_told_at_once() -> None:
    assert len(refuse("vms: [{name: a, memoory: 1}, {name: b, vcpus: x}, {name: c}, {name: c}]\ndefaults: {nets: {}}")) == 4


def test_accounts_and_groups_are_the_servers_and_come_before_what_names_them() -> None:
    text = "users: [{name: bob, password_env: BOB}]\ngroups: {class: {members: [bob@example.org]}}\nvms: [{name: web, roster: bob@example.org}]"
    items = declare(text).items
    graph = build_graph(items, KINDS)
    order = [str(key) for key in graph]
    assert {"user bob", "group class", "contact web: bob@example.org on hyp"} <= set(order)
    assert order.index("user bob") < min(order.index("group class"), order.index("contact web: bob@example.org on hyp"))
    assert refuse("users: [{name: bob, hypervisor: hyp}]") == ["users bob: is the server's, and names no hypervisor"]


def test_a_volume_is_in_its_pool_and_an_image_comes_of_its_machine() -> None:
    items = declare("pools: [{name: p, type: dir, path: /p}]\nvolumes: [{pool: p, name: v}]\nimages: [{name: i, machine: web}]").items
    within = {str(key): str(item.within) for key, item in items.items() if item.within}
    assert within == {"volume p/v on hyp": "pool p on hyp", "image i.qcow2 on hyp": "machine web on hyp"}


def test_passwords_come_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing = {PASSWORD_FILE: None, PASSWORD_ENV: None}
    monkeypatch.setenv("BOB", "secret")
    assert read_password(nothing, tmp_path) is None
    assert read_password({**nothing, PASSWORD_ENV: "BOB"}, tmp_path) == "secret"
    with pytest.raises(ValueError, match="password_env: the environment has no EVE"):
        read_password({**nothing, PASSWORD_ENV: "EVE"}, tmp_path)
    (tmp_path / "bob").touch(mode=0o600)
    (tmp_path / "bob").write_text("of the file\n")
    assert read_password({**nothing, PASSWORD_FILE: "bob"}, tmp_path) == "of the file"
