# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge to libvirt: connection, events, domains, the host.

Everything offered is asyncio and typed; libvirt itself is called in threads of its own, never on the loop. Events are hints:
what a domain's state is, only :meth:`archipel.agent.virt.domain.Domain.info` says.
"""
