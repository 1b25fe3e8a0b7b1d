# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain definitions: read and written through typed properties, declared, compared, and changed step by step."""

from archipel.protocol.domain.changes import Plan, plan
from archipel.protocol.domain.declaration import DiskDeclaration, DomainDeclaration, GraphicsDeclaration, NetworkDeclaration
from archipel.protocol.domain.domain import Domain, parse
from archipel.protocol.domain.options import DeclarationError, Problem
from archipel.protocol.domain.rendering import apply, describe, render
from archipel.protocol.domain.xml_values import DomainXmlError

__all__ = [
    "DeclarationError",
    "DiskDeclaration",
    "Domain",
    "DomainDeclaration",
    "DomainXmlError",
    "GraphicsDeclaration",
    "NetworkDeclaration",
    "Plan",
    "Problem",
    "apply",
    "describe",
    "parse",
    "plan",
    "render",
]
