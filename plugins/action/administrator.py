# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a module where the playbook runs: see plugin_utils/own_process.py.

The same file stands here under the name of each module: what has an action of its own name, Ansible imports once in its main process,
from which those of the tasks are copied. Otherwise every task would spend a third of a second of CPU on imports.
"""

from __future__ import annotations

from ansible_collections.archipel.platform.plugins.plugin_utils.own_process import ActionModule

__all__ = ["ActionModule"]
