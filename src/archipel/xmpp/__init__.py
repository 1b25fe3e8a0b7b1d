# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire: slixmpp's streams made fast to log in, certain to answer and tireless to reconnect."""
