# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import (
    DISK,
    GRAPHICS,
    HARDWARE,
    MACHINE,
    NETWORK,
    MachineWish,
    read_wishes,
)

from archipel.protocol.domain.declaration import DiskDeclaration, DomainDeclaration, GraphicsDeclaration, NetworkDeclaration


def arguments(**given: Any) -> dict[str, Any]:
    """Return the parameters of a module that was given these."""
    return {**dict.fromkeys(MACHINE), "machines": None, **given}


def entry(**given: Any) -> dict[str, Any]:
    return {**dict.fromkeys(MACHINE), **given}


@pytest.mark.parametrize(
    "options, declaration",
    [(HARDWARE, DomainDeclaration), (DISK, DiskDeclaration), (NETWORK, NetworkDeclaration), (GRAPHICS, GraphicsDeclaration)],
)
def test_the_options_are_those_that_can_be_declared(options: Mapping[str, Any], declaration: type) -> None:
    declared = {"domain_type" if field.name == "type" and options is HARDWARE else field.name for field in dataclasses.fields(declaration)}
    assert set(options) == declared - {"name"}


def choices() -> list[tuple[type, str, str]]:
    """Return every choice of a text that the documentation offers."""
    kinds = [(DomainDeclaration, HARDWARE), (DiskDeclaration, DISK), (NetworkDeclaration, NETWORK), (GraphicsDeclaration, GRAPHICS)]
    return [
        (kind, "type" if name == "domain_type" else name, choice)
        for kind, options in kinds
        for name, option in options.items()
        for choice in option.get("choices", ())
    ]


@pytest.mark.parametrize("declaration, name, choice", choices())
def test_every_choice_can_be_declared(declaration: type, name: str, choice: str) -> None:
    field = next(field for field in dataclasses.fields(declaration) if field.name == name)
    check = field.metadata["archipel.check"]
    assert check([choice] if name in {"boot", "channels", "serial"} else choice)


def test_a_machine_needs_a_name_or_a_uuid() -> None:
    with pytest.raises(ValueError, match="name: say which machine"):
        read_wishes(arguments(memory="64"))


def test_what_is_not_said_has_its_default() -> None:
    (wish,) = read_wishes(arguments(name="web"))
    assert (wish.state, wish.hardware, wish.organisation, wish.tags, wish.autostart) == ("present", {}, {}, None, None)
    assert (wish.restart, wish.force, wish.remove_disks, wish.shutdown_timeout) == (False, False, False, 120.0)


def test_tags_are_a_set() -> None:
    (wish,) = read_wishes(arguments(name="web", tags=["b", "a", "b"]))
    assert wish.tags == ("a", "b")


def test_options_beside_the_list_are_defaults() -> None:
    machines = [entry(name="one"), entry(name="two", memory="96", state="paused")]
    one, two = read_wishes(arguments(machines=machines, memory="64", vcpus=2, state="running", force=True))
    assert (one.hardware, one.state, one.force) == ({"memory": "64", "vcpus": 2}, "running", True)
    assert (two.hardware, two.state, two.force) == ({"memory": "96", "vcpus": 2}, "paused", True)


def test_a_definition_of_its_own_takes_the_place_of_common_options() -> None:
    (wish,) = read_wishes(arguments(machines=[entry(name="one", definition="<domain/>")], memory="64", autostart=True))
    assert (wish.definition, wish.hardware, wish.autostart) == ("<domain/>", {}, True)


def test_options_of_its_own_take_the_place_of_a_common_definition() -> None:
    (wish,) = read_wishes(arguments(machines=[entry(name="one", memory="64")], definition="<domain/>"))
    assert (wish.definition, wish.hardware) == (None, {"memory": "64"})


@pytest.mark.parametrize("field", ["name", "uuid"])
def test_a_machine_is_there_once(field: str) -> None:
    with pytest.raises(ValueError, match=f"machines: {field} x is there twice"):
        read_wishes(arguments(machines=[entry(**{field: "x"}), entry(**{field: "x"})]))


def test_a_definition_and_its_parts_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="web: definition: give a whole definition or memory, not both"):
        MachineWish.of(arguments(name="web", definition="<domain/>", memory="64"))


@pytest.mark.parametrize("name, value", [("memory", "64"), ("definition", "<domain/>"), ("autostart", True), ("orgname", "x")])
def test_a_machine_is_adopted_as_it_is(name: str, value: object) -> None:
    with pytest.raises(ValueError, match="state: adopted takes a machine as it is"):
        MachineWish.of(arguments(name="web", state="adopted", **{name: value}))
