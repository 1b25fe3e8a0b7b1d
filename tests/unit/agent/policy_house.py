# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor's folders for tests of the policy, and definitions to put into them."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from typing import Any

from archipel.agent.virt.domain_policy import DomainPolicy, Violation, check_domain
from archipel.protocol.domain import Domain, parse

UUID = "6f0c2f2e-7a44-4c5f-8a86-3c2f6de0c001"
EMULATOR = "/usr/bin/qemu-system-x86_64"


class House:
    """Folders as an agent has them, in a temporary place."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.own, self.other = place / "drives" / UUID, place / "drives" / "other"
        self.iso, self.goldens = place / "iso", place / "goldens"
        for folder in (self.own, self.other, self.iso, self.goldens, place / "firmware", place / "nvram", place / "pool"):
            folder.mkdir(parents=True)
        (self.own / "root.img").write_bytes(b"\0" * 512)
        (self.iso / "debian.iso").write_bytes(b"\0" * 512)
        (self.place / "firmware" / "CODE.fd").write_bytes(b"\0" * 512)
        self.policy = DomainPolicy(
            vm_folder=self.own,
            iso_folders=(self.iso,),
            golden_folders=(self.goldens,),
            firmware_folders=(place / "firmware",),
            nvram_folder=place / "nvram",
            networks=("default", "lab-*"),
            bridges=("br0",),
            pools=("open*",),
            volume_path=lambda _, volume: place / "pool" / volume,
            emulators=frozenset({EMULATOR}),
            max_vcpus=8,
            max_memory=4 << 20,
        )

    @property
    def good(self) -> str:
        """A definition with something of everything that is allowed."""
        return f"""<domain type='kvm'>
          <name>web</name><uuid>{UUID}</uuid><title>A title</title><description>What &amp; why</description>
          <metadata><x:app xmlns:x='urn:anything' any='thing'><x:deep/></x:app></metadata>
          <memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>524288</currentMemory><vcpu placement='static' current='1'>2</vcpu>
          <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>
            <loader readonly='yes' type='pflash'>{self.place}/firmware/CODE.fd</loader><nvram>{self.place}/nvram/web_VARS.fd</nvram>
            <boot dev='hd'/><boot dev='network'/><kernel>{self.own}/vmlinuz</kernel><cmdline>quiet</cmdline></os>
          <features><acpi/><apic/><smm state='on'/><hyperv><relaxed state='on'/></hyperv></features>
          <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model><feature policy='require' name='vmx'/></cpu>
          <clock offset='utc'><timer name='hpet' present='no'/></clock>
          <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
          <devices>
            <emulator>{EMULATOR}</emulator>
            <disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='{self.own}/root.img'/>
              <target dev='vda' bus='virtio'/><address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/></disk>
            <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{self.iso}/debian.iso'/>
              <target dev='sda' bus='sata'/><readonly/></disk>
            <disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='open1' volume='data.img'/>
              <target dev='vdb' bus='virtio'/></disk>
            <controller type='usb' index='0' model='qemu-xhci'/>
            <interface type='network'><mac address='52:54:00:11:22:33'/><source network='default'/><model type='virtio'/></interface>
            <interface type='bridge'><source bridge='br0'/><model type='e1000'/></interface>
            <serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>
            <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
            <input type='tablet' bus='usb'/><graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>
            <sound model='ich9'/><audio id='1' type='none'/><video><model type='vga' vram='16384'/></video>
            <watchdog model='itco' action='reset'/><memballoon model='virtio'/>
            <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
            <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
          </devices>
        </domain>"""

    def check(self, domain: Domain | str, *, running: Domain | None = None, **settings: Any) -> list[Violation]:
        """Check a definition, with other settings if any are given."""
        wanted = parse(domain) if isinstance(domain, str) else domain
        return check_domain(wanted, dataclasses.replace(self.policy, **settings), None, running)

    def places(self, domain: Domain | str, **settings: Any) -> set[str]:
        """Return where a definition violates the policy."""
        return {violation.place for violation in self.check(domain, **settings)}

    def with_device(self, device: str) -> str:
        """Return the good definition with one more device."""
        return self.good.replace("</devices>", f"{device}</devices>")

    def with_element(self, element: str) -> str:
        """Return the good definition with one more element."""
        return self.good.replace("</domain>", f"{element}</domain>")

    def disk(self, path: Path | str, *, format: str = "raw", device: str = "disk", extra: str = "") -> str:  # noqa: A002 - QEMU's word
        """Return the good definition with one more disk."""
        return self.with_device(
            f"<disk type='file' device='{device}'><driver name='qemu' type='{format}'/><source file='{path}'/>"
            f"<target dev='vdz' bus='virtio'/>{extra}</disk>"
        )

    @staticmethod
    def image(path: Path, *options: str) -> Path:
        """Make a qcow2 image, with options such as ``-b``."""
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", *options, str(path), "1M"], check=True)
        return path
