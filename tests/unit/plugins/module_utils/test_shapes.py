# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An argument of another form than its option's is told by the path of its key, however deep it is."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MACHINE
from ansible_collections.archipel.platform.plugins.module_utils.shapes import find_wrong_forms

OPTIONS = {**MACHINE, "machines": {"type": "list", "elements": "dict", "options": MACHINE}, "document": {"type": "dict"}}


@pytest.mark.parametrize(
    "values, wrong",
    [
        ({"name": ["a", "b"]}, ["name: must be a text, not a list"]),
        ({"networks": [{"network": "a"}, {"network": ["a", "b"]}]}, ["networks[1].network: must be a text, not a list"]),
        ({"networks": {"network": "a"}}, ["networks: must be a list, not a mapping"]),
        ({"networks": [["a"]]}, ["networks[0]: must be a mapping, not a list"]),
        ({"networks": [{"vlan": {"id": 7}}]}, ["networks[0].vlan: must be a whole number, not a mapping"]),
        ({"boot": [["hd"]]}, ["boot[0]: must be a text, not a list"]),
        ({"owner": {"jid": "a@example.org"}}, ["owner: must be a text, not a mapping"]),
        ({"shutdown_timeout": [5]}, ["shutdown_timeout: must be a number, not a list"]),
        ({"autostart": []}, ["autostart: must be true or false, not a list"]),
        (
            {"machines": [{"name": "a", "disks": [{"path": {}}, {"pool": ["p"]}]}]},
            ["machines[0].disks[0].path: must be a text, not a mapping", "machines[0].disks[1].pool: must be a text, not a list"],
        ),
        ({"document": []}, ["document: must be a mapping, not a list"]),
    ],
)
def test_the_key_is_named(values: dict[str, Any], wrong: list[str]) -> None:
    assert list(find_wrong_forms(values, OPTIONS)) == wrong


@pytest.mark.parametrize(
    "values",
    [
        {"name": 7, "memory": 512, "tags": "a,b", "boot": "hd", "machines": None, "unknown": [{}]},
        {"networks": [{"network": "a", "user": True}], "document": {"machines": [{"networks": 5}]}},
    ],
)
def test_what_ansible_makes_sense_of_is_left_to_it(values: dict[str, Any]) -> None:
    assert list(find_wrong_forms(values, OPTIONS)) == []
