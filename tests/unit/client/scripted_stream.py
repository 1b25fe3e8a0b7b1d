# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream that follows a script: exact stanzas out, exact stanzas in, no server."""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict, deque
from collections.abc import Callable
from xml.etree import ElementTree as ET

from slixmpp import JID
from slixmpp.xmlstream import tostring

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import read_error
from archipel.xmpp.errors import WireError
from archipel.xmpp.stream import LOGIN_DEADLINE, Lost

OWN = "alice@example.org"
OWN_FULL = f"{OWN}/here"
HYPERVISOR = "hyp@example.org"
HYPERVISOR_FULL = f"{HYPERVISOR}/host"
UUID = "6f0c0000-0000-4000-8000-000000000001"
MACHINE = f"{UUID}@example.org"
MACHINE_FULL = f"{MACHINE}/hyp"
PUBSUB = "pubsub.example.org"


def stanza(text: str) -> ET.Element:
    """Return the element that a stream would hand over for this text."""
    return ET.fromstring(f"<stream xmlns='{ns.CLIENT}'>{text}</stream>")[0]


def on_the_wire(element: ET.Element) -> str:
    """Return the text that a stream would send; payloads without a namespace are shown in that of their query."""
    copied = copy.deepcopy(element)
    for parent in copied.iter():
        for child in parent:
            if "}" not in child.tag:
                child.tag = f"{parent.tag.partition('}')[0]}}}{child.tag}"
    return str(tostring(copied, xmlns=ns.CLIENT))


def normal(text: str) -> str:
    """Return the text of a stanza as :func:`on_the_wire` writes it."""
    return on_the_wire(stanza(text))


def command(kind: str, to: str, namespace: str, request: str) -> str:
    """Return the text of a command."""
    return f"<iq type='{kind}' to='{to}'><query xmlns='{namespace}'>{request}</query></iq>"


def vm_command(kind: str, request: str) -> str:
    return command(kind, MACHINE_FULL, ns.VM_CONTROL, request)


def error(condition: str, *more: str, code: int = 0) -> str:
    """Return the ``<error/>`` of an answer."""
    return f"<error code='{code}' type='cancel'><{condition} xmlns='{ns.STANZAS}'/>{''.join(more)}</error>"


def no_right(right: str) -> str:
    application = f"<archipel-error-permission xmlns='{ns.ERROR_PERMISSION}' right='{right}'/>"
    return error("forbidden", f"<text xmlns='{ns.STANZAS}'>You lack the right {right}</text>", application, code=-1)


Answer = str | ET.Element | WireError


class ScriptedStream:
    """Stands in for :class:`archipel.xmpp.stream.Stream`.

    :meth:`answer` says what an IQ is answered with: the content of the result, an ``<error/>``, or an exception. An IQ that
    is not in the script fails the test, unless ``anything`` answers all. ``sent`` is what else was transmitted, ``asked`` the IQs, as text.
    """

    def __init__(self) -> None:
        self.boundjid = JID(OWN_FULL)
        self.requested_jid = JID(OWN)
        self.end_session_on_disconnect = True
        self.on_request: Callable[[ET.Element], None] = lambda _element: None
        self.on_message = self.on_presence = self.on_request
        self.lost: asyncio.Future[Lost]
        self.sent: list[str] = []
        self.asked: list[str] = []
        self.logins: list[tuple[str | None, int | None]] = []
        self.refusal: WireError | None = None
        self.logged_out = False
        self.answers_to: Callable[[str], None] = lambda _text: None
        self.when_asked: Callable[[str], None] = lambda _text: None
        self.anything: Answer | None = None
        self.most_in_flight = self._in_flight = 0
        self._script: defaultdict[str, deque[Answer]] = defaultdict(deque)

    def answer(self, iq: str, *answers: Answer) -> None:
        """Script the answers to an IQ, one after the other; the last one stays."""
        self._script[normal(iq)].extend(answers)

    def replace(self, iq: str, *answers: Answer) -> None:
        """Script other answers to an IQ than before."""
        self._script[normal(iq)].clear()
        self.answer(iq, *answers)

    def deliver_soon(self, text: str) -> None:
        """Let a stanza come in a moment later, as an answer does."""
        asyncio.get_running_loop().call_soon(self.deliver, text)

    def deliver(self, text: str) -> None:
        """Let a stanza come in."""
        self.take(stanza(text))

    def take(self, element: ET.Element) -> None:
        """Let an element come in."""
        take = {"message": self.on_message, "presence": self.on_presence, "iq": self.on_request}
        take[element.tag.partition("}")[2]](element)

    def break_off(self, reason: str = "gone") -> None:
        """Let the connection break."""
        self.lost.set_result(Lost(reason))

    # -- what a session uses --------------------------------------------------------------------------------------------

    async def login(self, host: str | None, port: int | None, deadline: float = LOGIN_DEADLINE) -> bool:
        assert deadline > 0
        self.logins.append((host, port))
        if self.refusal is not None:
            raise self.refusal
        self.lost = asyncio.get_running_loop().create_future()
        return False

    def abort(self) -> None:
        self.lost.set_result(Lost("aborted"))

    async def logout(self) -> None:
        self.logged_out = True

    def transmit(self, element: ET.Element) -> None:
        self.sent.append(on_the_wire(element))
        self.answers_to(self.sent[-1])

    async def request(self, iq: ET.Element, timeout: float = 0) -> ET.Element:
        text = on_the_wire(iq)
        self.asked.append(text)
        self.when_asked(text)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        await asyncio.sleep(0)
        self._in_flight -= 1
        if self.anything is not None:
            return _result(iq, self.anything)
        assert text in self._script, f"not in the script: {text}"
        answers = self._script[text]
        return _result(iq, answers.popleft() if len(answers) > 1 else answers[0])


def _result(iq: ET.Element, answer: Answer) -> ET.Element:
    if isinstance(answer, WireError):
        raise answer
    if isinstance(answer, ET.Element):
        result = ET.Element(f"{{{ns.CLIENT}}}iq", {"type": "result", "from": iq.get("to", "")})
        result.append(answer)
        return result
    kind = "error" if answer.startswith("<error") else "result"
    result = stanza(f"<iq type='{kind}' from='{iq.get('to', '')}'>{answer}</iq>")
    if kind == "error":
        raise read_error(result)
    return result
