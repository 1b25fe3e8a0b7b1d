# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines as XMPP contacts: the agent on hypervisors, its clients and the protocol between them."""

__version__ = "0.1.0"
