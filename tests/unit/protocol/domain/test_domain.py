# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions read from text and stanzas: hostile ones refused, real ones kept whole."""

from __future__ import annotations

import contextlib
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.domain.domain import DEEPEST, MOST_CHARACTERS, MOST_ELEMENTS, QEMU, Domain, LifecycleAction, parse
from archipel.protocol.domain.xml_path import content
from archipel.protocol.domain.xml_values import DomainXmlError

GOLDEN = sorted((Path(__file__).parents[3] / "data" / "domain").glob("*.xml"))


def xml(text: str) -> ET.Element:
    return ET.fromstring(text)


@pytest.fixture
def golden(root: Path) -> Path:
    return root / "tests" / "data" / "domain"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_definition_survives_reading_and_writing(path: Path) -> None:
    text = path.read_text()
    assert content(xml(parse(text).to_text())) == content(xml(text))


def test_an_expanded_definition_is_seen_through_its_properties(golden: Path) -> None:
    domain = parse((golden / "stored.xml").read_text())
    assert (domain.type, domain.name, domain.uuid) == ("qemu", "web-running", "6f0c2f2e-7a44-4c5f-8a86-3c2f6de0c001")
    assert (domain.memory, domain.current_memory, domain.max_vcpus, domain.vcpus) == (524288, 524288, 1, 1)
    assert domain.emulator == "/usr/bin/qemu-system-x86_64"
    assert (domain.on_poweroff, domain.on_reboot, domain.on_crash) == (
        LifecycleAction.DESTROY,
        LifecycleAction.RESTART,
        LifecycleAction.DESTROY,
    )
    assert domain.clock_offset == "utc"
    assert domain.memballoon is not None
    assert domain.memballoon.model == "virtio"
    assert [(rng.backend, rng.source) for rng in domain.rngs] == [("random", "/dev/urandom")]


def test_the_operating_system_of_an_expanded_definition_is_seen(golden: Path) -> None:
    domain = parse((golden / "stored.xml").read_text())
    os = domain.operating_system
    assert (os.type, os.arch, os.machine, os.firmware, os.boot) == ("hvm", "x86_64", "pc-q35-10.0", "efi", ("hd", "cdrom"))
    assert (os.loader, os.loader_type, os.loader_readonly) == ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "pflash", True)
    assert os.nvram == "/var/lib/libvirt/qemu/nvram/web-running_VARS.fd"
    assert domain.features
    assert (domain.features.acpi, domain.features.smm, domain.features.pae) == (True, True, False)
    assert domain.cpu
    assert (domain.cpu.mode, domain.cpu.model, domain.cpu.fallback) == ("custom", "qemu64", "forbid")


