# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what a libvirt makes of the declarations beside this file, and whether both still describe alike.

The expanded definitions came about so, but for ``virt-install.xml`` (what virt-install 4.1 asks for, stored), ``stored.xml``
and ``running.xml`` (one machine with a golden disk under its own, stored and while it ran).

    expansion.py URI TYPE FOLDER SUFFIX     such as: expansion.py qemu:///session qemu /tmp/out libvirt-9

The machines are defined, written to FOLDER/NAME.SUFFIX.xml and undefined again; none is started. Use a libvirt of your own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import libvirt

from archipel.protocol.domain.declaration import DomainDeclaration
from archipel.protocol.domain.domain import parse
from archipel.protocol.domain.rendering import apply, describe, render

UUID = "6f0c2f2e-7a44-4c5f-8a86-3c2f6de0c001"


def expand(connection: libvirt.virConnect, name: str, options: dict[str, object], kind: str) -> str:
    """Return the stored definition that libvirt makes of a declaration."""
    declaration = DomainDeclaration.from_options({"name": f"web-{name}", **options})
    rendered = render(declaration, UUID, type=kind)
    domain = connection.defineXMLFlags(rendered.to_text(), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    try:
        text: str = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    finally:
        domain.undefineFlags(0 if kind == "test" else libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    expanded = parse(text)
    alike = describe(expanded, like=declaration) == describe(rendered, like=declaration) and apply(declaration, onto=expanded) == expanded
    sys.stdout.write(f"{name}: {'alike' if alike else 'DIFFERENT'}\n")
    return text


def main(uri: str, kind: str, folder: str, suffix: str) -> None:
    """Expand every declaration."""
    connection = libvirt.open(uri)
    declarations = json.loads((Path(__file__).parent / "declarations.json").read_text())
    for name, options in declarations.items():
        try:
            text = expand(connection, name, options, kind)
        except libvirt.libvirtError as error:
            sys.stdout.write(f"{name}: {error}\n")
        else:
            Path(folder, f"{name}.{suffix}.xml").write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
