# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Python distribution that the modules stand on, and what to say where it is missing.

Every other file here that imports it does so inside ``try``; :func:`require_library` is called before any of it is used.
"""

from __future__ import annotations

import sys
import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

MISSING: str | None = None
try:
    import archipel.client

    LIBRARY = archipel.client
except ImportError:
    MISSING = traceback.format_exc()

COLLECTION_FOLDER = "~/.ansible/collections/ansible_collections/archipel/platform"


def pip_command(folder: str = COLLECTION_FOLDER) -> str:
    """Return the command that installs the library from the collection into the Python that runs this."""
    return f"{sys.executable} -m pip install {folder}"


def missing_library(folder: str = COLLECTION_FOLDER) -> str:
    """Return what is missing, and the one command that brings it; ``folder`` is where the collection is."""
    return (
        f"{missing_required_lib('archipel')}. The library is part of this collection; install it with: {pip_command(folder)} "
        "(ansible-galaxy collection list archipel.platform tells the folder), or have the module run by the Python that "
        'has it: ansible_python_interpreter: "{{ ansible_playbook_python }}"'
    )


def require_library(module: AnsibleModule) -> None:
    """End the module with words that help if the library is missing."""
    if MISSING is not None:
        module.fail_json(msg=missing_library(), exception=MISSING)
