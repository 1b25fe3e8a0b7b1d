# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which storage pools somebody may define: whatever is mounted or opened on the host is an administrator's to say."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol.errors import BadRequest, PermissionDenied
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS
from archipel.protocol.storage_pools import proper_name

TYPES: Final = ("dir", "fs", "netfs", "logical")
MOST_BYTES: Final = 20_000  # of a definition; libvirt's own have some hundred
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def read_pool(element: ET.Element) -> ET.Element:
    """Return the definition of a pool in a request, rid of remarks; raises :class:`BadRequest` for what is wrong with it."""
    if element.tag != "pool" or element.get("type") not in TYPES:
        raise BadRequest(f"pool: must be a <pool> of type {' or '.join(TYPES)}")
    if len(ET.tostring(element)) > MOST_BYTES:
        raise BadRequest(f"pool: at most {MOST_BYTES} bytes are taken")
    if (wrong := proper_name(element.findtext("name", ""))) is not None:
        raise BadRequest(f"pool: <name> {wrong}")
    _check_uuid(element.findtext("uuid"))
    _check_path(element)
    return element


def _check_uuid(text: str | None) -> None:
    try:
        _ = None if text is None else uuids.UUID(text.strip())
    except ValueError:
        raise BadRequest("pool: <uuid> is none; leave it out, and libvirt chooses one") from None


def _check_path(element: ET.Element) -> None:
    """Check where the volumes shall appear: in a folder, said straight; a volume group may leave it to libvirt."""
    paths = [found.text or "" for found in element.findall("target/path")]
    if element.get("type") == "logical" and not paths:
        return
    if len(paths) != 1 or _CONTROL.search(paths[0]) or paths[0] != str(Path(paths[0])) or ".." in Path(paths[0]).parts or paths[0] in "//":
        raise BadRequest("pool: <target><path> must be one folder's path that begins with a slash, without //, . and ..")
    if not paths[0].startswith("/"):
        raise BadRequest("pool: <target><path> must begin with a slash")


def refuse_machine_folders(pool: ET.Element, folders: Iterable[Path]) -> None:
    """Raise if the pool would hold, or lie in, a folder of machines' drives or images: its volumes would be theirs."""
    target = pool.findtext("target/path")
    if target is None:
        return
    place = Path(target).resolve()
    for folder in folders:
        own = folder.resolve()
        if place.is_relative_to(own) or own.is_relative_to(place):
            raise BadRequest(f"pool: <target><path> {target!r} and {folder}, where machines' drives or images are, lie in one another")


def refuse_forbidden_pool(pool: ET.Element, roots: Iterable[Path]) -> None:
    """Raise :class:`PermissionDenied` unless anybody who defines pools may have this one: a folder inside of ``roots``."""
    listed = list(roots)
    if pool.get("type") != "dir":
        raise PermissionDenied("pool: only pools of type dir are for everybody", DOMAIN_POLICY_BYPASS)
    place = Path(pool.findtext("target/path", "")).resolve()
    if not any(place != root.resolve() and place.is_relative_to(root.resolve()) for root in listed):
        text = f"pool: <target><path> must lie in {' or '.join(map(str, listed)) or 'a folder of pool_folders, and there is none'}"
        raise PermissionDenied(text, DOMAIN_POLICY_BYPASS)
    extra = sorted({*_tags(pool, {"name", "uuid", "target"}), *(tag for one in pool.findall("target") for tag in _tags(one, {"path"}))})
    if extra or len(pool.findall("target")) != 1 or set(pool.attrib) != {"type"}:
        told = f": {', '.join(extra)[:200]}" if extra else ""
        raise PermissionDenied(f"pool: holds more than name, uuid and <target><path>{told}", DOMAIN_POLICY_BYPASS)


def _tags(element: ET.Element, known: set[str]) -> list[str]:
    return [child.tag for child in element if child.tag not in known]
