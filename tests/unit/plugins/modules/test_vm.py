# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE, MACHINE_FULL, UUID, command, no_right
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

LIST = "<archipel action='rostervm'/>"
WEB = f"<item managed='True' name='web'>{MACHINE_FULL}</item>"
UNMANAGED = f"<item managed='False' name='web'>{MACHINE}</item>"
OTHER = "<item managed='True' name='other'>6f0c0000-0000-4000-8000-000000000002@example.org/hyp</item>"
INFO = "<archipel action='info'/>"
STORED = "<archipel inactive='1' action='xmldesc'/>"
LIVE = "<archipel inactive='0' action='xmldesc'/>"


def info(state: int, memory: int = 65536) -> str:
    attributes = f"maxMem='131072' memory='{memory}' nrVirtCpu='1' hypervisor='hyp@example.org/host' autostart='0'"
    return f"<info state='{state}' {attributes}/>"


def definition(memory: int = 64, maximum: int = 128) -> str:
    return (
        f"<domain type='kvm'><name>web</name><uuid>{UUID}</uuid><memory unit='KiB'>{maximum * 1024}</memory>"
        f"<currentMemory unit='KiB'>{memory * 1024}</currentMemory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    )


RUNNING = 1
OFF = 5


def control(request: str) -> str:
    return command("set", MACHINE_FULL, ns.VM_CONTROL, request)


def test_an_absent_machine_stays_absent(wire: Wire) -> None:
    wire.hypervisor("get", LIST, OTHER)
    answer = wire.run("vm", name="web", state="absent")
    assert (answer["changed"], answer["machine"]["state"]) == (False, "absent")
    assert len(wire.asked) == 1


def test_a_machine_as_declared_is_only_looked_at(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    wire.machine("get", INFO, info(OFF))
    wire.machine("get", STORED, definition())
    answer = wire.run("vm", name="web", memory=64)
    assert not answer["changed"]
    assert answer["machine"]["memory"] == 64
    assert len(wire.asked) == 3
    wire.assert_asked()


@pytest.mark.parametrize("remove, keep", [(False, "disks"), (True, "")])
def test_disks_are_kept_unless_told(remove: bool, keep: str, wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    free = f"<archipel jid='{MACHINE}' keep='{keep}' action='free'/>"
    wire.hypervisor("set", free, f"<virtualmachine jid='{MACHINE}'/>")
    answer = wire.run("vm", name="web", state="absent", remove_disks=remove)
    assert answer["changed"]
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, free))


def test_a_domain_of_others_is_not_touched(wire: Wire) -> None:
    wire.hypervisor("get", LIST, UNMANAGED)
    answer = wire.run("vm", name="web", state="absent")
    assert "that Archipel does not manage" in answer["msg"]
    assert len(wire.asked) == 1


def test_a_domain_of_others_is_adopted_when_told(wire: Wire) -> None:
    wire.hypervisor("get", LIST, UNMANAGED)
    manage = f"<archipel action='manage'><item jid='{MACHINE}'/></archipel>"
    wire.hypervisor("set", manage)
    wire.machine("get", INFO, info(RUNNING))
    answer = wire.run("vm", name="web", state="adopted")
    assert (answer["changed"], answer["machine"]["state"]) == (True, "running")
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, manage))


def test_memory_of_a_running_machine_is_stored_and_set(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    wire.machine("get", INFO, info(RUNNING), info(RUNNING, 98304))
    wire.machine("get", STORED, definition(), definition(96))
    wire.machine("get", LIVE, definition(), definition(96))
    define = f"<archipel action='define'>{definition(96)}</archipel>"
    wire.machine("set", define, namespace=ns.VM_DEFINITION)
    memory = "<archipel value='98304' action='memory'/>"
    wire.machine("set", memory)
    answer = wire.run("vm", name="web", memory=96)
    assert (answer["changed"], answer["needs_restart"], answer["machine"]["memory"]) == (True, False, 96)
    wire.assert_asked(command("set", MACHINE_FULL, ns.VM_DEFINITION, define), control(memory))


def test_a_change_that_waits_is_told(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    wire.machine("get", INFO, info(RUNNING))
    wire.machine("get", STORED, definition(), definition(64, 256))
    wire.machine("get", LIVE, definition())
    wire.machine("set", f"<archipel action='define'>{definition(64, 256)}</archipel>", namespace=ns.VM_DEFINITION)
    answer = wire.run("vm", name="web", max_memory=256)
    assert (answer["changed"], answer["needs_restart"]) == (True, True)
    assert answer["machine"]["restart_reasons"] == ["the most memory a machine can have is fixed while it runs"]


def test_a_restart_stops_defines_and_starts(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    wire.machine("get", INFO, info(RUNNING), info(RUNNING), info(OFF), info(OFF), info(OFF), info(RUNNING))
    wire.machine("get", STORED, definition(), definition(64, 256))
    wire.machine("get", LIVE, definition(), definition(64, 256))
    wire.machine("set", "<archipel action='shutdown'/>")
    define = f"<archipel action='define'>{definition(64, 256)}</archipel>"
    wire.machine("set", define, namespace=ns.VM_DEFINITION)
    wire.machine("set", "<archipel action='create'/>", "<domain id='2'/>")
    answer = wire.run("vm", name="web", max_memory=256, restart=True)
    assert (answer["changed"], answer["needs_restart"], answer["machine"]["state"]) == (True, False, "running")
    wire.assert_asked(
        control("<archipel action='shutdown'/>"),
        command("set", MACHINE_FULL, ns.VM_DEFINITION, define),
        control("<archipel action='create'/>"),
    )


@pytest.mark.parametrize("check", [False, True])
def test_check_mode_asks_for_no_change(check: bool, wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    wire.machine("get", INFO, info(OFF), info(OFF), info(OFF), info(RUNNING))
    wire.machine("set", "<archipel action='create'/>", "<domain id='2'/>")
    answer = wire.run("vm", check=check, name="web", state="running")
    assert answer["changed"]
    assert answer["diff"] == [{"before_header": "web", "after_header": "web", "before": "state: stopped\n", "after": "state: running\n"}]
    wire.assert_asked(*([] if check else [control("<archipel action='create'/>")]))


def test_a_new_machine_asks_the_host_who_runs_it(wire: Wire) -> None:
    wire.hypervisor("get", LIST, OTHER)
    capabilities = "<capabilities><guest><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch></guest></capabilities>"
    wire.hypervisor("get", "<archipel action='capabilities'/>", capabilities)
    answer = wire.run("vm", check=True, name="web", memory=64)
    assert answer["diff"][0]["after"] == "state: present\nmemory: 64\n"
    assert answer["machine"] == {
        **dict.fromkeys(("uuid", "jid", "memory", "max_memory", "vcpus", "autostart")),
        "name": "web",
        "state": "absent",
        "needs_restart": False,
        "restart_reasons": [],
    }


def test_a_refusal_names_the_right(wire: Wire) -> None:
    wire.hypervisor("get", LIST, no_right("rostervm"))
    answer = wire.run("vm", name="web", state="running")
    assert (answer["failed"], answer["missing_right"], answer["condition"]) == (True, "rostervm", "forbidden")
    assert "rostervm" in answer["msg"]


def test_many_machines_are_listed_once(wire: Wire) -> None:
    wire.hypervisor("get", LIST, OTHER)
    answer = wire.run("vm", state="absent", machines=[{"name": f"seat-{number}"} for number in range(40)])
    assert not answer["changed"]
    assert (len(answer["machines"]), len(wire.asked), len(wire.streams)) == (40, 1, 1)
    assert "machine" not in answer
