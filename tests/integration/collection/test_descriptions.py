# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there is described in the words of a declaration: declared as it is told, it changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.loader import init_plugin_loader

from archipel.client import Hypervisor
from tests.integration.collection.platform import Platform
from tests.integration.collection.playbook import HERE, Ansible, read_tasks

init_plugin_loader([str(HERE.parents[2] / ".venv" / "collections")])

from ansible_collections.archipel.platform.plugins.module_utils import network, storage_pool, storage_volume  # noqa: E402 - importable by now
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile  # noqa: E402 - importable by now

KINDS = {network: "DeclaredNetwork", storage_pool: "DeclaredPool", storage_volume: "DeclaredVolume"}


async def describe(hypervisor: Hypervisor, kind: ModuleType, resource: str) -> list[Mapping[str, Any]]:
    """Return all that is there of a kind, after it was seen that declaring it changes nothing."""
    described: list[Mapping[str, Any]] = await kind.describe_all(hypervisor)
    for entry in described:
        validated = ArgumentSpecValidator(dict(kind.KIND)).validate(dict(entry))
        assert validated.error_messages == []
        declared = getattr(kind, resource)(hypervisor, validated.validated_parameters, check_mode=True)
        change = await reconcile(declared, check_mode=True)
        assert not change.changed, change.diff()
    return described


async def _describe_all(platform: Platform) -> dict[str, list[Mapping[str, Any]]]:
    async with platform.hypervisor() as hypervisor:
        return {kind.__name__.rpartition(".")[2]: await describe(hypervisor, kind, name) for kind, name in KINDS.items()}


def test_declared_as_it_is_told_nothing_changes(ansible: Ansible, platform: Platform) -> None:
    tasks = [read_tasks(HERE / "scenarios" / f"{name}.yml") for name in ("network", "storage_pool", "storage_volume")]
    whole, switched = tasks[0][0], tasks[0][4]
    for made in ansible.run([whole, switched, tasks[1][0], tasks[1][3], *tasks[2][:4]]):
        assert not made.get("failed"), made.get("msg")
    told = asyncio.run(_describe_all(platform))
    assert {entry["name"] for entry in told["network"]} == {"default", "lab", "switched", "grouped"}
    lab = next(entry for entry in told["network"] if entry["name"] == "lab")
    wanted = whole["archipel.platform.network"]
    assert {name: lab[name] for name in ("domain", "mtu", "zone", "forward", "state", "autostart")} == {
        name: wanted[name] for name in ("domain", "mtu", "zone", "forward", "state", "autostart")
    }
    assert {entry["name"] for entry in told["storage_pool"]} == {"default-pool", "lab", "images", "disk", "fast"}
    assert {(entry["name"], entry["size"], entry["format"]) for entry in told["storage_volume"]} == {
        ("data.img", "1024", "qcow2"),
        ("one", "64", "raw"),
        ("two", "128", "raw"),
        ("over.qcow2", "1024", "qcow2"),
    }
    assert [entry["backing"] for entry in told["storage_volume"] if "backing" in entry] == [
        {"pool": "lab", "volume": "data.img", "format": "qcow2"}
    ]
