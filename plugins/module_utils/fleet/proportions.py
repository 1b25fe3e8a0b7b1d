# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How deep and how large what a file of YAML stands for would be, looked at before it is made.

A few lines whose aliases name aliases stand for more than any memory holds, and libyaml, which goes down into each level, ends the
process with a few thousand of them.
"""

from __future__ import annotations

from typing import Any

DEEPEST = 100
"""Levels of mappings and lists in each other."""
MOST_REPEATED = 1_000_000
"""Values that aliases stand for, those in them counted; more is a slip or an attack."""


def find_fault(text: str, yaml: Any) -> tuple[int, str] | None:
    """Return the line, and what is wrong there, of what is too deep or too large; raises ``YAMLError``."""
    open_sizes, open_names, sizes, repeated = [0], list[str | None](), dict[str, int](), 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionStartEvent):
            if len(open_names) >= DEEPEST:
                return line, f"has more than {DEEPEST} levels"
            open_names.append(event.anchor)
            open_sizes.append(1)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, name = open_sizes.pop(), open_names.pop()
            open_sizes[-1] += size
            sizes |= {name: size} if name else {}
        elif isinstance(event, yaml.ScalarEvent):
            open_sizes[-1] += 1
            sizes |= {event.anchor: 1} if event.anchor else {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in open_names:
                return line, f"*{event.anchor} stands within itself"
            size = sizes.get(event.anchor, 1)
            open_sizes[-1] += size
            repeated += size
            if repeated > MOST_REPEATED:
                return line, f"its aliases stand for more than {MOST_REPEATED} values"
    return None