def test_the_devices_of_a_running_machine_are_seen(golden: Path) -> None:
    domain = parse((golden / "running.xml").read_text())
    disk, drive = domain.disks
    assert (disk.device, disk.format, disk.target, disk.bus) == ("disk", "qcow2", "vda", "virtio")
    assert (drive.device, drive.path, drive.readonly) == ("cdrom", "/vm/iso/debian.iso", True)
    assert [(card.network, card.target, card.model) for card in domain.interfaces] == [("default", "vnet0", "virtio")]
    assert [(display.type, display.port, display.listen_address) for display in domain.graphics] == [("vnc", 5900, "127.0.0.1")]
    assert [(console.type, console.tty) for console in domain.consoles] == [("pty", "/dev/pts/0")]
    assert [(channel.name, channel.state) for channel in domain.channels] == [("org.qemu.guest_agent.0", "disconnected")]
    assert domain.id == 1


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "not well-formed"),
        ("no XML", "not well-formed"),
        ("<domain>", "not well-formed"),
        ("<domain/><domain/>", "not well-formed"),
        ("<network/>", "expected <domain>, found <network>"),
        ("<domain xmlns='urn:other'/>", "expected <domain>, found <{urn:other}domain>"),
        ("<!DOCTYPE domain><domain/>", "leave out <!DOCTYPE"),
        ("<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>", "leave out <!DOCTYPE"),
        ("<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><domain><name>&b;</name></domain>", "leave out <!DOCTYPE"),
        ("<domain><name>&undeclared;</name></domain>", "not well-formed"),
        ("<domain>" + " " * MOST_CHARACTERS + "</domain>", "at most"),
        ("<domain>" + "<a/>" * MOST_ELEMENTS + "</domain>", "more than"),
        ("<domain>" + "<a>" * DEEPEST + "</a>" * DEEPEST + "</domain>", "nests more than"),
        ("<domain>" + "<a>" * 50_000 + "</a>" * 50_000 + "</domain>", "nests more than"),
        ("<domain><name>\0</name></domain>", "not well-formed"),
        ("<domain><name>\ud800</name></domain>", "not well-formed"),
    ],
)
def test_hostile_text_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(DomainXmlError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_comments_and_instructions_are_gone() -> None:
    domain = parse("<domain><name>we<!-- hidden -->b</name><?php evil ?><!-- x --></domain>")
    assert domain.name == "web"
    assert domain.to_text() == "<domain>\n  <name>web</name>\n</domain>"


def test_cdata_is_text() -> None:
    assert parse("<domain><name><![CDATA[web]]></name></domain>").name == "web"


@given(st.text(max_size=200))
def test_any_text_is_a_domain_or_one_kind_of_error(text: str) -> None:
    with contextlib.suppress(DomainXmlError):
        assert parse(text).element.tag == "domain"


@given(st.text(st.sampled_from("<>/&;'\" =!-[]domainx&#0;"), max_size=60))
def test_any_almost_xml_inside_a_domain_is_read_or_refused(text: str) -> None:
    try:
        domain = parse(f"<domain>{text}</domain>")
    except DomainXmlError:
        return
    assert parse(domain.to_text()) == domain


@pytest.mark.parametrize(
    "namespace", ["archipel:vm:definition", "archipel:hypervisor:control", "jabber:client", "http://www.gajim.org/xmlns/undeclared"]
)
def test_the_namespaces_of_the_stanza_are_taken_off(namespace: str) -> None:
    stanza = xml(
        f"<query xmlns='{namespace}'><archipel><domain type='kvm'><name>web</name><devices><disk/></devices></domain></archipel></query>"
    )
    domain = Domain.from_element(stanza[0][0])
    assert domain.to_text() == '<domain type="kvm">\n  <name>web</name>\n  <devices>\n    <disk />\n  </devices>\n</domain>'
    assert stanza[0][0].tag == f"{{{namespace}}}domain", "the stanza itself stays as it is"


def test_foreign_namespaces_are_kept_for_the_policy_to_see() -> None:
    text = f"<domain xmlns:qemu='{QEMU}' type='kvm'><qemu:commandline><qemu:arg value='-S'/></qemu:commandline></domain>"
    domain = Domain.from_element(xml(f"<query xmlns='archipel:vm:definition'>{text}</query>")[0])
    assert domain.element[0].tag == f"{{{QEMU}}}commandline"
    assert "qemu:commandline" in domain.to_text()


def test_reading_changes_nothing() -> None:
    domain = parse("<domain/>")
    assert (domain.operating_system.machine, domain.vcpus, domain.name, list(domain.disks)) == (None, 1, None, [])
    assert domain.to_text() == "<domain />"


@pytest.mark.parametrize("count, text", [(2, '<vcpu current="2">4</vcpu>'), (4, "<vcpu>4</vcpu>")])
def test_processors_are_current_and_most(count: int, text: str) -> None:
    domain = parse("<domain><vcpu current='1'>4</vcpu></domain>")
    domain.vcpus = count
    assert (domain.vcpus, domain.max_vcpus) == (count, 4)
    assert text in domain.to_text()


def test_libvirt_keeps_the_metadata_of_what_was_read_and_written(golden: Path) -> None:
    libvirt.registerErrorHandler(lambda *_: None, None)
    domain = parse((golden / "virt-install.xml").read_text())
    domain.type, domain.emulator = "test", None
    domain.operating_system.arch = domain.operating_system.machine = None
    connection = libvirt.open("test:///default")
    defined = connection.defineXML(domain.to_text())
    try:
        kept = defined.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "http://libosinfo.org/xmlns/libvirt/domain/1.0")
        assert "http://debian.org/debian/11" in kept
    finally:
        defined.undefine()
