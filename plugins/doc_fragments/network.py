# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be declared of a network; the same options as module_utils/network_arguments.py takes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name: &name
    description:
      - The name of the network, which is its identity on the hypervisor.
    type: str
  uuid: &uuid
    description:
      - The UUID of a new network; libvirt chooses one if none is given. A network that is there with another one is an error.
    type: str
  state: &state
    description:
      - V(present) - the network is defined. Whether it runs is left alone.
      - V(active), V(inactive) - it is defined, and runs or does not.
      - V(absent) - it is neither defined nor running.
      - V(present) unless said otherwise.
    type: str
    choices:
      - present
      - active
      - inactive
      - absent
  autostart: &autostart
    description:
      - Whether the network starts with its host.
    type: bool
  definition: &definition
    description:
      - A whole libvirt network definition (XML), such as the result of the P(ansible.builtin.template#lookup) lookup.
      - What it states is compared with what libvirt made of it; addresses, ranges, groups of ports and DNS records are those of the
        definition and no others. Name and UUID in it do not count.
    type: str
  forward: &forward
    description:
      - How the network reaches others.
    type: dict
    suboptions:
      mode:
        description:
          - V(isolated) reaches nothing but the host, V(nat) hides behind the host's address, V(route) goes through the host as it is,
            V(open) leaves the firewall to you, V(bridge) plugs machines into the bridge O(bridge.name) of the host.
          - The others plug machines into O(forward.dev) itself.
          - What other than V(isolated), V(nat), V(route), V(open), and V(bridge) with an allowed bridge, takes the right
            V(domain_policy_bypass).
        type: str
        choices:
          - isolated
          - nat
          - route
          - open
          - bridge
          - private
          - vepa
          - passthrough
      dev:
        description: The host's network interface to go through, such as V(eth0). Any if none is given.
        type: str
      port_start:
        description: The first port that NAT uses; V(1024) unless given.
        type: int
      port_end:
        description: The last port that NAT uses; V(65535) unless given.
        type: int
  bridge: &bridge
    description:
      - The host's bridge.
    type: dict
    suboptions:
      name:
        description: Its name, of 15 characters at most. libvirt chooses one if none is given.
        type: str
      stp:
        description: Whether it speaks the spanning tree protocol.
        type: bool
      delay:
        description: How many seconds a new port waits before it forwards.
        type: int
  zone: &zone
    description:
      - The zone of firewalld that the bridge is in. Takes the right V(domain_policy_bypass).
    type: str
  mac: &mac
    description:
      - The MAC address of the bridge. libvirt chooses one if none is given.
    type: str
  mtu: &mtu
    description:
      - The largest packet in bytes.
    type: int
  domain: &domain
    description:
      - The DNS domain of the network.
    type: dict
    suboptions:
      name:
        description: Its name, such as V(lab.example.org).
        type: str
      local_only:
        description: Whether names in it are never asked for outside.
        type: bool
  dns: &dns
    description:
      - The DNS server of the network. Hosts, texts and services change while it runs.
    type: dict
    suboptions:
      enable:
        description: Whether there is one.
        type: bool
      forward_plain_names:
        description: Whether names without a dot are asked for outside.
        type: bool
      forwarders:
        description: Which servers are asked, and about what.
        type: list
        elements: dict
        suboptions:
          addr:
            description: The address of the server.
            type: str
          domain:
            description: The domain that it is asked about; everything without one.
            type: str
      hosts:
        description: Names that the server knows.
        type: list
        elements: dict
        suboptions:
          ip:
            description: The address.
            type: str
            required: true
          hostnames:
            description: Its names.
            type: list
            elements: str
            required: true
      txt:
        description: TXT records.
        type: list
        elements: dict
        suboptions:
          name:
            description: The name.
            type: str
            required: true
          value:
            description: The text.
            type: str
            required: true
      srv:
        description: SRV records.
        type: list
        elements: dict
        suboptions:
          service:
            description: The service, such as V(ldap).
            type: str
            required: true
          protocol:
            description: The protocol, such as V(tcp).
            type: str
            required: true
          domain:
            description: The domain; that of the network if none is given.
            type: str
          target:
            description: The host that has the service.
            type: str
          port:
            description: Its port.
            type: int
          priority:
            description: The lower, the earlier it is tried.
            type: int
          weight:
            description: Its share among those of the same priority.
            type: int
  ips: &ips
    description:
      - The host's addresses in the network, and what it gives away there; an address is known by O(ips[].address). A declared list
        stands for all addresses, and each list in it for all of its kind. V([]) takes them away.
    type: list
    elements: dict
    suboptions:
      address:
        description: The host's address, such as V(10.77.0.1). Without the right V(domain_policy_bypass) it must be a private one.
        type: str
        required: true
      prefix:
        description: The length of the subnet's prefix in bits, such as V(24).
        type: int
      netmask:
        description: The same as a netmask, such as V(255.255.255.0).
        type: str
      family:
        description: The family of the address.
        type: str
        choices:
          - ipv4
          - ipv6
      dhcp_ranges:
        description: Addresses that are given away by DHCP. Changes while the network runs.
        type: list
        elements: dict
        suboptions:
          start:
            description: The first address.
            type: str
            required: true
          end:
            description: The last address.
            type: str
            required: true
      dhcp_hosts:
        description: Addresses and names that are kept for one machine each. Changes while the network runs.
        type: list
        elements: dict
        suboptions:
          mac:
            description: The machine's MAC address.
            type: str
          id:
            description: Its DHCP identifier (DUID), for IPv6.
            type: str
          name:
            description: The name that it is given.
            type: str
          ip:
            description: The address that it is given.
            type: str
      bootp_file:
        description: The file that machines boot over the network.
        type: str
      bootp_server:
        description: The server that has it; the host itself if none is given.
        type: str
      tftp_root:
        description: A folder of the host that is served by TFTP. Takes the right V(domain_policy_bypass).
        type: str
  portgroups: &portgroups
    description:
      - Groups of ports, which cards of machines name. Change while the network runs, for cards that are plugged in from then on.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name of the group.
        type: str
        required: true
      default:
        description: Whether cards that name none are in it.
        type: bool
      vlan: &vlan
        description: The VLANs of the ports, on a bridge that knows VLANs, such as Open vSwitch.
        type: dict
        suboptions:
          trunk:
            description: Whether machines see the tags.
            type: bool
          tags:
            description: The VLANs.
            type: list
            elements: dict
            suboptions:
              id:
                description: The number, up to 4095.
                type: int
                required: true
              native_mode:
                description: Whether it is the trunk's native VLAN, and goes tagged or untagged.
                type: str
                choices:
                  - tagged
                  - untagged
      bandwidth: &bandwidth
        description: How much goes through, of the network in all, or of each card in a group of ports.
        type: dict
        suboptions:
          inbound:
            description: To the machines.
            type: dict
            suboptions: &rates
              average:
                description: The rate in KiB per second.
                type: int
              peak:
                description: The highest rate in KiB per second.
                type: int
              burst:
                description: How many KiB may go at the highest rate.
                type: int
          outbound:
            description: From the machines.
            type: dict
            suboptions: *rates
      virtualport: &virtualport
        description: What the ports are part of.
        type: dict
        suboptions:
          type:
            description: The kind of switch.
            type: str
            choices:
              - openvswitch
              - 802.1Qbg
              - 802.1Qbh
              - midonet
          interfaceid:
            description: The UUID by which the switch knows the port.
            type: str
          profileid:
            description: The profile that the switch takes.
            type: str
  vlan: *vlan
  bandwidth: *bandwidth
  virtualport: *virtualport
  restart: &restart
    description:
      - Whether to start a running network anew if something that is declared waits for that.
    type: bool
  force: &force
    description:
      - Whether to stop or restart the network although cards of running machines are plugged in. They are cut off until the machines
        start anew.
    type: bool
  networks:
    description:
      - Many networks in one run, which is one session. The options beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      name: *name
      uuid: *uuid
      state: *state
      autostart: *autostart
      definition: *definition
      forward: *forward
      bridge: *bridge
      zone: *zone
      mac: *mac
      mtu: *mtu
      domain: *domain
      dns: *dns
      ips: *ips
      portgroups: *portgroups
      vlan: *vlan
      bandwidth: *bandwidth
      virtualport: *virtualport
      restart: *restart
      force: *force
"""
