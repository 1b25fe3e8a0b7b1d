# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MACHINE, MachineWish
from ansible_collections.archipel.platform.plugins.module_utils.machine.specification import Specification, read_specification

from archipel.protocol.domain.domain import Domain, parse
from archipel.protocol.domain.options import DeclarationError
from archipel.protocol.domain.xml_values import DomainXmlError

UUID = "6f0c0000-0000-4000-8000-000000000001"
STORED = (
    f"<domain type='kvm'><name>web</name><uuid>{UUID}</uuid><memory unit='KiB'>131072</memory>"
    "<currentMemory unit='KiB'>65536</currentMemory><vcpu current='1'>2</vcpu><os><type machine='pc-q35-9.2'>hvm</type></os>{cpu}"
    "<devices><interface type='user'><mac address='52:54:00:00:00:01'/></interface></devices></domain>"
)


def stored(cpu: str = "<cpu mode='host-model'/>") -> Domain:
    return parse(STORED.format(cpu=cpu))


def specify(**given: Any) -> Specification:
    specification: Specification = read_specification(MachineWish.of({**dict.fromkeys(MACHINE), "name": "web", **given}))
    return specification


def test_nothing_declared_is_nothing_to_do() -> None:
    assert not specify().declares
    assert specify(definition="<domain/>").declares


def test_a_machine_may_be_named_by_its_uuid_alone() -> None:
    assert not read_specification(MachineWish.of({**dict.fromkeys(MACHINE), "uuid": UUID, "state": "running"})).declares
    assert specify(name=None, uuid=UUID, vcpus=2).change(stored()).name == "web"


def test_values_have_the_names_of_the_options() -> None:
    specification = specify(memory="64", domain_type="qemu", vcpus=2)
    assert specification.describe(stored()) == {"domain_type": "kvm", "memory": 64, "vcpus": 1}
    assert specification.describe(None) == {"domain_type": None, "memory": None, "vcpus": None}
    assert specification.describe(specification.change(stored())) == {"domain_type": "qemu", "memory": 64, "vcpus": 2}


def test_the_host_is_asked_who_runs_machines_only_where_nobody_says() -> None:
    assert specify(memory="64").needs_domain_type
    assert not specify(domain_type="qemu").needs_domain_type
    assert not specify(definition="<domain type='qemu'/>").needs_domain_type


def test_a_new_machine_has_name_and_uuid() -> None:
    for specification in (specify(memory="64"), specify(definition="<domain type='qemu'><name>other</name></domain>")):
        domain = specification.make("web", UUID, "qemu")
        assert (domain.name, domain.uuid, domain.type) == ("web", UUID, "qemu")


def test_wrong_options_are_named() -> None:
    with pytest.raises(DeclarationError, match="memory: 'much' is no amount of memory"):
        specify(memory="much")
    with pytest.raises(DomainXmlError, match=r"web: definition: is not well-formed XML: no element found: line 1, column 8"):
        specify(definition="<domain>")
    with pytest.raises(DomainXmlError, match="document type or entities"):
        specify(definition="<!DOCTYPE domain><domain/>")


def test_a_running_machine_differs_in_what_its_next_start_will_change() -> None:
    specification = specify(vcpus=2, cpu="host-passthrough")
    desired = specification.change(stored())
    assert specification.pending(stored(), desired) == ["vcpus takes effect at the next start", "cpu takes effect at the next start"]
    assert specification.pending(desired, desired) == []


def test_what_a_running_definition_cannot_tell_waits_for_nothing() -> None:
    specification = specify(cpu="host-model", memory="128")
    expanded = stored("<cpu mode='custom'><model>Skylake</model></cpu>")
    assert specification.pending(expanded, specification.change(stored())) == []


def test_more_memory_than_the_running_machine_can_have_waits() -> None:
    specification = specify(memory="256")
    assert specification.pending(stored(), specification.change(stored())) == ["memory takes effect at the next start"]


def test_a_whole_definition_is_stored_as_written_under_the_machines_own_name() -> None:
    specification = specify(
        definition="<domain type='kvm'><name>x</name><memory>65536</memory><devices><interface type='user'/></devices></domain>"
    )
    desired = specification.change(stored())
    assert (desired.name, desired.uuid, desired.memory) == ("web", UUID, 65536)
    assert desired.interfaces[0].mac == "52:54:00:00:00:01"
    plan = specification.plan(stored(), desired, running=True)
    assert plan.restart_reasons == ("memory takes effect at the next start",)
    assert plan.live_steps == ()
    assert specification.plan(stored(), desired, running=False).restart_reasons == ()


def test_a_whole_definition_that_is_so_already_is_not_stored() -> None:
    text = "<domain type='kvm'><memory unit='MiB'>128</memory><devices><interface type='user'/></devices></domain>"
    specification = specify(definition=text)
    desired = specification.change(stored())
    assert desired == stored()
    assert not specification.plan(stored(), desired, running=False).changed


def test_a_running_machine_differs_from_a_whole_definition_but_for_what_libvirt_writes_out() -> None:
    text = "<domain type='kvm'><memory>131072</memory><currentMemory>1024</currentMemory><cpu mode='host-model'/></domain>"
    specification = specify(definition=text)
    expanded = stored("<cpu mode='custom'><model>Skylake</model></cpu>")
    expanded.element.find("devices").clear()
    assert specification.pending(expanded, expanded) == []
    assert specify(definition=text.replace("131072", "1024")).pending(expanded, expanded) == ["memory takes effect at the next start"]
