# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: guest
short_description: Run tasks in a virtual machine through its guest agent, without a network
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Runs tasks inside a Linux guest through the QEMU guest agent, by way of XMPP and the agent of its hypervisor. The guest needs no
    network card, no address and no SSH server.
  - The account that logs in needs the rights C(guest_exec), C(guest_file_write) and C(guest_file_read) on the machine. The last two
    are for what does not fit in one request of 128 KiB.
  - The guest needs C(qemu-guest-agent), a POSIX shell with the usual small programs (C(cat), C(mkdir), C(gzip), C(sha256sum) and so on;
    those of BusyBox do), and for most modules Python.
  - Everything is complete or an error - output of any length, files of any size, which are compared after their transfer and only then
    moved to their place.
notes:
  - Red Hat's systems forbid the agent's commands C(guest-exec) and C(guest-file-*) at first (file C(/etc/sysconfig/qemu-ga) in the guest),
    and SELinux confines the agent. The error says which setting to change.
  - Each task is one session. With O(pipelining=true), which is the default here, most modules take one request.
  - Commands, their input and contents of files are in no log of the hypervisor. That somebody ran a shell there is in its audit log.
requirements:
  - The Python distribution C(archipel), which is part of this collection, in the Python that runs Ansible.
extends_documentation_fragment:
  - archipel.platform.connection.options
  - connection_pipelining
