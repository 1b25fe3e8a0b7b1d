# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection that ours is compared with: community.libvirt, over the same libvirt and the same domains."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

Task = dict[str, Any]
MODULE: Final = "community.libvirt.virt"
DEFINITION: Final = """<domain type='test'><name>{{ item }}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type>hvm</type></os></domain>"""


def install_requirements(folder: Path) -> dict[str, str]:
    """Install what the peer's module needs besides libvirt's binding; return the environment in which it is found."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(folder), "lxml"]
    subprocess.run(command, check=True)
    return {"PYTHONPATH": str(folder)}


def keep_running(uri: str, names: Sequence[str]) -> list[Task]:
    """Return the peer's task that says of each domain that it runs: it can declare no more of one that is there."""
    return [{MODULE: {"name": "{{ item }}", "state": "running", "uri": uri}, "loop": list(names)}]


def make_and_start(uri: str, names: Sequence[str]) -> list[Task]:
    """Return the peer's two tasks that define domains and start them."""
    define: Task = {MODULE: {"command": "define", "xml": DEFINITION, "uri": uri}, "loop": list(names)}
    return [define, *keep_running(uri, names)]


def inventory(uri: str) -> dict[str, Any]:
    """Return the peer's inventory of one libvirt."""
    return {"plugin": "community.libvirt.libvirt", "uri": uri}
