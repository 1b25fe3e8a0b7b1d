# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How every module logs in; the same options as module_utils/connection.py takes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  xmpp_jid:
    description:
      - The account to log in with, such as V(teacher@example.org), without a resource.
      - If not given, the environment variable E(ARCHIPEL_JID) is used, then the O(profile).
    type: str
  xmpp_password:
    description:
      - The password of the account.
      - If neither this nor O(xmpp_password_file) is given, the secret of the O(profile) is used if the account is the profile's,
        else the environment variable E(ARCHIPEL_PASSWORD) or E(ARCHIPEL_PASSWORD_FILE).
    type: str
  xmpp_password_file:
    description:
      - A file on the control node whose first line is the password of the account. Only its owner may be able to read it.
    type: path
  xmpp_host:
    description:
      - Name or address of the XMPP server. Without it the SRV records of the account's domain decide.
      - If not given, the environment variable E(ARCHIPEL_HOST) is used.
    type: str
  xmpp_port:
    description:
      - The port of O(xmpp_host); V(5222) unless given.
      - If not given, the environment variable E(ARCHIPEL_PORT) is used.
    type: int
  xmpp_ca_file:
    description:
      - Certificates (PEM) of the authorities to trust in place of the system's.
      - If not given, the environment variable E(ARCHIPEL_CA_FILE) is used.
    type: path
  xmpp_pubsub_service:
    description:
      - The address of the publish-subscribe service; C(pubsub.) and the account's domain unless given.
      - If not given, the environment variable E(ARCHIPEL_PUBSUB_SERVICE) is used.
    type: str
  xmpp_allow_plain:
    description:
      - Permit the mechanism PLAIN inside TLS, for accounts that the server takes from LDAP.
    type: bool
  insecure_plaintext:
    description:
      - Do without TLS. For a test on loopback; everybody on the way can read everything.
    type: bool
  hypervisor:
    description:
      - The account of the hypervisor, such as V(hypervisor@example.org).
      - If not given, the environment variable E(ARCHIPEL_HYPERVISOR) is used, then the hypervisor of the O(profile) if it names just one.
    type: str
  timeout:
    description:
      - How many seconds an entity may take to answer one request; V(30) unless the O(profile) says otherwise.
    type: float
  profile:
    description:
      - The name of a login that C(archipel login) stored for the user who runs Ansible. Options and environment variables rule
        over what it says.
      - If not given, the environment variable E(ARCHIPEL_PROFILE) is used.
    type: str
requirements:
  - The Python distribution C(archipel), which is part of this collection, in the Python that runs the module.
    Install it with C(python -m pip install ~/.ansible/collections/ansible_collections/archipel/platform).
notes:
  - The module runs on the control node, for V(localhost) in Ansible's own process; nothing is installed on a hypervisor or in a machine.
  - One run is one XMPP session, however many machines it is about.
  - Use the action group V(archipel.platform.archipel) in C(module_defaults) to say the connection once.
"""

    @property  # not a text beside the other: ansible-test wants texts written out
    def OPTIONS(self) -> str:  # noqa: N802 - Ansible's name for a part of a fragment
        """The options alone, for plugins of other kinds."""
        return self.DOCUMENTATION.partition("requirements:")[0]
