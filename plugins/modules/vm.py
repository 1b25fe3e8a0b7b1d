# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm
short_description: Declare virtual machines
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Makes, changes, starts, stops, adopts and frees virtual machines on a hypervisor that an Archipel agent serves.
  - A machine is declared by single options, or by a whole libvirt definition. Only what is declared is compared and changed; the
    rest stays as it is. A new machine gets sensible values for what is not declared.
  - A running machine is changed in place where libvirt can. What cannot be changed so is stored for the next start, and the
    result says RV(needs_restart).
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
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
    suboptions: &disk_options
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
    suboptions: &network_options
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
    suboptions: &graphics_options
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
      tags: *tags
      restart: *restart
      shutdown_timeout: *shutdown_timeout
      force: *force
      remove_disks: *remove_disks
seealso:
  - module: archipel.platform.vm_info
  - module: archipel.platform.permission
"""

EXAMPLES = r"""
---
- name: A machine that runs
  archipel.platform.vm:
    name: web
    state: running
    memory: 512
    max_memory: 1 GiB
    vcpus: 1
    max_vcpus: 2
    networks:
      - network: default
    tags:
      - course-101

- name: The same machine with more memory, at once
  archipel.platform.vm:
    name: web
    memory: 1 GiB

- name: Forty machines, one session
  archipel.platform.vm:
    state: present
    memory: 64
    networks:
      - network: default
    machines: "{{ range(1, 41) | map('regex_replace', '^', 'seat-') | map('community.general.dict_kv', 'name') }}"

- name: A machine from a template of its whole definition
  archipel.platform.vm:
    name: lab
    definition: "{{ lookup('ansible.builtin.template', 'domain.xml.j2') }}"

- name: A domain that somebody made with virsh
  archipel.platform.vm:
    name: legacy
    state: adopted

- name: More processors than the running machine can have, with a restart
  archipel.platform.vm:
    name: web
    state: running
    vcpus: 4
    max_vcpus: 4
    restart: true
    shutdown_timeout: 60
    force: true

- name: The machine goes, its disks stay
  archipel.platform.vm:
    name: lab
    state: absent
"""

RETURN = r"""
machine:
  description: The machine, as it was read last.
  returned: success, unless O(machines) is given
  type: dict
  sample:
    name: web
    uuid: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
    jid: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    state: running
    memory: 512
    max_memory: 1024
    vcpus: 1
    autostart: false
    needs_restart: false
    restart_reasons: []
machines:
  description: All machines of the run.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: web
    uuid:
      description: The UUID; null if there is no such machine.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
    jid:
      description: The account.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    state:
      description:
        - What libvirt said when it was last asked (V(running), V(paused), V(off), V(shutting down), V(crashed), V(asleep)), or
          V(not defined), or V(absent). Null if it was not asked.
      type: str
      sample: running
    memory:
      description: The memory in use, in MiB.
      type: int
      sample: 512
    max_memory:
      description: The most memory that it can have now, in MiB.
      type: int
      sample: 1024
    vcpus:
      description: The number of virtual processors.
      type: int
      sample: 1
    autostart:
      description: Whether it starts with its host.
      type: bool
      sample: false
    needs_restart:
      description: Whether something that is declared waits for the machine to be restarted.
      type: bool
      sample: true
    restart_reasons:
      description: What waits, in words.
      type: list
      elements: str
      sample:
        - the most processors a machine can have is fixed while it runs
needs_restart:
  description: Whether any of the machines waits for a restart.
  returned: success
  type: bool
  sample: false
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: alloc
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.execution import run
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import DEFINITION_OR_HARDWARE, MACHINE, read_wishes
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import DeclaredMachine
from ansible_collections.archipel.platform.plugins.module_utils.machine.host import Host
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

if TYPE_CHECKING:
    from archipel.client import Hypervisor

ARGUMENTS = {
    **connection_arguments(),
    **MACHINE,
    "machines": {
        "type": "list",
        "elements": "dict",
        "options": dict(MACHINE),
        "mutually_exclusive": DEFINITION_OR_HARDWARE,
        "required_one_of": [("name", "uuid")],
    },
}


def main() -> None:
    module = AnsibleModule(
        ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[*DEFINITION_OR_HARDWARE, ("machines", "name"), ("machines", "uuid")],
        required_one_of=[("name", "uuid", "machines")],
    )

    async def declare(hypervisor: Hypervisor) -> Mapping[str, Any]:
        wishes = read_wishes(module.params)
        host = Host(await Directory.load(hypervisor, [wish.reference for wish in wishes]))
        machines = [DeclaredMachine(wish, host) for wish in wishes]
        result = await reconcile_all(machines, "machines", check_mode=module.check_mode)
        single = {} if module.params["machines"] is not None else {"machine": result["machines"][0]}
        return {**result, **single, "needs_restart": any(machine["needs_restart"] for machine in result["machines"])}

    run(module, declare)


if __name__ == "__main__":
    main()
