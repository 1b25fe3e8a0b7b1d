# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What XEP-0050 and XEP-0004 ask of an answer to a command, written from those documents."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

COMMANDS, FORMS, STANZAS = "http://jabber.org/protocol/commands", "jabber:x:data", "urn:ietf:params:xml:ns:xmpp-stanzas"
FIELD_TYPES = frozenset(
    {"boolean", "fixed", "hidden", "jid-multi", "jid-single", "list-multi", "list-single", "text-multi", "text-private", "text-single"}
)
SINGLE = frozenset({"boolean", "jid-single", "list-single", "text-private", "text-single"})
# XEP-0050, 4.4: error type and general condition of each condition of its own.
OWN_CONDITIONS = {
    "malformed-action": ("modify", "bad-request"),
    "bad-action": ("modify", "bad-request"),
    "bad-locale": ("modify", "bad-request"),
    "bad-payload": ("modify", "bad-request"),
    "bad-sessionid": ("modify", "bad-request"),
    "session-expired": ("cancel", "not-allowed"),
}


def broken_rules(iq: ET.Element, node: str) -> list[str]:
    """Return the rules that an answer to the command ``node`` breaks."""
    if iq.get("type") == "error":
        return list(_check_error(iq))
    if [part.tag for part in iq] != [f"{{{COMMANDS}}}command"]:
        return ["a result holds one command"]
    return list(_check_command(iq[0], node))


def _check_error(iq: ET.Element) -> Iterator[str]:
    error = next((part for part in iq if part.tag.endswith("}error")), None)
    if error is None:
        yield "an error stanza holds an error"
        return
    conditions = [part.tag.partition("}")[2] for part in error if part.tag.startswith(f"{{{STANZAS}}}") and not part.tag.endswith("}text")]
    own = [part.tag.partition("}")[2] for part in error if not part.tag.startswith(f"{{{STANZAS}}}")]
    if error.get("type") not in {"auth", "cancel", "continue", "modify", "wait"}:
        yield f"no type of error: {error.get('type')}"
    if len(conditions) != 1 or len(own) > 1:
        yield f"one condition and at most one of the application, not {conditions} and {own}"
    for name in own:
        if name in OWN_CONDITIONS and OWN_CONDITIONS[name] != (error.get("type"), conditions[0]):
            yield f"{name} goes with {OWN_CONDITIONS[name]}, not with {error.get('type')} {conditions}"
    if not (error.findtext(f"{{{STANZAS}}}text") or "").strip():
        yield "an error says what is wrong"


def _check_command(command: ET.Element, node: str) -> Iterator[str]:
    status, actions = command.get("status"), command.find(f"{{{COMMANDS}}}actions")
    notes, form = command.findall(f"{{{COMMANDS}}}note"), command.find(f"{{{FORMS}}}x")
    if command.get("node") != node:
        yield f"the node is kept: {command.get('node')}"
    if not command.get("sessionid"):
        yield "there is a session"
    if status not in {"executing", "completed", "canceled"}:
        yield f"no status: {status}"
    if command.get("action"):
        yield "the action is the requester's to set"
    for note in notes:
        if note.get("type", "info") not in {"info", "warn", "error"} or not (note.text or "").strip():
            yield "a note is info, warn or error, and says something"
    if status == "executing":
        yield from _check_stage(actions, form)
    elif actions is not None or (form is not None and form.get("type") != "result"):
        yield f"what is {status} has no actions and no form to fill in"
    if status == "completed" and not notes and form is None:
        yield "who did something is told how it went"


def _check_stage(actions: ET.Element | None, form: ET.Element | None) -> Iterator[str]:
    allowed = [] if actions is None else [part.tag.partition("}")[2] for part in actions]
    if not allowed or not set(allowed) <= {"prev", "next", "complete"}:
        yield f"the actions of a stage are among prev, next, complete, not {allowed}"
    if actions is not None and actions.get("execute") not in allowed:
        yield f"execute stands for one of {allowed}, not for {actions.get('execute')}"
    if form is None or form.get("type") != "form":
        yield "a stage has a form"
        return
    if not form.findtext(f"{{{FORMS}}}title"):
        yield "a form has a title"
    names = [field.get("var") for field in form.findall(f"{{{FORMS}}}field")]
    if len(set(names)) < len(names):
        yield f"each field has a name of its own: {names}"
    for field in form.findall(f"{{{FORMS}}}field"):
        yield from (f"{field.get('var')}: {wrong}" for wrong in _check_field(field))


def _check_field(field: ET.Element) -> Iterator[str]:
    kind = field.get("type", "text-single")
    values = [value.text or "" for value in field.findall(f"{{{FORMS}}}value")]
    options = [option.findtext(f"{{{FORMS}}}value") for option in field.findall(f"{{{FORMS}}}option")]
    parts = [part.tag.partition("}")[2] for part in field]
    if parts != sorted(parts, key=("desc", "required", "value", "option").index) or parts.count("desc") > 1:
        yield f"a field has its parts in the order of the schema, and one description: {parts}"
    if kind not in FIELD_TYPES:
        yield f"no type of field: {kind}"
    if kind != "fixed" and not field.get("var"):
        yield "a field has a name"
    if kind in SINGLE and len(values) > 1:
        yield f"one value, not {values}"
    if kind == "boolean" and not set(values) <= {"0", "1", "true", "false"}:
        yield f"no boolean: {values}"
    if kind.startswith("list-") != bool(options) or None in options or len(set(options)) < len(options):
        yield f"a list, and nothing else, has options, each once: {options}"
    if kind == "list-single" and not set(values) <= set(options):
        yield f"what is chosen already can be chosen: {values} of {options}"
    if kind == "boolean" and not values and field.find(f"{{{FORMS}}}required") is None:
        yield "a check mark that may be left out shows what that means"
