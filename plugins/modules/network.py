# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: network
short_description: Declare the networks of a host
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Defines, changes, starts, stops and removes libvirt's networks on a hypervisor that an Archipel agent serves.
  - A network is declared by single options, or by a whole libvirt definition. Only what is declared is compared and changed; the
    rest stays as it is.
  - DHCP ranges and hosts, DNS records and groups of ports change in a network that runs. All else is stored for its next start,
    and the result says RV(needs_restart).
  - A restart cuts machines off. libvirt plugs their cards in again only when the machines start anew, so a network to which cards
    of running machines are plugged is stopped or restarted only with O(force).
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
  - archipel.platform.network
seealso:
  - module: archipel.platform.nwfilter
  - module: archipel.platform.vm
  - name: libvirt's networks
    description: What each part of a definition means.
    link: https://libvirt.org/formatnetwork.html
"""

EXAMPLES = r"""
---
- name: A network of private addresses, with NAT and DHCP, that starts with its host
  archipel.platform.network:
    name: lab
    state: active
    autostart: true
    forward:
      mode: nat
    ips:
      - address: 10.77.0.1
        prefix: 24
        dhcp_ranges:
          - start: 10.77.0.100
            end: 10.77.0.199

- name: A machine always gets the same address, at once
  archipel.platform.network:
    name: lab
    ips:
      - address: 10.77.0.1
        dhcp_hosts:
          - mac: 52:54:00:77:00:10
            name: web
            ip: 10.77.0.10

- name: Four isolated networks, one session
  archipel.platform.network:
    state: active
    forward:
      mode: isolated
    networks: "{{ range(1, 5) | map('regex_replace', '^', 'name: team-') | map('from_yaml') }}"

- name: A network from a whole definition
  archipel.platform.network:
    name: branch
    definition: |
      <network>
        <forward mode='route'/>
        <ip address='10.78.0.1' netmask='255.255.255.0'/>
      </network>

- name: Another way out, which takes a restart of the network
  archipel.platform.network:
    name: lab
    state: active
    forward:
      mode: route
    restart: true

- name: The course is over
  archipel.platform.network:
    name: lab
    state: absent
"""

RETURN = r"""
network:
  description: The network, as it was read last.
  returned: success, unless O(networks) is given
  type: dict
  sample:
    name: lab
    uuid: 6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69
    state: active
    autostart: true
    bridge: virbr1
    needs_restart: false
    restart_reasons: []
networks:
  description: All networks of the run.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: lab
    uuid:
      description: The UUID; null if there is no such network.
      type: str
      sample: 6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69
    state:
      description: Whether it runs (V(active)), does not (V(inactive)), or is not there (V(absent)).
      type: str
      sample: active
    autostart:
      description: Whether it starts with its host.
      type: bool
      sample: true
    bridge:
      description: The host's bridge that machines are plugged into.
      type: str
      sample: virbr1
    needs_restart:
      description: Whether something that is declared waits for the network to be started anew.
      type: bool
      sample: false
    restart_reasons:
      description: What waits, in words.
      type: list
      elements: str
      sample:
        - forward takes effect at the next start
needs_restart:
  description: Whether any of the networks waits for a restart.
  returned: success
  type: bool
  sample: false
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: network_define
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.network import DeclaredNetwork
from ansible_collections.archipel.platform.plugins.module_utils.network_arguments import NETWORK, NETWORK_OPTIONS
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.results import tell_restarts, tell_single

NETWORKS = EntryList(NETWORK, "networks", what="network", parts=NETWORK_OPTIONS)
ARGUMENTS = {
    **connection_arguments(),
    **NETWORKS.options,
}


async def declare(run: Run) -> Mapping[str, Any]:
    hypervisor = run.hypervisor
    resources = [DeclaredNetwork(hypervisor, entry, check_mode=run.check_mode) for entry in NETWORKS.read(run.arguments)]
    result = await reconcile_all(resources, "networks", run)
    result = tell_restarts(result, "networks", run, "when the network is started anew; restart=true does that")
    return tell_single(result, "networks", "network", run)


MODULE = Module(
    ARGUMENTS,
    declare,
    constraints=NETWORKS.constraints,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
