# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest agent for machines of libvirt's test driver, which has none: this host's programs over folders of the guest's own.

An agent that is started with :func:`environment` asks it (``sitecustomize.py``, which Python imports before all else). All machines
of the agent are one guest. What it writes is below its folder; programs see that through namespaces.
"""

from __future__ import annotations

from pathlib import Path

FOLDERS = ("etc", "srv", "root", "var/tmp")
ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\n"
FOLDER_VARIABLE = "ARCHIPEL_FAKE_GUEST"


def make_fake_guest(folder: Path) -> Path:
    """Make the guest's folders."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "etc" / "passwd").write_text(ACCOUNTS)
    (folder / "etc" / "shadow").write_text("root:*:20000:0:99999:7:::\n")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return the variables with which an agent asks this guest."""
    return {"PYTHONPATH": str(Path(__file__).parent), FOLDER_VARIABLE: str(folder)}
