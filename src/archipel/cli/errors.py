# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong before a connection is tried."""

from __future__ import annotations


class LoginMissing(Exception):
    """There is no usable login: no such profile, no password for it, or one that others can read."""
