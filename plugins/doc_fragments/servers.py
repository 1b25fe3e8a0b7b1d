# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of the inventory that say which servers are asked, and who asks."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  xmpp_jid:
    description: The account to log in with.
    type: str
    env:
      - name: ARCHIPEL_JID
  xmpp_password:
    description:
      - The password of the account. May be a template.
      - If neither this nor O(xmpp_password_file) is given, the secret of the O(profile) is used if the account is the profile's,
        else the environment variable E(ARCHIPEL_PASSWORD) or E(ARCHIPEL_PASSWORD_FILE).
    type: str
  xmpp_password_file:
    description: A file whose first line is the password of the account. Only its owner may be able to read it.
    type: path
  xmpp_host:
    description: Name or address of the XMPP server; the domain's SRV records decide unless given.
    type: str
    env:
      - name: ARCHIPEL_HOST
  xmpp_port:
    description: The port of O(xmpp_host); V(5222) unless given.
    type: int
    env:
      - name: ARCHIPEL_PORT
  xmpp_ca_file:
    description: Certificates (PEM) of the authorities to trust in place of the system's.
    type: path
    env:
      - name: ARCHIPEL_CA_FILE
  xmpp_pubsub_service:
    description: The address of the publish-subscribe service; C(pubsub.) and the account's domain unless given.
    type: str
    env:
      - name: ARCHIPEL_PUBSUB_SERVICE
  xmpp_allow_plain:
    description: Permit the mechanism PLAIN inside TLS, for accounts that the server takes from LDAP.
    type: bool
  insecure_plaintext:
    description: Do without TLS. For a test on loopback.
    type: bool
  profile:
    description: The name of a login that C(archipel login) stored.
    type: str
    env:
      - name: ARCHIPEL_PROFILE
  timeout:
    description: How many seconds an entity may take to answer one request; V(30) unless given.
    type: float
  hypervisors:
    description:
      - The accounts of the hypervisors to read.
      - Unless given, those of the O(profile), or else those among the account's contacts.
    type: list
    elements: str
    env:
      - name: ARCHIPEL_HYPERVISOR
  servers:
    description:
      - Several servers. The options of the same names beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      xmpp_jid:
        description: The account to log in with.
        type: str
      xmpp_password:
        description: Its password. May be a template.
        type: str
      xmpp_password_file:
        description: A file whose first line is the password.
        type: path
      xmpp_host:
        description: Name or address of the server.
        type: str
      xmpp_port:
        description: Its port.
        type: int
      xmpp_ca_file:
        description: Certificates (PEM) of the authorities to trust.
        type: path
      xmpp_pubsub_service:
        description: The address of the publish-subscribe service.
        type: str
      xmpp_allow_plain:
        description: Permit the mechanism PLAIN inside TLS.
        type: bool
      insecure_plaintext:
        description: Do without TLS.
        type: bool
      profile:
        description: The name of a stored login.
        type: str
      timeout:
        description: How many seconds an answer may take.
        type: float
      hypervisors:
        description: The accounts of the hypervisors.
        type: list
        elements: str
  endpoint_timeout:
    description: How many seconds one server may take for everything.
    type: float
    default: 60
"""
