# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushes and the nodes they are published on."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.events import Push, Topic, events_node, owner_of_events_node
from tests.unit.protocol.golden import canonical, normal, off_the_wire, xml
from tests.unit.protocol.hostile import TEXTS

MOMENT = datetime(2016, 11, 7, 9, 51, 30, 123456)
FOUNDING = "<push xmlns='archipel:push:virtualmachine:control' date='2016-11-07 09:51:30.123456' change='created'/>"


def test_a_push_is_written_as_founding_clients_read_it() -> None:
    assert canonical(Push(Topic.VM_CONTROL, "created", date=MOMENT).write()) == normal(FOUNDING)


def test_sequence_and_epoch_are_added_where_they_are_counted() -> None:
    written = Push(Topic.PERMISSIONS, "eve@d.example", 7, "0a1b", MOMENT).write()
    assert canonical(written) == normal(
        "<push xmlns='archipel:push:permissions' date='2016-11-07 09:51:30.123456' change='eve@d.example' sequence='7' epoch='0a1b'/>"
    )


def test_whose_doing_it_was_is_added_where_it_is_known() -> None:
    written = Push(Topic.VM_CONTROL, "created", date=MOMENT, by="eve@d.example").write()
    assert canonical(written) == normal(FOUNDING.replace("/>", " by='eve@d.example'/>"))


def test_a_push_of_a_founding_agent_is_readable() -> None:
    assert Push.read(xml(FOUNDING)) == Push("virtualmachine:control", "created", 0, "", MOMENT)


@given(
    st.builds(
        Push,
        st.sampled_from(Topic) | st.sampled_from(["disk", "vmcasting"]),
        TEXTS,
        st.integers(0, 10**15),
        st.text("0123456789abcdef", min_size=1),
        st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)),
        TEXTS,
    )
)
def test_every_push_survives_the_wire(push: Push) -> None:
    assert Push.read(off_the_wire(push.write())) == push


@pytest.mark.parametrize(
    "text",
    [
        "<push date='2016-11-07 09:51:30.123456' change='created'/>",
        "<push xmlns='archipel:pull:x' date='2016-11-07 09:51:30.123456' change='created'/>",
        "<shove xmlns='archipel:push:x' date='2016-11-07 09:51:30.123456' change='created'/>",
        "<push xmlns='archipel:push:x' change='created'/>",
        "<push xmlns='archipel:push:x' date='' change='created'/>",
        "<push xmlns='archipel:push:x' date='2016-11-07T09:51:30Z' change='created'/>",
        "<push xmlns='archipel:push:x' date='2016-13-07 09:51:30.123456' change='created'/>",
        "<push xmlns='archipel:push:x' date='2016-11-07 09:51:30.123456' sequence='x'/>",
        "<push xmlns='archipel:push:x' date='2016-11-07 09:51:30.123456' sequence='-1'/>",
        "<push xmlns='archipel:push:x' date='2016-11-07 09:51:30.123456' sequence='1_0'/>",
        "<push xmlns='archipel:push:x' date='2016-11-07 09:51:30.123456' sequence='٣'/>",
        f"<push xmlns='archipel:push:x' date='2016-11-07 09:51:30.123456' sequence='{'9' * 5000}'/>",
    ],
)
def test_what_is_not_as_a_push_must_be_is_none(text: str) -> None:
    assert Push.read(xml(text)) is None


def test_the_events_node_names_its_entity() -> None:
    assert events_node("a@d.example") == "/archipel/a@d.example/events"
    assert owner_of_events_node("/archipel/a@d.example/events") == "a@d.example"


@pytest.mark.parametrize(
    "node", ["", "/archipel/tags", "/archipel/a@d/logs", "/archipel/a@d/events/", "x/archipel/a@d/events", "archipel/a@d/events"]
)
def test_other_nodes_belong_to_nobody(node: str) -> None:
    assert owner_of_events_node(node) is None


@given(TEXTS.filter(lambda jid: "/" not in jid))
def test_every_bare_jid_is_found_again_in_its_node(jid: str) -> None:
    assert owner_of_events_node(events_node(jid)) == jid
