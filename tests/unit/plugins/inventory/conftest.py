# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin with options of a test, and what a platform answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible.template import Templar
from ansible.utils.display import Display

HYPERVISOR = {
    "jid": "hyp@example.org",
    "full_jid": "hyp@example.org/host",
    "name": "host",
    "state": "online",
    "node": {"memory": 1024},
    "addresses": ["192.0.2.1"],
    "organisation": {"userid": ""},
    "tags": [],
}


def machine(name: str, **more: Any) -> dict[str, Any]:
    """Return a machine as a survey has it."""
    uuid = f"6f0c0000-0000-4000-8000-{sum(name.encode()):012}"
    known = {"name": name, "uuid": uuid, "jid": f"{uuid}@example.org", "hypervisor": "hyp@example.org", "state": "running", "tags": []}
    return {**known, **more}


def survey(*machines: dict[str, Any], failures: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what one hypervisor with these machines answered."""
    return {"hypervisors": [{**HYPERVISOR, "machines": list(machines)}], "failures": list(failures)}


MakePlugin = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JID", "PASSWORD", "PASSWORD_FILE", "HOST", "PORT", "CA_FILE", "HYPERVISOR", "PROFILE"):
        monkeypatch.delenv(f"ARCHIPEL_{name}", raising=False)


@pytest.fixture
def make_plugin(tmp_path: Path) -> MakePlugin:
    """Make the plugin with these options, read from a file as Ansible reads them."""

    def make(**options: Any) -> Any:
        plugin = inventory_loader.get("archipel.platform.xmpp")
        file = tmp_path / "xmpp.yml"
        file.write_text(yaml.safe_dump({"plugin": "archipel.platform.xmpp", **options}))
        plugin.loader = DataLoader()
        plugin.inventory = InventoryData()
        plugin.templar = Templar(loader=plugin.loader)
        plugin._read_config_data(str(file))
        return plugin

    return make


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the plugin warns of."""
    told: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda _self, text: told.append(text))
    return told


def hosts_of(plugin: Any, group: str) -> list[str]:
    """Return the hosts of a group."""
    found = plugin.inventory.groups.get(group)
    return [] if found is None else [host.name for host in found.hosts]


def variables_of(plugin: Any, host: str) -> dict[str, Any]:
    """Return a host's variables."""
    variables: dict[str, Any] = plugin.inventory.get_host(host).vars
    return variables
