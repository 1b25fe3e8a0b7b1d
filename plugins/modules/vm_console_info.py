# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_console_info
short_description: Read one-time addresses of consoles, and pictures of screens
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Gets the address under which a browser shows the screen or the serial console of a machine that runs. Nothing on the machine changes.
  - The address works once, for whoever has it, within RV(consoles[].lifetime) seconds. It is a secret for that long; set C(no_log=true) on
    the task, so that no log keeps it. What is registered can be used all the same.
  - The browser must reach the host of the hypervisor at the port in the address.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.reads
options:
  machines:
    description:
      - The machines, by name, UUID or JID. They must run.
    type: list
    elements: str
    required: true
    aliases:
      - machine
  kind:
    description:
      - V(vnc) - an address for the screen; the machine has a display of the type VNC.
      - V(text) - an address for the serial console; the machine has one (option O(archipel.platform.vm#module:serial)).
      - V(none) - no address, when only a O(screenshot) is wanted.
    type: str
    choices:
      - vnc
      - text
      - none
    default: vnc
  screenshot:
    description:
      - A picture of the screen besides - V(none), in its full size (V(full)), or a small one (V(thumbnail)).
    type: str
    choices:
      - none
      - thumbnail
      - full
    default: none
seealso:
  - module: archipel.platform.vm_info
"""

EXAMPLES = r"""
---
- name: An address for the screen
  archipel.platform.vm_console_info:
    machine: web
  no_log: true
  register: screen

- name: One for the serial console of two machines
  archipel.platform.vm_console_info:
    machines:
      - web
      - mail
    kind: text
  register: terminals

- name: What the screen shows
  archipel.platform.vm_console_info:
    machine: web
    kind: none
    screenshot: thumbnail
  register: seen
"""

RETURN = r"""
consoles:
  description: The machines with what was asked for.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name.
      type: str
      sample: web
    jid:
      description: The machine's account.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    kind:
      description: What the address shows; null if none was asked for.
      type: str
      sample: vnc
    url:
      description: The address, for a browser; it works once.
      type: str
      sample: https://host1.example.org:6080/vnc.html#token
    websocket:
      description: The same for programs, which offer the subprotocols V(binary) and V(archipel.token.TOKEN).
      type: str
      sample: wss://host1.example.org:6080/websocket
    token:
      description: The token for programs; it works once.
      type: str
      sample: token
    lifetime:
      description: The seconds within which the address must be used.
      type: int
      sample: 60
    screenshot:
      description: The picture, its C(data) in Base64, width and height in pixels; null if none was asked for.
      type: dict
      sample:
        mime: image/png
        width: 216
        height: 135
        data: iVBORw0KGgo=
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: vnc_display
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedMachine, find_machines
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run

ARGUMENTS = {
    **connection_arguments(),
    "machines": {"type": "list", "elements": "str", "required": True, "aliases": ["machine"]},
    "kind": {"type": "str", "choices": ["vnc", "text", "none"], "default": "vnc"},
    "screenshot": {"type": "str", "choices": ["none", "thumbnail", "full"], "default": "none"},
}
LINK = ("kind", "url", "websocket", "token", "lifetime")


async def look(run: Run) -> Mapping[str, Any]:
    entities = await find_machines(run.hypervisor, run.arguments["machines"])
    return {"changed": False, "consoles": list(await asyncio.gather(*(open_console(named, run.arguments) for named in entities)))}


async def open_console(named: NamedMachine, arguments: Mapping[str, Any]) -> dict[str, Any]:
    screens, told = named.entity.screens, {"name": named.name, "jid": named.entity.bare, **dict.fromkeys((*LINK, "screenshot"))}
    if arguments["screenshot"] != "none":
        picture = await screens.picture(thumbnail=arguments["screenshot"] == "thumbnail")
        data = base64.b64encode(picture.data).decode()
        told["screenshot"] = {"mime": picture.mime, "width": picture.width, "height": picture.height, "data": data}
    if arguments["kind"] != "none":
        link = await screens.open_console(arguments["kind"])
        told |= {name: getattr(link, name) for name in LINK}
    return told


MODULE = Module(ARGUMENTS, look)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
