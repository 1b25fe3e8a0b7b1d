# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the modules' documentation and of the README work as they are written, and their second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.documentation import read_blocks
from tests.integration.collection.platform import FEED, TWO_HOSTS, Platform, password_of
from tests.integration.collection.playbook import Ansible, Task, read_tasks
from tests.plugin_documentation import module_names, read_documentation

PREREQUISITES = Path(__file__).parent / "prerequisites"
ON_A_REAL_LIBVIRT = ("nwfilter",)  # tests/e2e/test_declared_networks.py: libvirt's test driver has none


@pytest.mark.parametrize("module", [name for name in module_names() if name not in ON_A_REAL_LIBVIRT])
def test_the_examples_of_a_module_work(module: str, ansible: Ansible, platform: Platform, root: Path, feed: str) -> None:
    platform.define_domain("legacy")
    if module in TWO_HOSTS:
        platform.start_second()
    taken_for_granted = PREREQUISITES / f"{module}.yml"
    if taken_for_granted.exists():
        for made in ansible.run(read_tasks(taken_for_granted, feed)):
            assert not made.get("failed"), made
    for outcome in ansible.run_thrice(yaml.safe_load(read_documentation(root, module).examples.replace(FEED, feed))):
        outcome.assert_truthful()


@pytest.fixture
def readers_ansible(platform: Platform, root: Path, tmp_path: Path) -> Ansible:
    """Ansible that is told by its environment where the server is, as DNS tells the README's reader, and nothing else."""
    named = platform.environment()
    return Ansible(root, tmp_path, {name: named[name] for name in ("ARCHIPEL_HOST", "ARCHIPEL_PORT", "ARCHIPEL_CA_FILE")})


@pytest.fixture
def readme_tasks(root: Path, tmp_path: Path) -> list[Task]:
    """The tasks of the README's play, each with what the play says for all of them, and with a password file that is there."""
    [block] = read_blocks(root / "README.md", "yaml")
    [play] = yaml.safe_load(block)
    assert (play["hosts"], set(play)) == ("localhost", {"name", "hosts", "module_defaults", "tasks"})
    password_file = tmp_path / "admin.password"
    password_file.touch(mode=0o600)
    password_file.write_text(password_of("admin"))
    [connection] = play["module_defaults"].values()
    connection["xmpp_password_file"] = str(password_file)
    return [{**task, "module_defaults": play["module_defaults"]} for task in play["tasks"]]


def test_the_play_of_the_readme_works(readme_tasks: list[Task], readers_ansible: Ansible, platform: Platform) -> None:
    for outcome in readers_ansible.run_thrice(readme_tasks):
        outcome.assert_truthful()
        assert outcome.first["changed"]
    assert "web" in platform.domains()


def test_the_play_of_the_readme_can_be_checked_as_far_as_the_readme_says(
    readme_tasks: list[Task], readers_ansible: Ansible, platform: Platform
) -> None:
    machine, permission = readers_ansible.run(readme_tasks, "--check")
    assert machine["changed"]
    assert permission["msg"].startswith("hypervisor@example.org manages no machine 'web' (this is check mode: ")
    assert platform.domains() == set()
    readers_ansible.run(readme_tasks)
    assert [(result["changed"], result.get("failed", False)) for result in readers_ansible.run(readme_tasks, "--check")] == [
        (False, False)
    ] * 2
