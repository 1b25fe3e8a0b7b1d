# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic runs this file for each command; the connection comes from the store, which is in a transaction already."""

from __future__ import annotations

from alembic import context

from archipel.agent.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True)
context.run_migrations()
