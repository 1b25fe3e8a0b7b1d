# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the founding platform had: the ``ROWS`` of the files of this folder, one for each area of its core and each module."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass

from tests.conformance.row import Row


@dataclass(frozen=True)
class Area:
    """The rows of one file; its docstring is the heading."""

    name: str
    title: str
    rows: tuple[Row, ...]


def _read(name: str) -> Area:
    module = importlib.import_module(f"{__name__}.{name}")
    return Area(name, (module.__doc__ or "").strip().rstrip("."), module.ROWS)


AREAS: tuple[Area, ...] = tuple(sorted(map(_read, (found.name for found in pkgutil.iter_modules(__path__))), key=lambda area: area.name))
ROWS: tuple[Row, ...] = tuple(row for area in AREAS for row in area.rows)
