# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of one thing, a list of such things, and what an entry takes from the options beside the list."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList, definition_or, refuse_doubles

KIND = {name: {"type": "str"} for name in ("name", "uuid", "definition", "mtu", "zone")}
NETWORKS = EntryList(KIND, "networks", what="network", parts=("mtu", "zone"))
VOLUMES = EntryList({name: {"type": "str"} for name in ("pool", "name", "size")}, "volumes", known_by=("pool", "name"))


def names(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["name"] for entry in entries]


def given(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what is not left out of an entry."""
    return {name: value for name, value in entry.items() if value is not None}


def test_one_is_declared_without_the_list() -> None:
    (entry,) = NETWORKS.read({"name": "lab", "networks": None, "hypervisor": "of the connection"})
    assert entry == {"name": "lab", "uuid": None, "definition": None, "mtu": None, "zone": None}


def test_no_entries_declare_nothing() -> None:
    assert NETWORKS.read({"networks": []}) == []


def test_an_entry_takes_what_it_leaves_out_from_beside_the_list() -> None:
    arguments = {"mtu": "1400", "networks": [{"name": "lab", "mtu": None}, {"name": "wan", "mtu": "9000"}]}
    assert [given(entry) for entry in NETWORKS.read(arguments)] == [{"name": "lab", "mtu": "1400"}, {"name": "wan", "mtu": "9000"}]


def test_a_definition_and_its_parts_take_the_place_of_each_other() -> None:
    own_definition = {"mtu": "1400", "networks": [{"name": "lab", "definition": "<network/>"}]}
    own_part = {"definition": "<network/>", "networks": [{"name": "lab", "zone": "home"}]}
    assert [given(entry) for entry in NETWORKS.read(own_definition)] == [{"name": "lab", "definition": "<network/>"}]
    assert [given(entry) for entry in NETWORKS.read(own_part)] == [{"name": "lab", "zone": "home"}]


@pytest.mark.parametrize(
    "kind, entries, wrong",
    [
        (NETWORKS, [{}], "name: say which network"),
        (NETWORKS, [{}, {}], "name: say which network"),
        (NETWORKS, [{"name": ""}], "name: say which network"),
        (VOLUMES, [{"name": "root"}], "pool: say which one"),
        (NETWORKS, [{"name": name} for name in ("b", "a", "c", "b", "a")], "networks: name a, name b is there twice; give each one entry"),
        (VOLUMES, [{"pool": "p", "name": "root"}] * 2, "volumes: pool p name root is there twice; give each one entry"),
    ],
)
def test_an_entry_that_is_not_told_from_the_others_is_refused(kind: EntryList, entries: list[dict[str, str]], wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{wrong}$"):
        kind.read({kind.many: entries})


def test_things_of_one_name_are_told_apart_by_the_rest() -> None:
    entries = VOLUMES.read({"name": "root", "volumes": [{"pool": "one"}, {"pool": "other"}]})
    assert names(entries) == ["root", "root"]


def test_ansible_is_told_what_excludes_what() -> None:
    assert NETWORKS.options["networks"]["mutually_exclusive"] == [("definition", "mtu"), ("definition", "zone")]
    assert NETWORKS.constraints == {
        "mutually_exclusive": [*definition_or(["mtu", "zone"]), ("networks", "name"), ("networks", "uuid")],
        "required_one_of": [("name", "networks")],
    }
    assert "mutually_exclusive" not in VOLUMES.options["volumes"]


def test_the_list_has_the_options_of_one() -> None:
    assert NETWORKS.options["networks"]["options"] == KIND
    assert {name: NETWORKS.options[name] for name in KIND} == KIND


def test_what_to_do_about_doubles_is_told() -> None:
    refuse_doubles("names", ["a", "b"])
    with pytest.raises(ValueError, match="names: a is there twice; choose other names"):
        refuse_doubles("names", ["a", "b", "a"], "choose other names")
