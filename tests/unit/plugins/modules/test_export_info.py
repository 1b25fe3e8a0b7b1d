# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module ``export_info`` makes of what hypervisors tell."""

from __future__ import annotations

from typing import Any

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE_FULL, UUID
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

PARTS = "info definition organisation roster rights tags"
WEB = f"<item managed='True' name='web'>{MACHINE_FULL}</item>"
LEGACY = "<item managed='False' name='legacy'>6f0c0000-0000-4000-8000-000000000002@example.org</item>"
DOMAIN = "<domain type='test' xmlns=''><name>web</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
TOLD = {
    "info": "<info state='5' maxMem='65536' memory='65536' nrVirtCpu='1' hypervisor='hyp@example.org/host' autostart='1' cpuTime='0'/>",
    "definition": f"<stored>{DOMAIN}</stored>",
    "organisation": "<organisation userid='bob'/>",
    "roster": "<item jid='bob@example.org' subscription='from'/>",
    "rights": "<rule subject='bob@example.org' right='info' effect='allow' entity='x' expires='never'/>",
    "tags": "<tag>course</tag>",
}


def export(wire: Wire, parts: dict[str, str], **arguments: Any) -> dict[str, Any]:
    told = "".join(
        f"<part name='{name}'>{content}</part>" if content else f"<part name='{name}' denied='xmldesc'/>" for name, content in parts.items()
    )
    machine = f"<machine uuid='{UUID}' name='web' jid='{MACHINE_FULL}' online='1'>{told}</machine>"
    ask = f"<archipel parts='{PARTS}' action='describe'/>"
    wire.entity(HYPERVISOR_FULL, "get", ns.DECLARATION, ask, f"<machines>{machine}</machines>")
    wire.hypervisor("get", "<archipel action='rostervm'/>", WEB + LEGACY)
    return wire.run("export_info", sections=["vms"], **arguments)


def test_machines_are_told_as_they_are_declared(wire: Wire) -> None:
    answer = export(wire, TOLD)
    assert answer["incomplete"] == []
    assert answer["document"] == {
        "hypervisors": {"hyp": HYPERVISOR},
        "vms": [
            {
                "name": "web", "hypervisor": "hyp", "uuid": UUID, "state": "stopped", "autostart": True, "memory": "64", "vcpus": 1,
                "serial": [], "channels": [], "domain_type": "test", "disks": [], "networks": [], "graphics": [], "userid": "bob",
                "tags": ["course"], "roster": ["bob@example.org"], "permissions": [{"subject": "bob@example.org", "rights": ["info"]}],
            }
        ],
    }  # fmt: skip
    wire.assert_asked()


def test_what_is_denied_is_left_out_and_named(wire: Wire) -> None:
    answer = export(wire, TOLD | {"definition": ""})
    [missing] = answer["incomplete"]
    assert (missing["hypervisor"], missing["name"], missing["part"]) == ("hyp", "web", "definition")
    assert "xmldesc" in missing["reason"]
    assert "memory" not in answer["document"]["vms"][0]


def test_domains_that_nobody_manages_are_ones_to_adopt(wire: Wire) -> None:
    answer = export(wire, TOLD, include_unmanaged=True)
    assert answer["document"]["vms"][0] | {"name": "legacy", "state": "adopted"} == answer["document"]["vms"][0]


def test_a_section_that_there_is_not_is_refused(wire: Wire) -> None:
    answer = wire.run("export_info", sections=["vm"])
    assert "sections: 'vm' is no section of a document; did you mean vms?" in answer["msg"]
