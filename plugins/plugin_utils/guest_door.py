# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the connection to a guest is made of: the session, the machine, a password that somebody in there asks for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import SETTING_ARGUMENTS, find_hypervisor
from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.execution import open_session
from ansible_collections.archipel.platform.plugins.plugin_utils.kept_session import KeptSession

try:
    from archipel.client.addresses import as_uuid
    from archipel.client.guest_scripts import escape
    from archipel.client.guest_shell import PasswordPrompt
except ImportError:
    pass  # the connection tells the user

if TYPE_CHECKING:
    from ansible.plugins.become import BecomeBase

    from archipel.client import Session, VirtualMachine
    from archipel.client.guest_shell import Completed

LOGIN_OPTIONS = (*SETTING_ARGUMENTS, "xmpp_password", "xmpp_password_file", "hypervisor", "profile")
QUIET = 2.0  # seconds between two words on how far a file has come

_kept: dict[int, KeptSession] = {}


def session_of_this_process() -> KeptSession:
    """Return what keeps a session between the calls of a task; a session that a parent left behind is the parent's."""
    return _kept.setdefault(os.getpid(), KeptSession(open_session))


async def find_machine(session: Session, name: str, login: Mapping[str, Any]) -> VirtualMachine:
    """Return the machine of a JID, UUID or name; raises :class:`ValueError` or what the hypervisor answers."""
    if "@" in name:
        return session.machine(name)
    uuid = as_uuid(name)
    if uuid is not None:
        return session.machine(f"{uuid}@{session.settings.domain}")
    return (await Directory.load(find_hypervisor(session, login), [name])).machine(name)


# -- passwords ------------------------------------------------------------------------------------------------------------


def become_prompt(become: BecomeBase | None) -> tuple[PasswordPrompt, ...]:
    """Return how a way to become somebody else asks for the password, if it will; raises :class:`ValueError` if that cannot be told."""
    if become is None or not become.expect_prompt():
        return ()
    localized = getattr(become, "SU_PROMPT_LOCALIZATIONS", None)
    if isinstance(become.prompt, str) and become.prompt:
        asks = escape(become.prompt.strip())
    elif localized:
        words = "|".join(escape(word) for word in become.get_option("prompt_l10n") or localized)
        asks = f"({words})[[:space:]]*(:|\N{FULLWIDTH COLON})"
    else:
        raise ValueError(
            f"become_method: nobody can tell how {become.name} asks for its password without a terminal; use sudo or su, or leave "
            "ansible_user out: the guest agent is the guest's administrator already"
        )
    return (PasswordPrompt(str(become.get_option("become_pass")), asks, become.success),)


def became_nobody(become: BecomeBase, done: Completed) -> bool:
    """Whether a password was refused."""
    return not become.check_success(done.stdout) and bool(become.check_incorrect_password(done.stdout + done.stderr))


def strip_preamble(become: BecomeBase | None, stdout: bytes, stderr: bytes) -> tuple[bytes, bytes]:
    """Return what a command wrote without the question for the password, and without the word that it was taken."""
    if become is None:
        return stdout, stderr
    become.check_password_prompt(stdout + stderr)  # which remembers what the question was
    if become.check_success(stdout):
        stdout = become.strip_become_success(become.strip_become_prompt(stdout))
    return stdout, become.strip_become_prompt(stderr)


# -- files ----------------------------------------------------------------------------------------------------------------


def tell_progress(say: Callable[[str], None], what: str) -> Callable[[int, int], None]:
    """Return what tells now and then how much of a large file is there."""
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if what and time.monotonic() - last > QUIET:
            last = time.monotonic()
            say(f"{what}: {done >> 10} of {total >> 10} KiB")

    return tell
