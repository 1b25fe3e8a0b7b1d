# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's programs in a Python that lacks what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "program, function, module, todo",
    [
        ("archipel-agent", "main", "libvirt", "Debian's python3-libvirt"),
        ("archipel-agent", "main", "uvloop", "with [agent]"),
        ("archipel-agent-init", "install", "sqlalchemy", "with [agent]"),
    ],
)
def test_what_is_not_installed_is_told_with_what_to_do(program: str, function: str, module: str, todo: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from archipel.agent import start; sys.exit(start.{function}())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{program}: the Python module {module!r} is missing: install ")
    assert todo in ended.stderr
    assert "Traceback" not in ended.stderr
