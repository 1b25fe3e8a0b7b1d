# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Screens and serial consoles of machines through WebSockets: one listener for the agent, one-time links, noVNC."""
