# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options from the environment, where an empty variable is none: that is how scripts and CI jobs say that they have no value."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleFallbackNotFound

OWN = "ARCHIPEL_"


def read_environment(name: str) -> str:
    """Return the value of a variable, for an argument's ``fallback``; raises what Ansible takes for none if it is unset or empty."""
    value = os.environ.get(name)
    if not value:
        raise AnsibleFallbackNotFound
    return value


@contextlib.contextmanager
def without_empty_variables() -> Iterator[None]:
    """Unset our empty variables meanwhile: Ansible itself would take them for a port or a file, which they are not."""
    empty = [name for name, value in os.environ.items() if name.startswith(OWN) and not value]
    for name in empty:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(dict.fromkeys(empty, ""))
