# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities: found through entry points, third-party ones like the built-in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archipel.agent import capabilities, plugins
from archipel.agent.config import parse_settings
from archipel.agent.settings import Settings
from archipel.protocol import namespaces as ns
from archipel.protocol.rights import EntityKind
from tests.conformance.inventory import ROWS
from tests.conformance.row import Kind
from tests.unit.agent.fakes import SETTINGS

# The flags of [MODULES] in the files that the founders' modules came with.
FOUNDING_MODULES = (
    *("action_scheduler", "centraldb", "geolocalization", "hypervisor_health", "hypervisor_network", "hypervisor_nuage_network"),
    *("iphone_notification", "oomkiller", "snapshoting", "storage", "vnc", "hypervisor_vmcasts", "virtualmachine_appliance"),
    *("vmparking", "xmppserver", "platformrequest"),
)
BUILT_IN = {path.stem for path in Path(capabilities.__path__[0]).glob("*.py")} - {"__init__"}
PHOTOGRAPHS = '''
from dataclasses import dataclass

from archipel.agent.dispatch import command
from archipel.agent.options import TEXT, Section
from archipel.protocol.payload import Request, attribute, payload
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

TOKENS = (Token("photograph_take", "Take photographs", ON_VIRTUAL_MACHINE),)


@dataclass(frozen=True, kw_only=True)
class SETTINGS:
    folder: str = Section("PHOTOGRAPHS").option("folder", TEXT, "somewhere", "Where they are.")


@payload
class Take(Request[None], namespace="archipel:test:photographs", action="take"):
    name: str = attribute()


@command(Take, on=EntityKind.VIRTUAL_MACHINE, right="photograph_take", failure=-1)
async def take(vm, request, caller):
    """Take a photograph."""
'''
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one module of capabilities, as pip would."""
    site = tmp_path / "site"
    before = set(sys.modules)
    monkeypatch.syspath_prepend(site)

    def make(source: str, *entries: str, module: str = "third_party_capability") -> None:
        information = site / f"{module}-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text("\n".join([f"[{plugins.GROUP}]", *entries, ""]))
        (site / f"{module}.py").write_text(source)

    yield make
    for name in set(sys.modules) - before:
        if not name.startswith("archipel."):  # a module with tables cannot be imported twice
            del sys.modules[name]


def settings(more: str = "", capabilities: dict[str, type[Any]] | None = None) -> Settings:
    return parse_settings(SETTINGS.format(folder="/nowhere", more=more), hostname="host1", capabilities=capabilities)


def actions(loaded: Settings) -> set[tuple[str, str]]:
    _catalogue, registry = plugins.load(loaded)
    return {(found.request.namespace, found.request.action) for kind in EntityKind for found in registry.commands(kind)}


def test_the_built_in_capabilities_are_entry_points_too() -> None:
    assert {entry.name for entry in plugins._installed()} >= BUILT_IN


def test_every_built_in_action_is_served() -> None:
    _catalogue, registry = plugins.load(settings())
    for namespace in (ns.PERMISSIONS, ns.SUBSCRIPTION, ns.TAGS, ns.ROSTER):
        assert all(registry.serves(kind, namespace) for kind in EntityKind)
    assert registry.serves(EntityKind.HYPERVISOR, ns.HYPERVISOR_CONTROL)
    assert registry.serves(EntityKind.VIRTUAL_MACHINE, ns.VM_CONTROL)
    assert registry.serves(EntityKind.VIRTUAL_MACHINE, ns.VM_DEFINITION)
    assert not registry.serves(EntityKind.HYPERVISOR, ns.VM_CONTROL)


def test_every_right_that_a_command_asks_for_exists() -> None:
    catalogue, registry = plugins.load(settings())
    for kind in EntityKind:
        for found in registry.commands(kind):
            for right in {found.right, found.in_chat.right} - {None}:
                assert catalogue.find(kind, str(right)) is not None, f"{kind} {found.request.action}: {right}"


def test_a_third_party_capability_is_loaded_with_its_rights(install: Install) -> None:
    install(PHOTOGRAPHS, "photographs = third_party_capability")
    catalogue, registry = plugins.load(settings())
    found = registry.find(EntityKind.VIRTUAL_MACHINE, "archipel:test:photographs", "take")
    assert found is not None
    assert found.help == "Take a photograph."
    assert catalogue.find(EntityKind.VIRTUAL_MACHINE, "photograph_take") is not None


@pytest.mark.parametrize(
    "more,loaded",
    [
        ("", True),
        ("[MODULES]\nphotographs = True", True),
        ("[MODULES]\nphotographs = False", False),
        ("[MODULES]\nother = True", True),
        ("[GLOBAL]\nmodule_loading_policy = restrictive", False),
        ("[GLOBAL]\nmodule_loading_policy = restrictive\n[MODULES]\nphotographs = True", True),
    ],
)
def test_the_settings_decide_what_is_loaded(install: Install, more: str, loaded: bool) -> None:
    install(PHOTOGRAPHS, "photographs = third_party_capability")
    assert (("archipel:test:photographs", "take") in actions(settings(more))) is loaded


def test_a_founding_file_that_names_its_modules_loses_nothing_that_was_no_module() -> None:
    found = actions(settings("[GLOBAL]\nmodule_loading_policy = restrictive\n[MODULES]\naction_scheduler = True\nstorage = True"))
    core = {(ns.VM_CONTROL, "info"), (ns.VM_CONTROL, "screenshot"), (ns.PERMISSIONS, "set"), (ns.TAGS, "settags"), (ns.SUBSCRIPTION, "add")}
    assert core | {(ns.SCHEDULER, "jobs"), (ns.VM_DISK, "get")} <= found
    assert not {(ns.VM_SNAPSHOTS, "take"), (ns.VM_OOM, "getadjust")} & found


def test_a_whole_founding_file_has_all_that_the_founders_had() -> None:
    modules = "\n".join(f"{name} = True" for name in FOUNDING_MODULES)
    found = actions(settings(f"[GLOBAL]\nmodule_loading_policy = restrictive\n[MODULES]\n{modules}"))
    rows = [row for row in ROWS if row.kind is Kind.ACTION and row.place.startswith("archipel:") and not (row.central or row.dropped)]
    assert [row.id for row in rows if (row.place, row.name) not in found] == []
    assert len(rows) > 90


def test_the_founders_names_of_modules_switch_off_as_well() -> None:
    assert (ns.SCHEDULER, "jobs") not in actions(settings("[MODULES]\naction_scheduler = False"))


def test_built_in_capabilities_can_be_switched_off_as_well() -> None:
    assert (ns.TAGS, "settags") not in actions(settings("[MODULES]\ntags = off"))


def test_an_action_that_is_served_already_is_refused(install: Install) -> None:
    source = PHOTOGRAPHS.replace("archipel:test:photographs", ns.VM_CONTROL).replace('"take"', '"create"')
    install(source, "zz_photographs = third_party_capability")
    with pytest.raises(ImportError, match="virtualmachine: archipel:vm:control create is answered twice"):
        plugins.load(settings())


def test_a_right_that_means_something_else_already_is_refused(install: Install) -> None:
    install(PHOTOGRAPHS.replace('Token("photograph_take"', 'Token("create"'), "photographs = third_party_capability")
    with pytest.raises(ImportError, match="the token 'create' is declared twice, differently"):
        plugins.load(settings())


@pytest.mark.parametrize(
    "source,value", [(PHOTOGRAPHS, "nowhere_to_be_found"), ("raise ImportError('no library')", "third_party_capability")]
)
def test_a_capability_that_cannot_be_loaded_keeps_the_agent_from_starting(install: Install, source: str, value: str) -> None:
    install(source, f"photographs = {value}")
    with pytest.raises(ImportError):
        plugins.load(settings())


def test_a_capability_that_is_switched_off_may_be_broken(install: Install) -> None:
    install("raise ImportError('no library')", "broken = third_party_capability")
    assert "broken" not in plugins.declared_settings()
    plugins.load(settings("[MODULES]\nbroken = False", plugins.declared_settings()))


def test_what_is_no_module_is_refused(install: Install) -> None:
    install(PHOTOGRAPHS, "photographs = third_party_capability:take")
    with pytest.raises(ImportError, match=r"the capability photographs \(third_party_capability:take\) is not a module"):
        plugins.load(settings())


def test_the_options_of_a_capability_are_read_from_the_configuration(install: Install) -> None:
    install(PHOTOGRAPHS, "photographs = third_party_capability")
    declared = dict(plugins.declared_settings())
    assert set(declared) - BUILT_IN == {"photographs"}
    loaded = settings("[PHOTOGRAPHS]\nfolder = here", declared)
    assert loaded.capabilities["photographs"].folder == "here"
