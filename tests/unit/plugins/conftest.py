# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection under its own name, as Ansible imports it."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([str(Path(__file__).parents[3] / ".venv" / "collections")])

# A session over a scripted stream, as client tests have it.
from tests.unit.client.conftest import hypervisor, machine, session, settings, stream  # noqa: E402 - the line above makes it importable

__all__ = ["hypervisor", "machine", "session", "settings", "stream"]
