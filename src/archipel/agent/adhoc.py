# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same commands as XEP-0050 ad-hoc commands: any ordinary XMPP client then has a menu of them, and forms for what they need.

One step each: a command without fields is done at once. One with fields, or that destroys something, answers a form and is done
when that comes back, once. A program that knows the fields may send them at once, without a session.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.adhoc_sessions import Unacceptable
from archipel.agent.dispatch import Caller, Command, run_command
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, CommandError, Condition, ErrorCode
from archipel.protocol.forms import FormField, form_fields, request_element
from archipel.protocol.xml import child_named
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

ACTIONS: Final = ("execute", "complete", "next", "prev", "cancel")
LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"


def node_of(command: Command) -> str:
    """Return the name of a command among all commands of an entity."""
    return f"{command.request.namespace}#{command.request.action}"


def list_commands(entity: Entity, caller: Caller) -> Iterator[Command]:
    """Yield the commands that this caller may use and that a form can ask for."""
    for command in entity.services.registry.commands(entity.kind):
        may = command.right is None or entity.decide(caller.bare, command.right).allowed
        if may and form_fields(command.request) is not None:
            yield command


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
    fields, confirm = form_fields(command.request) or (), command.confirm
    if (fields or confirm) and form is None:
        session = entity.sessions.begin(caller.full, node, session)
        return _command(command, session, "executing", _actions(), _form(command, fields, confirm))
    return await _finish(entity, command, _read_form(form), session, caller)


async def _finish(entity: Entity, command: Command, values: dict[str, str], session: str, caller: Caller) -> ET.Element:
    """Do a command with the values of its form; who filled in something wrong may send it again."""
    try:
        said = await run_command(entity, command, request_element(command.request, values), caller)
    except BadRequest:
        if session:
            entity.sessions.reopen(caller.full, node_of(command), session)
        raise
    note = ET.Element(f"{{{ns.COMMANDS}}}note", {"type": "info"})
    note.text = command.spoken.say(said) if command.spoken else "Done."
    return _command(command, session or secrets.token_hex(8), "completed", note)


def _find(entity: Entity, node: str, caller: Caller) -> Command:
    found = next((command for command in list_commands(entity, caller) if node_of(command) == node), None)
    if found is None:
        raise CommandError(f"no command {node!r} here that you may use", ErrorCode.NOT_IMPLEMENTED, Condition.ITEM_NOT_FOUND)
    return found


def _command(command: Command, session: str, status: str, *children: ET.Element) -> ET.Element:
    attributes = {"node": node_of(command), "sessionid": session, "status": status, LANGUAGE: "en"}
    element = ET.Element(f"{{{ns.COMMANDS}}}command", attributes)
    element.extend(children)
    return element


def _actions() -> ET.Element:
    """Return what a client may do with a form: without these, its button would be called "next" (XEP-0050, 3.4)."""
    actions = ET.Element(f"{{{ns.COMMANDS}}}actions", {"execute": "complete"})
    ET.SubElement(actions, f"{{{ns.COMMANDS}}}complete")
    return actions


def _form(command: Command, fields: tuple[FormField, ...], instructions: str) -> ET.Element:
    form = ET.Element(f"{{{ns.DATA_FORMS}}}x", {"type": "form"})
    ET.SubElement(form, f"{{{ns.DATA_FORMS}}}title").text = command.help
    if instructions:
        ET.SubElement(form, f"{{{ns.DATA_FORMS}}}instructions").text = instructions
    for found in fields:
        form.append(_field(found))
    return form


def _field(found: FormField) -> ET.Element:
    field = ET.Element(f"{{{ns.DATA_FORMS}}}field", {"var": found.name, "type": found.kind, "label": found.name})
    if found.required:
        ET.SubElement(field, f"{{{ns.DATA_FORMS}}}required")
    if found.default:
        ET.SubElement(field, f"{{{ns.DATA_FORMS}}}value").text = found.default
    for value, label in found.options:
        option = ET.SubElement(field, f"{{{ns.DATA_FORMS}}}option", {"label": label})
        ET.SubElement(option, f"{{{ns.DATA_FORMS}}}value").text = value
    return field


def _read_form(form: ET.Element | None) -> dict[str, str]:
    """Return the values that were filled in; what was left empty counts as left out."""
    values = {} if form is None else {field.get("var", ""): _value(field) for field in form.iter(f"{{{ns.DATA_FORMS}}}field")}
    return {name: value for name, value in values.items() if value and name != "FORM_TYPE"}


def _value(field: ET.Element) -> str:
    found = child_named(field, "value")
    return "" if found is None else found.text or ""
