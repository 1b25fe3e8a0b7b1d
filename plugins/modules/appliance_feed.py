# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: appliance_feed
short_description: Declare the feeds from which hypervisors get appliances
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which feeds of appliances a hypervisor reads. An appliance is a machine in one file; M(archipel.platform.appliance) downloads and
    installs those that the feeds offer.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  url:
    description:
      - The address of the feed. The agent says which ones it reads (C([VMCASTING]) in its configuration).
    type: str
    required: true
  state:
    description:
      - Whether the hypervisor reads it. What was downloaded stays when a feed is V(absent).
    type: str
    choices:
      - subscribed
      - absent
    default: subscribed
seealso:
  - module: archipel.platform.appliance
"""

EXAMPLES = r"""
---
- name: The hypervisor reads a feed
  archipel.platform.appliance_feed:
    url: https://feeds.example.org/rss.xml
  register: lab

- name: The same, and what it offers is shown
  archipel.platform.appliance_feed:
    url: https://feeds.example.org/rss.xml
    state: subscribed

- name: It reads it no more
  archipel.platform.appliance_feed:
    url: https://feeds.example.org/rss.xml
    state: absent
"""

RETURN = r"""
feed:
  description: The feed, as it was read last.
  returned: success
  type: dict
  contains:
    url:
      description: Its address.
      type: str
      sample: https://feeds.example.org/rss.xml
    state:
      description: Whether the hypervisor reads it.
      type: str
      sample: subscribed
    name:
      description: What it calls itself; null if it is not known.
      type: str
      sample: Lab
    uuid:
      description: Its UUID.
      type: str
      sample: 11111111-1111-4111-8111-111111111111
    problem:
      description: Why what is told is what was known before; null if it was read.
      type: str
      sample: it answered 404
    appliances:
      description: What it offers.
      type: list
      elements: dict
      sample:
        - name: web
          uuid: 22222222-2222-4222-8222-222222222222
          description: a web server
          downloaded: false
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: vmcasting_register
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.appliances import APPLIANCE_FEED, DeclaredApplianceFeed
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.results import reconcile_one

ARGUMENTS = {**connection_arguments(), **APPLIANCE_FEED}


async def declare(run: Run) -> Mapping[str, Any]:
    feed = DeclaredApplianceFeed(run.hypervisor, run.arguments, check_mode=run.check_mode, tell=run.tell)
    return await reconcile_one(feed, "feed", run)


MODULE = Module(ARGUMENTS, declare)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
