# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module has: documentation, examples, returned values, a place in the action group, a test of each option."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, describe_failure

from archipel.protocol.errors import PermissionDenied
from tests.plugin_documentation import module_names, read_documentation

MODULES = module_names()
COLLECTION = "archipel.platform."
INFO = "_info"


def specification(module: str) -> Mapping[str, Any]:
    """Return the argument specification of a module."""
    arguments: Mapping[str, Any] = importlib.import_module(f"ansible_collections.archipel.platform.plugins.modules.{module}").ARGUMENTS
    return arguments


def scenarios(root: Path) -> list[Path]:
    return sorted((root / "tests" / "integration" / "collection" / "scenarios").glob("*.yml"))


def executed_tasks(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the tasks of all scenarios and examples: tests execute each of them."""
    for scenario in scenarios(root):
        yield from yaml.safe_load(scenario.read_text())
    for module in MODULES:
        yield from yaml.safe_load(read_documentation(root, module).examples)


def options_in(arguments: Any, options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the options that arguments use, by their own names; those of a thing in a list are those of a single one."""
    aliases = {alias: name for name, option in options.items() for alias in option.get("aliases", ())}
    for given, value in (arguments or {}).items():
        name = aliases.get(given, given)
        yield prefix + name
        inner = options[name].get("options")
        if inner and isinstance(value, list | dict):
            for entry in value if isinstance(value, list) else [value]:
                yield from options_in(entry, inner, "" if is_many(options, name) else f"{prefix}{name}.")


def is_many(options: Mapping[str, Any], name: str) -> bool:
    """Whether an option is the list of such things as the options beside it declare."""
    return set(options[name]["options"]) <= set(options)


def all_options(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, option in options.items():
        yield prefix + name
        if "options" in option and not is_many(options, name):
            yield from all_options(option["options"], f"{prefix}{name}.")


def imported_modules(source: str) -> Iterator[str]:
    """Yield what a file imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_plugins_know_the_client_library_and_nothing_behind_or_before_it(root: Path) -> None:
    known = ("archipel.client", "archipel.protocol", "archipel.xmpp.errors")
    for file in (root / "plugins").rglob("*.py"):
        ours = {name for name in imported_modules(file.read_text()) if name.startswith("archipel")}
        assert {name for name in ours if not name.startswith(known)} == set(), file


def test_every_option_is_used_by_a_task_that_a_test_executes(root: Path) -> None:
    used: dict[str, set[str]] = {module: set() for module in MODULES}
    for task in executed_tasks(root):
        for module in MODULES:
            if COLLECTION + module in task:
                used[module] |= set(options_in(task[COLLECTION + module], specification(module)))
    connection = set(connection_arguments())
    assert connection <= set().union(*used.values()), "connection options that no test uses"
    missing = {module: set(all_options(specification(module))) - connection - used[module] for module in MODULES}
    assert {module: options for module, options in missing.items() if options} == {}


def test_every_module_has_a_scenario(root: Path) -> None:
    assert set(MODULES) <= {scenario.stem for scenario in scenarios(root)}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test_with_the_wire_written_down_and_one_of_its_failures(module: str, root: Path) -> None:
    tests = root / "tests" / "unit" / "plugins" / "modules"
    assert f'run("{module}"' in (tests / f"test_{module}.py").read_text()
    assert (tests / "first_calls" / f"{module}.yml").is_file()


def test_what_every_module_says_when_it_fails_is_documented(root: Path) -> None:
    """In the fragment that every module takes (test_a_module_documents_what_it_is)."""
    path = root / "plugins" / "doc_fragments" / "attributes.py"
    fragment = importlib.import_module(f"ansible_collections.archipel.platform.plugins.doc_fragments.{path.stem}").ModuleDocFragment
    notes = " ".join(yaml.safe_load(fragment.DOCUMENTATION)["notes"])
    told = describe_failure(PermissionDenied("no", "shutdown"))
    assert {"msg", "missing_right", "condition"} == set(told)
    assert all(f"RV(ignore:{name})" in notes for name in told)


def test_every_module_is_in_the_action_group(root: Path) -> None:
    runtime = yaml.safe_load((root / "meta" / "runtime.yml").read_text())
    assert runtime["action_groups"] == {"archipel": MODULES}
    assert "2.19" in runtime["requires_ansible"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_documents_what_it_is(module: str, root: Path) -> None:
    documentation = read_documentation(root, module).documentation
    assert documentation["module"] == module
    assert documentation["version_added"] == "0.1.0"
    kind = "reads" if module.endswith(INFO) else "changes"
    wanted = {"archipel.platform.connection", "archipel.platform.attributes", f"archipel.platform.attributes.{kind}"}
    assert wanted <= set(documentation["extends_documentation_fragment"])
    short = documentation["short_description"]
    assert short.startswith("Read " if kind == "reads" else "Declare ")
    assert len(short) <= 80
    assert not short.endswith(".")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_examples_of_itself(module: str, root: Path) -> None:
    tasks = yaml.safe_load(read_documentation(root, module).examples)
    assert sum(COLLECTION + module in task for task in tasks) >= 3
    assert all(task.get("name") for task in tasks)


@pytest.mark.parametrize("module", MODULES)
def test_every_returned_value_has_a_sample(module: str, root: Path) -> None:
    assert list(without_sample(read_documentation(root, module).returned)) == []


def without_sample(returned: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    assert returned
    for name, value in returned.items():
        if "contains" in value:
            yield from without_sample(value["contains"], f"{prefix}{name}.")
        elif "sample" not in value:
            yield prefix + name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_run_by_the_one_piece_that_knows_check_mode(module: str, root: Path) -> None:
    found = importlib.import_module(f"ansible_collections.archipel.platform.plugins.modules.{module}")
    assert isinstance(found.MODULE, Module)
    assert found.MODULE.arguments is found.ARGUMENTS


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_imported_before_its_first_task(module: str, root: Path) -> None:
    """Mend it with: cp plugins/action/vm.py plugins/action/MODULE.py; a link would be taken for another name of vm (antsibull-docs)."""
    actions = root / "plugins" / "action"
    assert not (actions / f"{module}.py").is_symlink()
    assert (actions / f"{module}.py").read_text() == (actions / "vm.py").read_text()


def test_every_plugin_has_the_licence_in_its_head(root: Path) -> None:
    for file in (root / "plugins").rglob("*.py"):
        head = file.read_text().splitlines()[:3]
        assert head[1] == "# SPDX-License-Identifier: GPL-3.0-or-later", file
        assert "GNU General Public License v3.0+" in head[2], file
