# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary: namespaces, typed payloads, errors and rights of the Archipel protocol; no I/O."""