options:
  machine:
    description:
      - The machine, by its JID or UUID, or by its name where O(hypervisor) is known.
      - The inventory plugin P(archipel.platform.xmpp#inventory) sets C(archipel_jid) for its hosts, so that nothing needs to be said.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: archipel_uuid
      - name: archipel_jid
      - name: ansible_archipel_machine
  remote_user:
    description:
      - Who runs the tasks in the guest. The guest agent is its administrator, and becomes anybody without a password.
      - With another than V(root), what is copied is his, and what he cannot read is not fetched.
    type: str
    default: root
    ini:
      - section: defaults
        key: remote_user
    env:
      - name: ANSIBLE_REMOTE_USER
    vars:
      - name: ansible_user
    keyword:
      - name: remote_user
  command_timeout:
    description:
      - How many seconds a command in the guest may take. It is ended then, and the task fails. V(0) waits for as long as it takes.
    type: float
    default: 0
    ini:
      - section: archipel_guest_connection
        key: command_timeout
    env:
      - name: ARCHIPEL_GUEST_COMMAND_TIMEOUT
    vars:
      - name: ansible_archipel_command_timeout
  output_limit:
    description:
      - How many MiB a command may write, its standard output and error together. It is ended then, and the task fails.
      - All of it is held in memory. A guest cannot fill that, whatever runs in it. It is not about files that are copied.
    type: int
    default: 64
    ini:
      - section: archipel_guest_connection
        key: output_limit
    env:
      - name: ARCHIPEL_GUEST_OUTPUT_LIMIT
    vars:
      - name: ansible_archipel_output_limit
  staging_folder:
    description:
      - A folder of the guest for what does not fit in one request. It needs room for the largest file of a play.
      - A folder that only the guest's administrator can enter is made in it each time, and removed.
    type: str
    default: /var/tmp
    ini:
      - section: archipel_guest_connection
        key: staging_folder
    env:
      - name: ARCHIPEL_GUEST_STAGING_FOLDER
    vars:
      - name: ansible_archipel_staging_folder
  pipelining:
    default: true
  xmpp_jid:
    ini: [{section: archipel_guest_connection, key: xmpp_jid}]
    env: [{name: ARCHIPEL_JID}]
    vars: [{name: ansible_archipel_xmpp_jid}]
  xmpp_password:
    vars: [{name: ansible_archipel_xmpp_password}]
  xmpp_password_file:
    ini: [{section: archipel_guest_connection, key: xmpp_password_file}]
    vars: [{name: ansible_archipel_xmpp_password_file}]
  xmpp_host:
    ini: [{section: archipel_guest_connection, key: xmpp_host}]
    env: [{name: ARCHIPEL_HOST}]
    vars: [{name: ansible_archipel_xmpp_host}]
  xmpp_port:
    ini: [{section: archipel_guest_connection, key: xmpp_port}]
    env: [{name: ARCHIPEL_PORT}]
    vars: [{name: ansible_archipel_xmpp_port}]
  xmpp_ca_file:
    ini: [{section: archipel_guest_connection, key: xmpp_ca_file}]
    env: [{name: ARCHIPEL_CA_FILE}]
    vars: [{name: ansible_archipel_xmpp_ca_file}]
  xmpp_pubsub_service:
    ini: [{section: archipel_guest_connection, key: xmpp_pubsub_service}]
    env: [{name: ARCHIPEL_PUBSUB_SERVICE}]
    vars: [{name: ansible_archipel_xmpp_pubsub_service}]
  xmpp_allow_plain:
    ini: [{section: archipel_guest_connection, key: xmpp_allow_plain}]
    vars: [{name: ansible_archipel_xmpp_allow_plain}]
  insecure_plaintext:
    ini: [{section: archipel_guest_connection, key: insecure_plaintext}]
    vars: [{name: ansible_archipel_insecure_plaintext}]
  hypervisor:
    ini: [{section: archipel_guest_connection, key: hypervisor}]
    env: [{name: ARCHIPEL_HYPERVISOR}]
    vars: [{name: archipel_hypervisor}, {name: ansible_archipel_hypervisor}]
  timeout:
    ini: [{section: archipel_guest_connection, key: timeout}]
    vars: [{name: ansible_archipel_timeout}]
  profile:
    ini: [{section: archipel_guest_connection, key: profile}]
    env: [{name: ARCHIPEL_PROFILE}]
    vars: [{name: ansible_archipel_profile}]
"""

EXAMPLES = r"""
---
# Machines of the inventory plugin archipel.platform.xmpp know their accounts, and how to log in; of those that have no address this
# is the connection anyhow. Here it is that of a whole play.
- name: Seats that no network leads to
  hosts: tag_course_101
  gather_facts: false
  vars:
    ansible_connection: archipel.platform.guest
  tasks:
    - name: Wait until the guest agent answers
      ansible.builtin.wait_for_connection:
        timeout: 120

    - name: Each knows who sits there
      ansible.builtin.copy:
        content: "{{ inventory_hostname }}\n"
        dest: /etc/motd
        mode: "0644"

# A machine by its name, without that inventory: the account, its password and the hypervisor come from the environment (ARCHIPEL_JID,
# ARCHIPEL_PASSWORD_FILE, ARCHIPEL_HYPERVISOR) or from a stored login (ARCHIPEL_PROFILE).
- name: One machine
  hosts: web
  gather_facts: false
  vars:
    ansible_connection: archipel.platform.guest
  tasks:
    - name: A command that needs no Python in the guest
      ansible.builtin.raw: uptime
      changed_when: false
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase, ensure_connect
from ansible.utils.display import Display
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_settings
from ansible_collections.archipel.platform.plugins.module_utils.environment import without_empty_variables
from ansible_collections.archipel.platform.plugins.module_utils.guest.files import replace_file
from ansible_collections.archipel.platform.plugins.module_utils.library import MISSING, missing_library
from ansible_collections.archipel.platform.plugins.plugin_utils.guest_door import (
    LOGIN_OPTIONS,
    became_nobody,
    become_prompt,
    find_machine,
    session_of_this_process,
    strip_preamble,
    tell_progress,
)

try:
    from archipel.client.failures import EXPECTED, describe
    from archipel.client.guest_shell import GuestShell, GuestShellFailed
    from archipel.protocol.errors import PermissionDenied
except ImportError:
    pass  # _connect tells the user

if TYPE_CHECKING:
    from archipel.client import Session

T = TypeVar("T")
COLLECTION = Path(__file__).parents[2]


class Connection(ConnectionBase):
    """A guest, reached through its guest agent."""

    transport: ClassVar[str] = "archipel.platform.guest"
    has_pipelining = True
    has_tty = False

    def _connect(self) -> Connection:
        """Find out whether a connection can be made at all; each call logs in where no session is kept."""
        if MISSING is not None:
            raise AnsibleConnectionFailure(missing_library(str(COLLECTION)))
        self._connected = True
        return self

    def set_options(self, *arguments: Any, **named: Any) -> None:
        """Read the options; an empty variable of the environment is none."""
        with without_empty_variables():
            super().set_options(*arguments, **named)

    # -- what Ansible wants -----------------------------------------------------------------------------------------------

    @ensure_connect
    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command in the guest's shell."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        become = self.become if sudoable and self.become is not None and self.become.success else None
        try:
            prompt = become_prompt(become)
        except ValueError as error:
            raise AnsibleError(str(error)) from None
        self._say(f"EXEC {cmd}")
        done = self._do(lambda shell: shell.run(cmd, in_data or b"", *prompt))
        if become is not None and prompt and became_nobody(become, done):
            raise AnsibleError(f"{self._name}: the password for become_method {become.name} is not the right one")
        return done.code, *strip_preamble(become, done.stdout, done.stderr)

    @ensure_connect
    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the guest."""
        super().put_file(in_path, out_path)
        self._say(f"PUT {in_path} TO {out_path}")
        try:
            with Path(in_path).open("rb") as source:
                self._do(lambda shell: shell.put(source, out_path), f"PUT {out_path}")
        except FileNotFoundError:
            raise AnsibleFileNotFound(f"there is no file {in_path} to copy into the guest", file_name=in_path) from None
        except OSError as error:
            raise AnsibleError(f"{in_path} cannot be copied into the guest: {error.strerror}") from None

    @ensure_connect
    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the guest; it is at its place only when all of it is there."""
        super().fetch_file(in_path, out_path)
        self._say(f"FETCH {in_path} TO {out_path}")
        try:
            with replace_file(Path(out_path)) as sink:
                self._do(lambda shell: shell.fetch(in_path, sink), f"FETCH {in_path}")
        except OSError as error:
            raise AnsibleError(f"{out_path} cannot be written: {error.strerror}") from None

    def reset(self) -> None:
        """Log out; the next call logs in again."""
        self.close()

    def close(self) -> None:
        """Log out."""
        session_of_this_process().close()
        self._connected = False

    # -- how --------------------------------------------------------------------------------------------------------------

    def _do(self, work: Callable[[GuestShell], Awaitable[T]], moved: str = "") -> T:
        """Do something in a shell of the guest; raises Ansible's errors."""

        async def in_session(session: Session) -> T:
            return await work(await self._open_shell(session, moved))

        try:
            return session_of_this_process().run(connection_settings(self._login()), in_session)
        except PermissionDenied as error:
            raise AnsibleAuthenticationFailure(f"{self._name}: {describe(error)}") from error
        except GuestShellFailed as error:
            raise AnsibleError(f"{self._name}: {error}") from error
        except (*EXPECTED, ValueError) as error:
            raise AnsibleConnectionFailure(f"{self._name}: {describe(error)}") from error

    async def _open_shell(self, session: Session, moved: str) -> GuestShell:
        machine = await find_machine(session, str(self._name), self._login())
        user = self.get_option("remote_user")
        return GuestShell(
            machine.guest,
            user="" if user in {None, "", "root"} else user,
            folder=self.get_option("staging_folder"),
            timeout=self.get_option("command_timeout"),
            most_output=self.get_option("output_limit") << 20,
            tell=tell_progress(lambda text: Display().v(text, host=self._name), moved),
        )

    @property
    def _name(self) -> Any:
        return self.get_option("machine")

    def _login(self) -> dict[str, Any]:
        return {name: self.get_option(name) for name in LOGIN_OPTIONS}

    def _say(self, text: str) -> None:
        Display().vvv(text, host=self._name)
