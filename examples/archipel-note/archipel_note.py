# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A note on a virtual machine: why it is off, whom to call before it is started.

It is kept in the definition's ``<description>``, where virt-manager and ``virsh desc`` show it, too.
"""

import libvirt

from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, payload
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

NAMESPACE = "urn:example:note"
FAILURE = -100001  # the code of errors that have none of their own: any number that is nobody else's

TOKENS = (Token("note", "Change the machine's note", ON_VIRTUAL_MACHINE),)


@payload
class Note(Payload, tag="note"):
    """The answer: ``<note text='...'/>``, empty if there is none."""

    text: str = attribute()


@payload
class SetNote(Request[None], namespace=NAMESPACE, action="set"):
    """Replace the note; an empty text removes it."""

    text: str = attribute(at_most_characters(500))


@payload
class GetNote(Request[Note], namespace=NAMESPACE, action="get", reads=True):
    """Read the note."""


@command(
    SetNote,
    on=EntityKind.VIRTUAL_MACHINE,
    right="note",
    failure=FAILURE,
    chat=Chat(("note {text}",), lambda _: "I have noted it.", questions={"text": "What shall I note?"}),
)
async def set_note(vm: VirtualMachine, request: SetNote, _caller: Caller) -> None:
    """Replace the note on this machine."""
    async with vm.changing:
        await vm.domain.change("set note", lambda domain: write_description(domain, request.text))
    vm.push("note", "changed")


@command(
    GetNote,
    on=EntityKind.VIRTUAL_MACHINE,
    right="info",
    failure=FAILURE,
    chat=Chat(("read note",), lambda note: note.text or "There is no note."),
)
async def get_note(vm: VirtualMachine, _request: GetNote, _caller: Caller) -> Note:
    """Read the note on this machine."""
    return Note(text=await vm.domain.read("read note", read_description))


def write_description(domain: libvirt.virDomain, text: str) -> None:
    """Change the definition, and the running domain if it runs."""
    both = libvirt.VIR_DOMAIN_AFFECT_CONFIG | (libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, text or None, None, None, both)


def read_description(domain: libvirt.virDomain) -> str:
    """Return what stands in the definition."""
    try:
        return str(domain.metadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return ""
        raise
