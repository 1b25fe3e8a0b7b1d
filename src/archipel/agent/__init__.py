# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon on each hypervisor: one XMPP entity for it and one for each virtual machine."""
