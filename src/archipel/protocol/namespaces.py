# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML namespaces of the founding protocol, of the XMPP extensions it stands on, and of what is new here."""

from __future__ import annotations

from typing import Final

# Commands of every entity.
PERMISSIONS: Final = "archipel:permissions"
SUBSCRIPTION: Final = "archipel:subscription"
TAGS: Final = "archipel:tags"
AVATAR: Final = "archipel:avatar"
ROSTER: Final = "archipel:roster"
SCHEDULER: Final = "archipel:entity:scheduler"
RIGHTS: Final = "archipel:rights"
AUDIT: Final = "archipel:audit"

# Beside the words of a chat.
CHAT: Final = "archipel:chat"

# Commands of one kind of entity.
DECLARATION: Final = "archipel:declaration"
HEALTH: Final = "archipel:hypervisor:health"
HYPERVISOR_CONTROL: Final = "archipel:hypervisor:control"
HYPERVISOR_GEOLOCALIZATION: Final = "archipel:hypervisor:geolocalization"
HYPERVISOR_GOLDEN: Final = "archipel:hypervisor:golden"
HYPERVISOR_MIGRATION: Final = "archipel:hypervisor:migration"
HYPERVISOR_NETWORK: Final = "archipel:hypervisor:network"  # served by machines, too
HYPERVISOR_PARKING: Final = "archipel:hypervisor:vmparking"
HYPERVISOR_STORAGE: Final = "archipel:hypervisor:storage"
HYPERVISOR_VMCASTING: Final = "archipel:hypervisor:vmcasting"
NOTIFIER: Final = "archipel:hypervisor:notifier"
CONTACT_PREFERENCES: Final = "archipel:contact:preferences"
VM_CONSOLE: Final = "archipel:vm:console"
VM_CONTROL: Final = "archipel:vm:control"
VM_DEFINITION: Final = "archipel:vm:definition"
VM_DISK: Final = "archipel:vm:disk"
VM_GUEST: Final = "archipel:vm:guest"
VM_HEALTH: Final = "archipel:vm:health"
VM_MIGRATION: Final = "archipel:vm:migration"
VM_OOM: Final = "archipel:vm:oom"
VM_PARKING: Final = "archipel:vm:vmparking"
VM_SNAPSHOTS: Final = "archipel:virtualmachine:snapshoting"  # the founders' spelling
VM_VMCASTING: Final = "archipel:virtualmachine:vmcasting"
VM_VNC: Final = "archipel:virtualmachine:vnc"
XMPPSERVER_USERS: Final = "archipel:xmppserver:users"

# Commands of the founders' that no entity serves any more: networks of Nuage's controller.
RETIRED: Final = frozenset({"archipel:hypervisor:nuage:network"})

# Errors.
ERROR_GENERIC: Final = "archipel:error:generic"
ERROR_PERMISSION: Final = "archipel:error:permission"
ERROR_LIBVIRT: Final = "libvirt:error:generic"
STANZAS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"  # RFC 6120, 8.3

# Pushes: the topic follows the prefix.
PUSH_PREFIX: Final = "archipel:push:"

# XMPP extensions.
CLIENT: Final = "jabber:client"
PING: Final = "urn:xmpp:ping"  # XEP-0199
DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"  # XEP-0030
DISCO_ITEMS: Final = "http://jabber.org/protocol/disco#items"
VERSION: Final = "jabber:iq:version"  # XEP-0092
REGISTER: Final = "jabber:iq:register"  # XEP-0077
IQ_ROSTER: Final = "jabber:iq:roster"  # RFC 6121
VCARD: Final = "vcard-temp"  # XEP-0054
VCARD_UPDATE: Final = "vcard-temp:x:update"  # XEP-0153
NICK: Final = "http://jabber.org/protocol/nick"  # XEP-0172
PUBSUB: Final = "http://jabber.org/protocol/pubsub"  # XEP-0060
PUBSUB_OWNER: Final = "http://jabber.org/protocol/pubsub#owner"
PUBSUB_EVENT: Final = "http://jabber.org/protocol/pubsub#event"
PUBSUB_NODE_CONFIG: Final = "http://jabber.org/protocol/pubsub#node_config"
PUBSUB_META_DATA: Final = "http://jabber.org/protocol/pubsub#meta-data"
DATA_FORMS: Final = "jabber:x:data"  # XEP-0004
DELAY: Final = "urn:xmpp:delay"  # XEP-0203
HINTS: Final = "urn:xmpp:hints"  # XEP-0334
COMMANDS: Final = "http://jabber.org/protocol/commands"  # XEP-0050

# Artefact that the founding agents' XML layer put on documents parsed from text; still accepted, never sent.
UNDECLARED: Final = "http://www.gajim.org/xmlns/undeclared"
