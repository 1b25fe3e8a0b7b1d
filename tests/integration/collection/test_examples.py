# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the modules' documentation work as they are written, and their second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.integration.collection.platform import Platform
from tests.integration.collection.playbook import Ansible
from tests.plugin_documentation import module_names, read_documentation

# Machines that the examples of a module take for granted.
MACHINES = {"permission": ("web", "mail"), "roster": ("web", "mail"), "vm_info": ("web",)}


@pytest.mark.parametrize("module", module_names())
def test_the_examples_of_a_module_work(module: str, ansible: Ansible, platform: Platform, root: Path) -> None:
    platform.define_domain("legacy")
    if module in MACHINES:
        made = ansible.run([{"archipel.platform.vm": {"machines": [{"name": name, "state": "running"} for name in MACHINES[module]]}}])
        assert made[0]["changed"]
    for outcome in ansible.run_thrice(yaml.safe_load(read_documentation(root, module).examples)):
        outcome.assert_truthful()
