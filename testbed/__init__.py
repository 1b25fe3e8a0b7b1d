# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away servers on loopback for tests, the demo and benchmarks; not part of the distribution."""
