# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_guest
short_description: Declare what is inside a guest, through its guest agent
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Reaches into a running Linux guest without a network - files both ways, a program, a password, the clock, freezing of file systems.
  - What is declared is done in this order - thaw, clock, files into the guest, password, program, files out of it, freeze.
  - For playbooks that run in the guest there is the connection plugin P(archipel.platform.guest#connection).
  - Takes the right C(guest_exec) for files, programs and to know whether a password is right already, C(guest_file_write) and
    C(guest_file_read) for what is larger than 128 KiB, C(guest_password), C(guest_freeze) and C(guest_time) for what they say, and
    C(guest_info) to read clock and freezing.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  machine:
    description:
      - The machine, by name, UUID or JID.
    type: str
    required: true
  files:
    description:
      - Files in the guest. Each is written beside its place, compared, and moved there.
      - The difference shows texts of up to 64 KiB. Use C(no_log) for tasks with contents that nobody may see.
    type: list
    elements: dict
    suboptions:
      dest:
        description: The absolute path in the guest. Its folder must be there.
        type: str
        required: true
      content:
        description: The content, as a text.
        type: str
      src:
        description: A file of the control node whose content it is.
        type: path
      mode:
        description: The permissions, as an octal number. A new file gets V(0600) unless given, others keep theirs.
        type: str
  fetch:
    description:
      - Files of the guest to be copied to the control node.
    type: list
    elements: dict
    suboptions:
      src:
        description: The absolute path in the guest.
        type: str
        required: true
      dest:
        description: The path on the control node. Its folder must be there.
        type: path
        required: true
  program:
    description:
      - The path of a program to run, as the guest's administrator. No shell reads it. The task fails if it ends with anything but 0.
      - Whether it changes anything is unknown, so that the task is changed whenever it runs. In check mode it does not run.
    type: str
  arguments:
    description:
      - The arguments of the O(program). They are not hidden, so that secrets belong into O(stdin).
    type: list
    elements: str
    default: []
  stdin:
    description:
      - The input of the O(program).
    type: str
  program_timeout:
    description:
      - How many seconds the O(program) may take. It is ended then. V(0) waits for as long as it takes.
    type: float
    default: 0
  output_limit:
    description:
      - How many MiB the O(program) may write, its standard output and error together. It is ended then, and the task fails.
      - All of it is held in memory. A guest cannot fill that, whatever runs in it.
    type: int
    default: 64
  creates:
    description:
      - A path in the guest. If it is there, the O(program) does not run.
    type: str
  removes:
    description:
      - A path in the guest. If it is not there, the O(program) does not run.
    type: str
  user:
    description:
      - The account of the guest whose O(password) it is.
    type: str
  password:
    description:
      - The password of the account O(user).
      - It is compared with what C(/etc/shadow) in the guest says. Where that cannot be done, it is set each time, with a warning,
        and the task is changed.
    type: str
  crypted:
    description:
      - Whether O(password) is a hash as the guest keeps them.
    type: bool
    default: false
  frozen:
    description:
      - Whether the file systems of the guest are frozen. Then nothing in it can write, and it answers little.
    type: bool
  max_clock_offset:
    description:
      - How many seconds the guest's clock may be off the host's. If it is more, it is set.
    type: float
seealso:
  - module: archipel.platform.vm_guest_info
  - plugin: archipel.platform.guest
    plugin_type: connection
"""

EXAMPLES = r"""
---
- name: A file is in the guest
  archipel.platform.vm_guest:
    machine: web
    files:
      - dest: /etc/motd
        content: |
          Welcome to the course.
        mode: "0644"

- name: A program has run once
  archipel.platform.vm_guest:
    machine: web
    program: /bin/sh
    arguments:
      - -c
      - date > /srv/prepared
    creates: /srv/prepared

- name: What it made is here, too
  archipel.platform.vm_guest:
    machine: web
    fetch:
      - src: /srv/prepared
        dest: prepared

- name: The account has this password
  archipel.platform.vm_guest:
    machine: web
    user: root
    password: a-very-good-one

- name: The clock is right after a long sleep
  archipel.platform.vm_guest:
    machine: web
    max_clock_offset: 2

- name: Nothing writes while a backup is made
  archipel.platform.vm_guest:
    machine: web
    frozen: true

- name: The guest goes on
  archipel.platform.vm_guest:
    machine: web
    frozen: false
"""

RETURN = r"""
rc:
  description: How the program ended.
  returned: when it ran
  type: int
  sample: 0
stdout:
  description: All that the program wrote to its standard output.
  returned: when it ran
  type: str
  sample: done
stderr:
  description: All that the program wrote to its standard error.
  returned: when it ran
  type: str
  sample: ""
clock_offset:
  description: How many seconds the guest's clock was ahead of the host's before the task.
  returned: with O(max_clock_offset)
  type: float
  sample: 12.5
files:
  description: The files that were declared, as they are now (in check mode, as they would be).
  returned: with O(files)
  type: list
  elements: dict
  sample:
    - dest: /etc/motd
      mode: "0644"
      sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
fetched:
  description: The files that were fetched.
  returned: with O(fetch)
  type: list
  elements: dict
  sample:
    - dest: prepared
      sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: guest_exec
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.guest.changing import change_guest

FILE = {"dest": {"type": "str", "required": True}, "content": {"type": "str"}, "src": {"type": "path"}, "mode": {"type": "str"}}
FETCHED = {"src": {"type": "str", "required": True}, "dest": {"type": "path", "required": True}}
ARGUMENTS = {
    **connection_arguments(),
    "machine": {"type": "str", "required": True},
    "files": {
        "type": "list",
        "elements": "dict",
        "options": FILE,
        "mutually_exclusive": [("content", "src")],
        "required_one_of": [("content", "src")],
    },
    "fetch": {"type": "list", "elements": "dict", "options": FETCHED},
    "program": {"type": "str"},
    "arguments": {"type": "list", "elements": "str", "default": []},
    "stdin": {"type": "str"},
    "program_timeout": {"type": "float", "default": 0},
    "output_limit": {"type": "int", "default": 64},
    "creates": {"type": "str"},
    "removes": {"type": "str"},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "crypted": {"type": "bool", "default": False},
    "frozen": {"type": "bool"},
    "max_clock_offset": {"type": "float"},
}
CONSTRAINTS = {
    "required_one_of": [("files", "fetch", "program", "password", "frozen", "max_clock_offset")],
    "required_together": [("user", "password")],
    "required_by": {"stdin": "program", "creates": "program", "removes": "program"},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    if arguments["output_limit"] < 1:
        raise ValueError("output_limit: must be 1 MiB or more")
    paths = [(f"files[{number}].dest", entry["dest"]) for number, entry in enumerate(arguments["files"] or ())]
    paths += [(f"fetch[{number}].src", entry["src"]) for number, entry in enumerate(arguments["fetch"] or ())]
    paths += [(name, arguments[name]) for name in ("program", "creates", "removes") if arguments[name] is not None]
    for name, path in paths:
        if not path.startswith("/"):
            raise ValueError(f"{name}: {path!r} is not an absolute path")
    for number, entry in enumerate(arguments["files"] or ()):
        if entry["mode"] is not None and not (
            entry["mode"].isdigit() and set(entry["mode"]) <= set("01234567") and len(entry["mode"]) <= 4
        ):
            raise ValueError(f"files[{number}].mode: {entry['mode']!r} is no octal number such as '0644'")


async def change(run: Run) -> Mapping[str, Any]:
    return await change_guest(run)


# Contents of files, and what programs read, are nothing for the system's log.
MODULE = Module(ARGUMENTS, change, constraints=CONSTRAINTS, refuse=refuse, log_arguments=False)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
