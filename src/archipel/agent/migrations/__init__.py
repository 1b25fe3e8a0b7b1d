# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic migrations of the agent's database, run when the agent opens it; revisions are numbered 0001, 0002, ..."""
