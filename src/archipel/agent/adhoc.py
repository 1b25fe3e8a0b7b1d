# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same commands as XEP-0050 ad-hoc commands: any ordinary XMPP client then has a menu of them, and forms for what they need.

One step each: a command without fields is done at once. One with fields, or that destroys something, answers a form and is done
when that comes back, once. A program that knows the fields may send them at once, without a session. XML and lists are texts of
several lines; what of the sort is there already can stand in the form from the beginning (:func:`archipel.agent.dispatch.command`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.adhoc_sessions import SessionExpired, Unacceptable
from archipel.agent.dispatch import Caller, Command, Envelope, refuse_early, refuse_unknown, run_command
from archipel.agent.own_words import tell_answer
from archipel.agent.refusals import note_refusal
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import VirtError
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, CommandError, Condition, ErrorCode
from archipel.protocol.forms import FormField, form_fields
from archipel.protocol.xml import children_named
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

log = logging.getLogger(__name__)

ACTIONS: Final = ("execute", "complete", "next", "prev", "cancel")
LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
RULE: Final = "form"  # what the audit log names as the rule that refused a form out of its turn
WITHOUT_FORM: Final[Mapping[tuple[str, str], str]] = {
    (ns.VM_CONTROL, "screenshot"): "answers a picture, and a note is text",
    (ns.HYPERVISOR_MIGRATION, "expect"): "hypervisors ask it of each other",
}
"""The commands that no menu has, by namespace and action, each with the reason."""


def node_of(command: Command) -> str:
    """Return the name of a command among all commands of an entity."""
    return f"{command.request.namespace}#{command.request.action}"


def list_commands(entity: Entity, caller: Caller) -> Iterator[Command]:
    """Yield the commands that this caller may use by a form."""
    for command in entity.services.registry.commands(entity.kind):
        may = command.right is None or entity.decide(caller.bare, command.right).allowed
        if may and _has_form(command):
            yield command


def _has_form(command: Command) -> bool:
    return (command.request.namespace, command.request.action) not in WITHOUT_FORM


async def answer(entity: Entity, iq: ET.Element, caller: Caller) -> ET.Element:
    """Return the answer to an IQ that holds a ``<command/>``."""
    asked = iq[0]
    try:
        done = await _execute(entity, asked, caller)
    except CommandError as error:
        return _refuse(iq, error, asked.get("node", ""))
    return stanzas.result_of(iq, done)


def _refuse(iq: ET.Element, error: CommandError, node: str) -> ET.Element:
    """Return the error with the condition that XEP-0050 has for it, which then stands for our own."""
    refusal = stanzas.error_of(iq, error, ns.COMMANDS, node)
    specific = getattr(error, "specific", "bad-payload" if error.condition == Condition.BAD_REQUEST else "")
    if specific:
        element = refusal[-1]
        element.remove(element[-1])
        ET.SubElement(element, f"{{{ns.COMMANDS}}}{specific}")
        element.set("type", "modify" if error.condition == Condition.BAD_REQUEST else "cancel")
    return refusal


async def _execute(entity: Entity, asked: ET.Element, caller: Caller) -> ET.Element:
    command = _find(entity, asked.get("node", ""), caller)
    try:
        return await _take_step(entity, command, asked, caller)
    except (Unacceptable, SessionExpired) as error:  # the command was not begun: nobody else writes it down
        note_refusal(entity, caller, (command.request.namespace, command.request.action), RULE, error.text)
        raise


async def _take_step(entity: Entity, command: Command, asked: ET.Element, caller: Caller) -> ET.Element:
    node, session, action = node_of(command), asked.get("sessionid", ""), asked.get("action", "execute")
    form = asked.find(f"{{{ns.DATA_FORMS}}}x")
    if action not in ACTIONS:
        raise Unacceptable("malformed-action", f"action: must be {', '.join(ACTIONS)}, not {action!r}")
    if action == "prev":
        raise Unacceptable("bad-action", "action: there is no step before this one")
    if session and (form is not None or action != "execute"):
        entity.sessions.take(caller.full, node, session)
    if action == "cancel":
        return _command(command, session or secrets.token_hex(8), "canceled")
    fields = form_fields(command.request)
    if (fields or command.confirm) and form is None:
        session = entity.sessions.begin(caller.full, node, session)
        return _command(command, session, "executing", _actions(), _form(command, fields, await _prefill(entity, command, caller)))
    return await _finish(entity, command, _read_form(form), session, caller)


async def _finish(entity: Entity, command: Command, values: dict[str, str], session: str, caller: Caller) -> ET.Element:
    """Do a command with the values of its form; who filled in something wrong may send it again."""
    try:
        said = await run_command(entity, command, values, caller)
    except BadRequest:
        if session:
            entity.sessions.reopen(caller.full, node_of(command), session)
        raise
    note = ET.Element(f"{{{ns.COMMANDS}}}note", {"type": "info"})
    note.text = (command.chat.say if command.chat else tell_answer)(said)
    return _command(command, session or secrets.token_hex(8), "completed", note)


def _find(entity: Entity, node: str, caller: Caller) -> Command:
    """Return the command of a node; what somebody may not use is not there for him, and is written down."""
    namespace, _, action = node.rpartition("#")
    found = entity.services.registry.find(entity.kind, namespace, action)
    try:
        if found is None or not _has_form(found):
            raise refuse_unknown(entity, Envelope(namespace, action, None), caller)
        refuse_early(entity, found, caller)
    except CommandError as error:
        if not entity.knows(caller.bare):
            raise
        text = f"no command {node!r} here that you may use"
        raise CommandError(text, ErrorCode.NOT_IMPLEMENTED, Condition.ITEM_NOT_FOUND) from error
    return found


def _command(command: Command, session: str, status: str, *children: ET.Element) -> ET.Element:
    attributes = {"node": node_of(command), "sessionid": session, "status": status, LANGUAGE: "en"}
    element = ET.Element(f"{{{ns.COMMANDS}}}command", attributes)
    element.extend(children)
    return element


async def _prefill(entity: Entity, command: Command, caller: Caller) -> Mapping[str, str]:
    """Return what the form of a command begins with; nothing, where that cannot be read now."""
    if command.prefill is None:
        return {}
    try:
        return await command.prefill(entity, caller)
    except (VirtError, StoreError) as error:
        log.info("%s: the form of %s begins empty: %s", entity.bare, command.request.action, error)
        return {}


def _actions() -> ET.Element:
    """Return what a client may do with a form: without these, its button would be called "next" (XEP-0050, 3.4)."""
    actions = ET.Element(f"{{{ns.COMMANDS}}}actions", {"execute": "complete"})
    ET.SubElement(actions, f"{{{ns.COMMANDS}}}complete")
    return actions


def _form(command: Command, fields: tuple[FormField, ...], values: Mapping[str, str]) -> ET.Element:
    form = ET.Element(f"{{{ns.DATA_FORMS}}}x", {"type": "form"})
    ET.SubElement(form, f"{{{ns.DATA_FORMS}}}title").text = command.help
    if command.confirm:
        ET.SubElement(form, f"{{{ns.DATA_FORMS}}}instructions").text = command.confirm
    for found in fields:
        form.append(_field(found, values.get(found.name, found.default)))
    return form


def _field(found: FormField, value: str) -> ET.Element:
    field = ET.Element(f"{{{ns.DATA_FORMS}}}field", {"var": found.name, "type": found.kind, "label": found.name})
    if found.description:
        ET.SubElement(field, f"{{{ns.DATA_FORMS}}}desc").text = found.description
    if found.required:
        ET.SubElement(field, f"{{{ns.DATA_FORMS}}}required")
    for line in value.split("\n") if value else ():  # XEP-0004, 3.3: each line is a value; what has one line has one
        ET.SubElement(field, f"{{{ns.DATA_FORMS}}}value").text = line
    for choice, label in found.options:
        option = ET.SubElement(field, f"{{{ns.DATA_FORMS}}}option", {"label": label})
        ET.SubElement(option, f"{{{ns.DATA_FORMS}}}value").text = choice
    return field


def _read_form(form: ET.Element | None) -> dict[str, str]:
    """Return the values that were filled in; what was left empty counts as left out."""
    values = {} if form is None else {field.get("var", ""): _value(field) for field in form.iter(f"{{{ns.DATA_FORMS}}}field")}
    return {name: value for name, value in values.items() if value and name != "FORM_TYPE"}


def _value(field: ET.Element) -> str:
    """Return what was filled in; of several lines each is a value of its own."""
    return "\n".join(value.text or "" for value in children_named(field, "value"))
