# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be declared of a machine; the same options as module_utils/machine/arguments.py takes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name: &name
    description:
      - The name of the machine, which is its identity on the hypervisor.
      - With O(uuid) as well, the machine is found by its UUID and renamed if it is called otherwise. It must be off for that.
    type: str
  uuid: &uuid
    description:
      - The UUID of the machine. A new machine gets one from the agent if none is given.
    type: str
  state: &state
    description:
      - V(present) - the machine exists as declared. Whether it runs is left alone.
      - V(running), V(paused), V(stopped) - it exists as declared, and is in that state.
      - V(absent) - it does not exist. A running machine is switched off. Its disks are kept unless O(remove_disks=true).
        A libvirt domain that is not managed by Archipel is never removed.
      - V(adopted) - an existing libvirt domain is managed from now on, as it is, while it runs.
      - V(present) unless said otherwise.
    type: str
    choices:
      - present
      - running
      - stopped
      - paused
      - absent
      - adopted
  definition: &definition
    description:
      - A whole libvirt domain definition (XML), such as the result of the P(ansible.builtin.template#lookup) lookup.
      - Only what it states is compared with what libvirt made of it, and disks, network cards, displays and other devices that libvirt
        never adds by itself are those of the definition and no others. Name and UUID in it do not count.
      - Passwords of displays are set when the definition is stored. They are never read back, so a change of nothing else is not noticed.
      - A running machine takes it on at its next start.
    type: str
  domain_type: &domain_type
    description:
      - Who runs the machine. A new machine gets V(kvm) where the host has it, else V(qemu).
    type: str
    choices:
      - kvm
      - qemu
      - test
  arch: &arch
    description:
      - The architecture of the processor, such as V(x86_64).
    type: str
  machine: &machine
    description:
      - The kind of computer, such as V(q35) or V(pc).
    type: str
  firmware: &firmware
    description:
      - The firmware.
    type: str
    choices:
      - bios
      - uefi
  memory: &memory
    description:
      - The memory, as a number of MiB or a text such as V(2 GiB). V(512) in a new machine.
      - Changes at once up to the maximum that the running machine was started with.
    type: str
  max_memory: &max_memory
    description:
      - The most memory that the machine can be given while it runs. Follows O(memory) where it would be too small.
    type: str
  vcpus: &vcpus
    description:
      - The number of virtual processors. More are plugged in at once up to the maximum; fewer wait for a restart.
    type: int
  max_vcpus: &max_vcpus
    description:
      - The most virtual processors that the machine can be given while it runs. Follows O(vcpus) where it would be too small.
    type: int
  cpu: &cpu
    description:
      - The processor's mode (V(host-model), V(host-passthrough), V(maximum)) or the name of a model that libvirt knows.
    type: str
  boot: &boot
    description:
      - Kinds of devices to boot from, in this order.
    type: list
    elements: str
    choices:
      - hd
      - cdrom
      - network
      - fd
  kernel: &kernel
    description:
      - The path of a kernel on the hypervisor that is booted directly. An empty text takes it away.
    type: str
  initrd: &initrd
    description:
      - The path of the initial RAM disk for O(kernel). An empty text takes it away.
    type: str
  cmdline: &cmdline
    description:
      - The command line for O(kernel). An empty text takes it away.
    type: str
  disks: &disks
    description:
      - The disks. The list stands for all hard disks, and for all drives of the kinds that it names; what is beyond it is taken away.
        The images themselves are left alone.
      - Entries are matched by O(disks[].target) where given, else by their source; a drive without target is the next one of its kind.
    type: list
    elements: dict
    suboptions:
      device:
        description: What the guest sees.
        type: str
        choices:
          - disk
          - cdrom
          - floppy
        default: disk
      path:
        description: The path of an image or block device on the hypervisor. Empty or absent, a drive is empty.
        type: str
      pool:
        description: The storage pool of the volume.
        type: str
      volume:
        description: A volume of a storage pool, in place of a path.
        type: str
      bus:
        description: How the disk is attached; what suits its kind unless given.
        type: str
        choices:
          - virtio
          - sata
          - scsi
          - ide
          - usb
          - fdc
      target:
        description: The name of its place, such as V(vda).
        type: str
      format:
        description: The format of the image; guessed from its name unless given.
        type: str
        choices:
          - raw
          - qcow2
          - qed
          - vdi
          - vmdk
          - vpc
          - vhdx
      readonly:
        description: Whether the guest cannot write to it.
        type: bool
      shareable:
        description: Whether several machines may have it at a time.
        type: bool
      cache:
        description: How the host caches it.
        type: str
        choices:
          - default
          - none
          - writethrough
          - writeback
          - directsync
          - unsafe
      serial:
        description: The serial number that the guest reads.
        type: str
      boot_order:
        description: Its place in the order of booting, in place of O(boot).
        type: int
  cdrom: &cdrom
    description:
      - The path of the image in the first CD drive. V(none) or an empty text leaves the drive empty. The medium of a running machine
        changes at once.
    type: str
  networks: &networks
    description:
      - The network cards. The list stands for all of them. Entries are matched by O(networks[].mac) where given, the others in order.
    type: list
    elements: dict
    suboptions:
      network:
        description: The libvirt network that the card is plugged into.
        type: str
      bridge:
        description: The bridge of the host that the card is plugged into.
        type: str
      user:
        description: Whether the card is on QEMU's own user network.
        type: bool
      model:
        description: The model of the card; V(virtio) for a new one.
        type: str
      mac:
        description: The MAC address; libvirt makes one up for a new card.
        type: str
      vlan:
        description: The VLAN that the card is in.
        type: int
      filter:
        description: The libvirt network filter that holds for it.
        type: str
      boot_order:
        description: Its place in the order of booting, in place of O(boot).
        type: int
  graphics: &graphics
    description:
      - The displays. The list stands for all of them. A new machine gets one of type V(vnc), unless the list is empty.
      - A display's password is no option, because a definition is shown to many.
    type: list
    elements: dict
    suboptions:
      type:
        description: The protocol of its viewer.
        type: str
        choices:
          - vnc
          - spice
        default: vnc
      listen:
        description: The address of the host where it listens; V(127.0.0.1) for a new one.
        type: str
      port:
        description: Its port; libvirt chooses a free one at each start unless given.
        type: int
      autoport:
        description: Whether libvirt chooses the port.
        type: bool
  video: &video
    description:
      - The model of the graphics card.
    type: str
    choices:
      - none
      - virtio
      - qxl
      - vga
      - cirrus
      - bochs
      - ramfb
  serial: &serial
    description:
      - The serial ports, in order; an empty list for none.
    type: list
    elements: str
    choices:
      - pty
      - "null"
  channels: &channels
    description:
      - Which channels between host and guest there are, of those that can be declared; others stay.
    type: list
    elements: str
    choices:
      - guest_agent
      - spice
  autostart: &autostart
    description:
      - Whether the machine starts with its host.
    type: bool
  orgname: &orgname
    description:
      - The organisation that the machine belongs to, as its vCard says. The machine must be off to change this and the following ones.
    type: str
  orgunit: &orgunit
    description:
      - The organisational unit.
    type: str
  locality: &locality
    description:
      - The locality.
    type: str
  userid: &userid
    description:
      - The owner.
    type: str
    aliases:
      - owner
  categories: &categories
    description:
      - The categories.
    type: str
  drives: &drives
    description:
      - Drives that the agent makes and keeps in the machine's folder, attached before the machine starts. Others are left alone.
      - M(archipel.platform.vm_disk) deletes, renames or detaches them. Not with O(disks).
    type: list
    elements: dict
    suboptions:
      name:
        description: The name, without the ending.
        type: str
      size:
        description: How large it is, with a unit, such as V(10 GiB). It only grows unless O(drives[].shrink) says otherwise.
        type: str
      shrink:
        description: Whether it may become smaller, which cuts off what is at its end.
        type: bool
      format:
        description: The format of the image; V(qcow2) for a new one unless given.
        type: str
        choices:
          - qcow2
          - raw
          - qcow
          - vmdk
      preallocate:
        description: Whether a new one takes all its room at once.
        type: bool
      golden:
        description: The golden image that a new one stands on.
        type: str
      bus:
        description: How it is attached; V(virtio) unless given.
        type: str
        choices:
          - virtio
          - sata
          - scsi
          - ide
          - usb
      target:
        description: The name of its place, such as V(vdb).
        type: str
  tags: &tags
    description:
      - The tags of the machine, all of them; their order does not matter.
    type: list
    elements: str
  restart: &restart
    description:
      - Whether a running machine is shut down and started again where a change needs it.
    type: bool
  shutdown_timeout: &shutdown_timeout
    description:
      - How many seconds a guest may take to shut down; V(120) unless given.
    type: float
  force: &force
    description:
      - Whether a guest that does not shut down in time is switched off. Without it the task fails then.
    type: bool
  remove_disks: &remove_disks
    description:
      - Whether O(state=absent) removes the machine's folder with the disks in it too.
    type: bool
  machines:
    description:
      - Many machines in one run, which is one session. The options beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      name: *name
      uuid: *uuid
      state: *state
      definition: *definition
      domain_type: *domain_type
      arch: *arch
      machine: *machine
      firmware: *firmware
      memory: *memory
      max_memory: *max_memory
      vcpus: *vcpus
      max_vcpus: *max_vcpus
      cpu: *cpu
      boot: *boot
      kernel: *kernel
      initrd: *initrd
      cmdline: *cmdline
      disks: *disks
      cdrom: *cdrom
      networks: *networks
      graphics: *graphics
      video: *video
      serial: *serial
      channels: *channels
      autostart: *autostart
      orgname: *orgname
      orgunit: *orgunit
      locality: *locality
      userid: *userid
      categories: *categories
      drives: *drives
      tags: *tags
      restart: *restart
      shutdown_timeout: *shutdown_timeout
      force: *force
      remove_disks: *remove_disks
"""
