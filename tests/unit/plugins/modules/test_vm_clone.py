# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, OWN, PUBSUB, UUID, command
from tests.unit.plugins.modules.wire import Wire, query, wire

__all__ = ["wire"]

LIST = "<archipel action='rostervm'/>"
INFO = "<info state='{}' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='h' autostart='0'/>"
OFF, RUNNING = INFO.format(5), INFO.format(1)
COPY = "6f0c0000-0000-4000-8000-000000000009"
COPY_FULL = f"{COPY}@example.org/hyp"
SOURCE = f"<item managed='True' name='web'>{MACHINE_FULL}</item>"
THERE = f"<item managed='True' name='copy'>{COPY_FULL}</item>"
DISK = "<disk type='file' device='disk'><source file='/vm/web/a.qcow2'/><target dev='vda'/></disk>"
CLONE = f"<archipel jid='{MACHINE}' name='{{}}' linked='{{}}' action='clone'/>"


def definition(origin: str | None) -> str:
    metadata = f"<metadata><c:copy xmlns:c='urn:archipel:copy' of='{origin}'/></metadata>" if origin else ""
    return f"<domain type='kvm'><name>x</name>{metadata}<devices>{DISK}</devices></domain>"


def script_events(wire: Wire) -> None:
    node = f"/archipel/{HYPERVISOR}/events"
    owner = f"<x xmlns='{ns.DATA_FORMS}'><field var='pubsub#owner'><value>{HYPERVISOR}</value></field></x>"
    subscriptions = f"<pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{node}'/></pubsub>"
    wire.script += [
        (
            f"<iq type='get' to='{PUBSUB}'><query xmlns='{ns.DISCO_INFO}' node='{node}'/></iq>",
            (f"<query xmlns='{ns.DISCO_INFO}'>{owner}</query>",),
        ),
        (f"<iq type='get' to='{PUBSUB}'>{subscriptions}</iq>", (subscriptions,)),
        (f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><subscribe node='{node}' jid='{OWN}'/></pubsub></iq>", ("",)),
    ]


def script(wire: Wire, listed: str = SOURCE, *, info: str = OFF, backing: str = "", origin: str | None = UUID) -> None:
    script_events(wire)
    wire.hypervisor("get", LIST, listed, listed if THERE in listed else listed + THERE)
    wire.machine("get", "<archipel action='info'/>", info)
    wire.machine("get", "<archipel inactive='1' action='xmldesc'/>", definition(None))
    wire.machine("get", "<archipel inactive='0' action='xmldesc'/>", definition(None))
    drive = f"<disk name='a' path='/vm/web/a.qcow2' format='qcow2' diskSize='1' {backing}/>"
    wire.machine("get", "<archipel action='get'/>", drive, namespace=ns.VM_DISK)
    for linked in "01":
        made = query(ns.HYPERVISOR_CONTROL, f"<virtualmachine jid='{COPY}@example.org'/>")
        wire.script.append((command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, CLONE.format("copy", linked)), (made,)))
    wire.entity(COPY_FULL, "get", ns.VM_CONTROL, "<archipel action='info'/>", OFF, OFF, RUNNING)
    wire.entity(COPY_FULL, "get", ns.VM_CONTROL, "<archipel inactive='1' action='xmldesc'/>", definition(origin))
    wire.entity(COPY_FULL, "set", ns.VM_CONTROL, "<archipel action='create'/>", "<domain id='1'/>")


def changes(wire: Wire) -> list[str]:
    return [text for text in wire.asked if 'action="clone"' in text or 'action="create"' in text]


@pytest.mark.parametrize("linked", [False, True])
def test_a_machine_is_copied(linked: bool, wire: Wire) -> None:
    script(wire, backing="backingFile='/goldens/b.qcow2'")
    predicted = wire.run("vm_clone", check=True, machine="web", name="copy", linked=linked)
    assert changes(wire) == []
    answer = wire.run("vm_clone", machine="web", name="copy", linked=linked)
    assert predicted["changed"] is answer["changed"] is True
    assert predicted["diff"] == answer["diff"]
    assert answer["machines"] == [{"name": "copy", "uuid": COPY, "jid": f"{COPY}@example.org", "state": "off", "copy_of": UUID}]
    assert f'linked="{int(linked)}"' in changes(wire)[0]


@pytest.mark.parametrize("origin, words", [(None, "does not say that it is a copy"), (COPY, f"it is a copy of {COPY}")])
def test_a_machine_that_is_no_copy_is_left_alone_and_told(
    origin: str | None, words: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    script(wire, SOURCE + THERE, origin=origin)
    answer = wire.run("vm_clone", machine="web", name="copy")
    assert not answer["changed"]
    assert answer["machines"][0]["copy_of"] == origin
    assert words in warnings[0]
    assert changes(wire) == []


def test_copies_that_are_there_need_no_origin(wire: Wire) -> None:
    script(wire, THERE)
    answer = wire.run("vm_clone", machine="web", names=["copy"])
    assert not answer["changed"]


@pytest.mark.parametrize(
    "declared, listed, info, message",
    [
        ({}, THERE.replace("copy", "other"), OFF, "manages no machine 'web'"),
        ({}, SOURCE, RUNNING, "machine: web is running: stop it first"),
        ({}, SOURCE, "", "machine: web has no definition"),
        ({"linked": True}, SOURCE, OFF, "linked: /vm/web/a.qcow2 of web stands on no golden image"),
        ({}, SOURCE + THERE.replace("True", "False"), OFF, "copy: libvirt has a domain of that name that Archipel does not manage"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_what_cannot_be_copied_is_told_in_check_mode_too(
    declared: dict[str, Any], listed: str, info: str, message: str, check: bool, wire: Wire
) -> None:
    script(wire, listed, info=info)
    if not info:
        wire.script = [(iq, answers) for iq, answers in wire.script if "xmldesc" not in iq]
        wire.machine("get", "<archipel inactive='1' action='xmldesc'/>", "<not-defined/>")
    answer = wire.run("vm_clone", check=check, machine="web", name="copy", **declared)
    assert answer["failed"]
    assert message in answer["msg"]
    assert changes(wire) == []


@pytest.mark.parametrize(
    "declared, message",
    [
        ({"pattern": "seat", "count": 2}, "seat is there twice; does pattern have {n} in it?"),
        ({"pattern": "seat-{m}", "count": 2}, "pattern: 'seat-{m}' cannot be filled in"),
        ({"pattern": "seat-{n.x}", "count": 2}, "cannot be filled in"),
        ({"pattern": "seat-{n}", "count": 1001}, "count: must be 0 to 1000"),
        ({"names": ["a", "a"]}, "a is there twice"),
        ({"names": ["a"], "at_once": 0}, "at_once: must be 1 or more"),
        ({}, "one of the following is required: names, pattern"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], message: str, wire: Wire) -> None:
    assert message in wire.run("vm_clone", machine="web", **declared)["msg"]
    assert wire.streams == []


def test_names_are_counted(wire: Wire) -> None:
    script(wire)
    answer = wire.run("vm_clone", check=True, machine="web", pattern="seat-{n:02}", count=3, start=9)
    assert [machine["name"] for machine in answer["machines"]] == ["seat-09", "seat-10", "seat-11"]
