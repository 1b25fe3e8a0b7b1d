# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes the demo's commands work verbatim: a file to source, programs that know its logins, an inventory."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from testbed.demo.accounts import ADMIN, PEOPLE
from testbed.demo.folder import CHECKOUT, DemoFolder
from testbed.demo.machines import IMAGE, NETWORK
from testbed.ejabberd import Ejabberd

TOOLS: Final = Path(sys.executable).parent
COLLECTIONS: Final = TOOLS.parent / "collections"
ANSIBLE: Final = ("ansible", "ansible-doc", "ansible-inventory", "ansible-playbook")
PLUGIN: Final = "archipel.platform.xmpp"

PROGRAM: Final = """#!/bin/sh
# With the demo's logins: {people} (choose one with ARCHIPEL_PROFILE, or archipel --profile; {admin} unless said otherwise).
export XDG_CONFIG_HOME={configuration}
export ARCHIPEL_PROFILE="${{ARCHIPEL_PROFILE:-{admin}}}"
exec {program} "$@"
"""

ENVIRONMENT: Final = """# Source this file, then the demo's commands work in this shell.
export PATH={programs}:"$PATH"
export ANSIBLE_COLLECTIONS_PATH={collections}
export ANSIBLE_INVENTORY={inventory}
export LIBVIRT_DEFAULT_URI={uri}
# Ansible insists on a UTF-8 locale, which a bare host may not have set.
[ "$(locale charmap 2>/dev/null)" = UTF-8 ] || export LC_ALL=C.UTF-8
"""


def write_surroundings(demo: DemoFolder, ejabberd: Ejabberd, uri: str, domain_type: str, hypervisors: Sequence[str]) -> None:
    """Write everything; what is there is replaced."""
    write_programs(demo)
    words = {
        "programs": shlex.quote(str(demo.programs)),
        "collections": shlex.quote(str(COLLECTIONS)),
        "inventory": shlex.quote(str(demo.inventory)),
        "uri": shlex.quote(uri),
    }
    demo.environment.write_text(ENVIRONMENT.format(**words))
    _write_inventory(demo, ejabberd, domain_type, [f"{name}@{ejabberd.domain}" for name in hypervisors])


def program_environment(demo: DemoFolder) -> dict[str, str]:
    """Return the environment of the programs that the demo runs: what the file to source says, and plain output."""
    return {
        **os.environ,
        "PATH": f"{demo.programs}:{os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}",
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_INVENTORY": str(demo.inventory),
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_PIPELINING": "1",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "XDG_CONFIG_HOME": str(demo.configuration),
    }


def write_programs(demo: DemoFolder) -> None:
    """Write the programs, which need no server."""
    demo.logs.mkdir(exist_ok=True)
    demo.programs.mkdir(exist_ok=True)
    for name in ("archipel", *ANSIBLE):
        program = demo.programs / name
        program.unlink(missing_ok=True)  # it may be a link to the program itself
        program.write_text(
            PROGRAM.format(
                people=", ".join(PEOPLE),
                admin=ADMIN,
                configuration=shlex.quote(str(demo.configuration)),
                program=shlex.quote(str(TOOLS / name)),
            )
        )
        program.chmod(0o755)


def _write_inventory(demo: DemoFolder, ejabberd: Ejabberd, domain_type: str, hypervisors: Sequence[str]) -> None:
    """Write what playbooks/demo.yml needs to know, and the source that asks the platform for its machines."""
    variables = demo.inventory / "group_vars" / "all"
    variables.mkdir(parents=True, exist_ok=True)
    server = {"xmpp_host": ejabberd.host, "xmpp_port": ejabberd.port, "xmpp_ca_file": str(ejabberd.ca_file)}
    accounts = {
        name: {**server, "xmpp_jid": f"{name}@{ejabberd.domain}", "xmpp_password_file": str(demo.accounts / name)} for name in PEOPLE
    }
    facts = {
        "logins": {name: {**account, "hypervisor": hypervisors[0]} for name, account in accounts.items()},
        "hypervisors": list(hypervisors),
        "domain_type": domain_type,
        "network": NETWORK,
        "image": str(demo.host / IMAGE),
    }
    _write_yaml(variables / "demo.yml", {"archipel_demo": facts})
    _write_yaml(demo.inventory / "platform.xmpp.yml", {"plugin": PLUGIN, **accounts[ADMIN], "hypervisors": list(hypervisors)})


def _write_yaml(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n")  # JSON is YAML, whatever a name holds
