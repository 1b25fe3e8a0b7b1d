# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of entities for their vCards: the administrator's, else the packaged ones."""

from __future__ import annotations

from importlib import resources

from archipel.agent.settings import VCard

LARGEST = 64 * 1024  # bytes; XEP-0153 recommends 8 KiB, and every client reads every picture


def read_avatar(settings: VCard, name: str, packaged: str) -> bytes:
    """Return the picture ``name`` of the configured folder, or else the packaged one."""
    own = settings.avatar_folder / name
    if own.is_file() and own.stat().st_size <= LARGEST:
        return own.read_bytes()
    return (resources.files("archipel.agent") / "avatars" / packaged).read_bytes()
