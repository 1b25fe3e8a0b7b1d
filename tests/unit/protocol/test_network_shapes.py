# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about networks that are new here, as they are on the wire, in both directions."""

from __future__ import annotations

import pytest

from archipel.protocol.errors import BadRequest
from archipel.protocol.network import DescribeNetwork, NetworkDescription, RefusedUpdate, UpdateNetwork
from tests.unit.protocol.golden import Shape, query, xml

FACTS = "name='lab' uuid='u' active='1' persistent='1' autostart='0'"
STORED, RUNNING = "<network><name>lab</name></network>", "<network connections='1'><name>lab</name></network>"
SHAPES = [
    Shape(
        DescribeNetwork(uuid="lab"),
        "<archipel action='describe' uuid='lab'/>",
        NetworkDescription(name="lab", uuid="u", active=True, persistent=True, autostart=False, stored=xml(STORED), running=xml(RUNNING)),
        f"<description {FACTS}><stored>{STORED}</stored><running>{RUNNING}</running></description>",
    ),
    Shape(
        UpdateNetwork(autostart=True, network=xml(STORED)),
        f"<archipel action='update' autostart='1'>{STORED}</archipel>",
        (RefusedUpdate(what="add portgroup", why="no"),),
        "<refused what='add portgroup' why='no'/>",
    ),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_they_are_written_and_read_as_they_stand_here(shape: Shape) -> None:
    shape.assert_on_the_wire()


@pytest.mark.parametrize("inner", ["", "<stored/>"])
def test_a_description_may_lack_definitions(inner: str) -> None:
    read = DescribeNetwork.read_answer(query(DescribeNetwork.namespace, f"<description {FACTS}>{inner}</description>"))
    assert (read.name, read.stored, read.running) == ("lab", None, None)


def test_a_description_without_facts_is_none() -> None:
    with pytest.raises(BadRequest, match="uuid"):
        DescribeNetwork.read_answer(query(DescribeNetwork.namespace, "<description name='lab'/>"))
