# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the reference page and the example file from the declared options, those of the built-in capabilities included.

Run ``python -m archipel.agent.config_reference page`` (for docs/configuration.md) or ``example`` (for archipel.conf.example) and
store what it prints; a test compares both files with it.
"""

from __future__ import annotations

import pkgutil
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import entry_points
from itertools import groupby

from archipel.agent import capabilities, plugins
from archipel.agent.founding_options import MODULE_SECTIONS, WITHOUT_EFFECT
from archipel.agent.options import Option, declared_options
from archipel.agent.settings import FLAGS, OPTIONS

_HEADER = """\
{mark}SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors{end}
{mark}SPDX-License-Identifier: GPL-3.0-or-later{end}
"""

_PAGE = """\
# Configuration of the agent

The agent reads `/etc/archipel/archipel.conf` when it starts, then every `*.conf` in `modules_configuration_path`.
`archipel-agent --check` reads them the same way and tells everything that is wrong at once, with the line and the way to mend it.

- The file is INI. A value may use others of its section or of `[DEFAULT]` as `%(name)s`; a percent sign is written `%%`.
- `@HOSTNAME@` stands for the host's name, but for passwords.
- An empty value is an absent one: the default counts.
- `True`, `yes`, `on` and `1` are true; `False`, `no`, `off` and `0` are false.
- Only `xmpp_server` (or `hypervisor_xmpp_jid`) and the password have no default.
- An option that begins with `insecure_` gives away what it names; none is set by default.

A file that is enough:

```ini
[DEFAULT]
xmpp_server = lab.example

[HYPERVISOR]
hypervisor_xmpp_password_file = /etc/archipel/hypervisor.password
```
"""

_FLAGS = f"""
## [{FLAGS}]

Each option here is the name of a capability, `True` or `False`: whether it is loaded. `module_loading_policy` says what counts for
those that are not named.
"""

_FOUNDING = """
## Options of the founding agent without effect

They are accepted with a warning, so that an old file can be used.

| option | instead |
|---|---|
"""


def render_page() -> str:
    """Return the reference page, in Markdown."""
    header = _HEADER.format(mark="<!-- ", end=" -->")
    sections = "".join(_page_section(name, list(found)) for name, found in _sections())
    read = {(found.section, found.name) for found in all_options()}
    rows = "".join(f"| `[{place[0]}] {place[1]}` | {instead} |\n" for place, instead in WITHOUT_EFFECT.items() if place not in read)
    others = ", ".join(f"`[{name}]`" for name in sorted(MODULE_SECTIONS - {found.section for found in all_options()}))
    modules = f"\nSections that came with modules of the founding agent ({others}) count when a capability that reads them is installed.\n"
    return f"{header}\n{_PAGE}{sections}{_FLAGS}{_FOUNDING}{rows}{modules}"


def render_example() -> str:
    """Return the example file: every option as a comment, with its default."""
    header = _HEADER.format(mark="# ", end="")
    intro = "# Every option of archipel.conf with its default. Remove the # to change one; docs/configuration.md explains the file.\n"
    sections = "".join(f"\n[{name}]\n" + "\n".join(map(_example_option, found)) for name, found in _sections())
    return f"{header}{intro}{sections}\n[{FLAGS}]\n"


def all_options() -> list[Option]:
    """Return the options of the agent and its built-in capabilities."""
    built_in = {f"{capabilities.__name__}.{found.name}" for found in pkgutil.iter_modules(capabilities.__path__)}
    declared = [entry for entry in entry_points(group=plugins.GROUP) if entry.value in built_in]
    modules = [(entry.name, getattr(entry.load(), "SETTINGS", None)) for entry in sorted(declared, key=lambda entry: entry.name)]
    own = [option for name, settings in modules if settings for option in declared_options(settings, f"capabilities.{name}")]
    return [*OPTIONS, *own]


def _sections() -> Iterator[tuple[str, Iterator[Option]]]:
    every = all_options()
    order = list(dict.fromkeys(found.section for found in every))
    return groupby(sorted(every, key=lambda found: order.index(found.section)), key=lambda found: found.section)


def _page_section(name: str, found: list[Option]) -> str:
    rows = "".join(f"| `{one.name}` | {one.kind.takes} | {f'`{one.default}`' if one.default else ''} | {one.meaning} |\n" for one in found)
    return f"\n## [{name}]\n\n| option | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _example_option(found: Option) -> str:
    comment = "\n".join(textwrap.wrap(f"{found.meaning} Takes {found.kind.takes}.", width=118, initial_indent="# ", subsequent_indent="# "))
    return f"{comment}\n#{found.name} = {found.default}".rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write({"page": render_page, "example": render_example}[sys.argv[1]]())
