# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel-agent-init``: the agent's account, folders, configuration and service on a host."""
