# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the platform costs: ``make bench`` prints and keeps the figures of docs/performance.md."""
