# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module iphone_notification."""

from __future__ import annotations

from tests.conformance.row import option

ROWS = (option("IPHONENOTIFICATION", "credentials_key", "key", meaning="keys of a push service for telephones, which is gone"),)
