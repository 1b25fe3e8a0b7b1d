# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel-agent`` in a Python that lacks what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module, todo", [("libvirt", "Debian's python3-libvirt"), ("uvloop", "with [agent]")])
def test_what_is_not_installed_is_told_with_what_to_do(module: str, todo: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from archipel.agent.start import main; sys.exit(main())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"archipel-agent: the Python module {module!r} is missing: install ")
    assert todo in ended.stderr
    assert "Traceback" not in ended.stderr
