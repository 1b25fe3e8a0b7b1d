# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nwfilter
short_description: Declare the network filters of a host
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Defines, changes and removes libvirt's network filters, which keep machines from sending what is not theirs, on a hypervisor
    that an Archipel agent serves.
  - A filter is declared by single options, or by a whole libvirt definition. Only what is declared is compared and changed. What
    changes counts at once for all machines whose cards name the filter.
  - Takes the right V(network_nwfilter_define), which is granted one by one.
  - Whether running machines use a filter that is to go is known to libvirt alone, so O(state=absent) may fail where check mode
    foresees that the filter goes.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  name: &name
    description:
      - The name of the filter, which is its identity on the hypervisor.
    type: str
  uuid: &uuid
    description:
      - The UUID of a new filter; libvirt chooses one if none is given. A filter that is there with another one is an error.
    type: str
  state: &state
    description:
      - Whether the filter is defined. V(present) unless said otherwise.
    type: str
    choices:
      - present
      - absent
  definition: &definition
    description:
      - A whole libvirt filter definition (XML). Its rules and references are those of the filter and no others; name and UUID in it
        do not count.
    type: str
  chain: &chain
    description:
      - The chain that the rules are in, such as V(root), V(ipv4), V(arp). V(root) in a new filter.
    type: str
  priority: &priority
    description:
      - The lower, the earlier the filter is asked, from V(-1000) to V(1000).
    type: int
  rules: &rules
    description:
      - The rules. A declared list stands for all of them, in this order, and each of them is declared whole.
    type: list
    elements: dict
    suboptions:
      action:
        description:
          - What happens to a packet.
        type: str
        required: true
        choices:
          - drop
          - reject
          - accept
          - return
          - continue
      direction:
        description:
          - Whether it comes into the machine, goes out, or both.
        type: str
        required: true
        choices:
          - in
          - out
          - inout
      priority:
        description:
          - The lower, the earlier the rule is asked, from V(-1000) to V(1000). V(500) in a new rule.
        type: int
      statematch:
        description:
          - Whether answers to what was let through are let through too. It is so unless said otherwise.
        type: bool
      protocol:
        description:
          - What the packet is, in libvirt's words, such as V(mac), V(arp), V(ip), V(ipv6), V(tcp), V(udp), V(icmp), V(all). Any without it.
        type: str
      fields:
        description:
          - What else must be so, in libvirt's words, such as C(dstportstart) or C(srcipaddr). Stands for all fields of the rule.
        type: dict
  filterrefs: &filterrefs
    description:
      - Other filters that this one has in it. A declared list stands for all of them, in this order.
    type: list
    elements: dict
    suboptions:
      filter:
        description:
          - The name of the other filter, which must be there.
        type: str
        required: true
      parameters:
        description:
          - What it is told, by the names that it knows, such as C(IP); a value, or a list of values.
        type: dict
  nwfilters:
    description:
      - Many filters in one run, which is one session. The options beside the list are defaults for its entries. A filter that another
        one refers to is declared in an earlier task.
    type: list
    elements: dict
    suboptions:
      name: *name
      uuid: *uuid
      state: *state
      definition: *definition
      chain: *chain
      priority: *priority
      rules: *rules
      filterrefs: *filterrefs
seealso:
  - module: archipel.platform.network
  - module: archipel.platform.vm
  - name: libvirt's network filters
    description: Which chains, protocols and fields there are.
    link: https://libvirt.org/formatnwfilter.html
"""

EXAMPLES = r"""
---
- name: Machines send no mail
  archipel.platform.nwfilter:
    name: no-mail
    chain: ipv4
    rules:
      - action: drop
        direction: out
        protocol: tcp
        fields:
          dstportstart: 25

- name: Machines of a class send with their own addresses, and no mail
  archipel.platform.nwfilter:
    name: class
    filterrefs:
      - filter: clean-traffic
      - filter: no-mail

- name: A filter from a whole definition
  archipel.platform.nwfilter:
    name: no-ipv6
    definition: |
      <filter name='no-ipv6' chain='ipv6'>
        <rule action='drop' direction='inout' priority='100'><all-ipv6/></rule>
      </filter>

- name: The course is over
  archipel.platform.nwfilter:
    state: absent
    nwfilters:
      - name: class
      - name: no-ipv6
"""

RETURN = r"""
nwfilter:
  description: The filter, as it was read last.
  returned: success, unless O(nwfilters) is given
  type: dict
  sample:
    name: no-mail
    uuid: 6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69
    state: present
    chain: ipv4
    priority: -700
    rules:
      - action: drop
        direction: out
        protocol: tcp
        fields:
          dstportstart: "25"
nwfilters:
  description: All filters of the run.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: no-mail
    uuid:
      description: The UUID; null if there is no such filter.
      type: str
      sample: 6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69
    state:
      description: Whether it is there (V(present)) or not (V(absent)).
      type: str
      sample: present
    chain:
      description: The chain.
      type: str
      sample: ipv4
    priority:
      description: Its place among the filters.
      type: int
      sample: -700
    rules:
      description: The rules; what is so unless said otherwise is left out.
      type: list
      elements: dict
      sample:
        - action: drop
          direction: out
          protocol: tcp
          fields:
            dstportstart: "25"
    filterrefs:
      description: The filters that it has in it.
      type: list
      elements: dict
      sample:
        - filter: clean-traffic
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: network_nwfilter_define
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.nwfilter import FILTER_OPTIONS, KIND, DeclaredFilter
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.results import tell_single

FILTERS = EntryList(KIND, "nwfilters", what="filter", parts=FILTER_OPTIONS)
ARGUMENTS = {
    **connection_arguments(),
    **FILTERS.options,
}


async def declare(run: Run) -> Mapping[str, Any]:
    hypervisor = run.hypervisor
    resources = [DeclaredFilter(hypervisor, entry, check_mode=run.check_mode) for entry in FILTERS.read(run.arguments)]
    result = await reconcile_all(resources, "nwfilters", run)
    return tell_single(result, "nwfilters", "nwfilter", run)


MODULE = Module(
    ARGUMENTS,
    declare,
    constraints=FILTERS.constraints,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
