# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One account's stream: slixmpp for negotiation, TLS, SASL and stream management; stanzas as plain elements above it.

slixmpp's own roster, presence and IQ machinery is left out: it keeps objects for every stranger who ever sent a presence.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from slixmpp import JID, InvalidJID

from archipel.protocol.errors import read_error
from archipel.xmpp import stanzas
from archipel.xmpp.direct import DirectStream
from archipel.xmpp.errors import (
    Disconnected,
    LoginFailed,
    LoginRefused,
    NoAnswer,
    ServerUnreachable,
    UntrustedServer,
    WireError,
)
from archipel.xmpp.scram import mend_slixmpp

log = logging.getLogger(__name__)

LOGIN_DEADLINE = 30.0  # seconds; ejabberd's own negotiation_timeout is 30 s, no login is worth waiting for beyond it
ANSWER_DEADLINE = 30.0  # seconds until an unanswered request fails, unless the caller knows better
KEEPALIVE = 300  # seconds between white spaces on an idle stream
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})  # OpenSSL's X509_V_ERR_*: self-signed, or an issuer that nobody here knows
STRONG_MECHANISMS = frozenset({"SCRAM-SHA-256", "SCRAM-SHA-512"})  # not -PLUS: Python has no channel binding for TLS 1.3
FAREWELL_DEADLINE = 2.0  # seconds for the server to say goodbye; the account of a machine that leaves, or of an agent that stops
ABORT_DEADLINE = 1.0  # seconds for the loop to tell that an aborted connection is gone

mend_slixmpp()
# Programs that log nothing would have slixmpp's errors on their terminal; each of them is raised here in better words.
logging.getLogger("slixmpp").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Lost:
    """Why a session ended; ``conflict``: somebody else logged in with the same full JID; ``rest``: seconds to wait now."""

    reason: str
    conflict: bool = False
    rest: float = 0.0


def _ignore(_element: ET.Element) -> None:
    """Do nothing with a stanza that nobody asked for."""


class Stream(DirectStream):
    """An XMPP account's connection; ``on_request``, ``on_message`` and ``on_presence`` take what comes in.

    ``tls`` None means no encryption at all, for whoever asked for that by name. ``allow_plain`` permits PLAIN inside TLS
    (people whose accounts come from LDAP).
    """

    def __init__(self, jid: str, password: str, tls: ssl.SSLContext | None, *, resume: bool = False, allow_plain: bool = False) -> None:
        super().__init__(jid, password, ssl_context=tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self.whitespace_keepalive_interval = KEEPALIVE
        self.enable_direct_tls = False
        self.enable_starttls = tls is not None
        self.enable_plaintext = tls is None
        self.use_aiodns = True
        self.on_request: Callable[[ET.Element], None] = _ignore
        self.on_message: Callable[[ET.Element], None] = _ignore
        self.on_presence: Callable[[ET.Element], None] = _ignore
        self._pending: dict[str, tuple[str | None, asyncio.Future[ET.Element]]] = {}
        self._counter = 0
        self._login: asyncio.Future[bool] | None = None
        self._failure: WireError | None = None
        self._conflict = False
        self._greeted = False
        self.lost: asyncio.Future[Lost] = self.loop.create_future()
        self._restrict_mechanisms(allow_plain, encrypted=tls is not None)
        self._follow_session()
        if resume:
            self.manage_stream()

    # -- life of a session ----------------------------------------------------------------------------------------------

    async def login(self, host: str | None, port: int | None, deadline: float = LOGIN_DEADLINE) -> bool:
        """Connect and log in; return whether the former session was resumed (then nothing was lost).

        Without ``host`` the server's SRV records decide. Raises :class:`ServerUnreachable`, :class:`UntrustedServer`,
        :class:`LoginRefused` or :class:`LoginFailed`.
        """
        self._login = self.loop.create_future()
        self._failure, self._conflict, self._greeted = None, False, False
        if self.lost.done():
            self.lost = self.loop.create_future()
        self.connect(host, port)
        done = False
        try:
            async with asyncio.timeout(deadline):
                resumed = await self._login
            done = True
        except TimeoutError:
            raise LoginFailed(f"the login did not end within {deadline:g} s") from None
        finally:
            self._login = None
            if not done:
                await self._drop()
        return resumed

    async def _drop(self) -> None:
        """Abort the connection and wait until its end was told, so that the next login does not hear of it."""
        self.cancel_connection_attempt()
        if self.transport is not None:
            self.abort()
            await asyncio.wait({self.lost}, timeout=ABORT_DEADLINE)
        await self._end_sender()

    async def logout(self) -> None:
        """End the session in good order.

        Only a session that could be resumed waits for the server's farewell, which ejabberd delays by a tenth of a second: a
        connection that is closed with something unread is reset, and the server would keep the session as one that was cut.
        What came is acknowledged: the server returns the rest to the senders, who must not hear of it twice.
        """
        self.cancel_connection_attempt()
        if self.transport is not None:
            self._flush()
            self.transport.write(f"{self._ack()}{self.stream_footer}".encode())
            if self.managed:
                await asyncio.wait({self.lost}, timeout=FAREWELL_DEADLINE)
        if self.transport is not None:
            self.transport.close()
            await asyncio.wait({self.lost}, timeout=ABORT_DEADLINE)
        await self._end_sender()
        self._fail_pending(Disconnected("logged out"))

    async def _end_sender(self) -> None:
        """End slixmpp's sender, which would wait for ever; the next login starts another."""
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()
            await asyncio.wait({self._run_out_filters})

    @property
    def online(self) -> bool:
        """Whether a session stands and its connection too."""
        return self._session_started and self.transport is not None

    # -- stanzas --------------------------------------------------------------------------------------------------------

    async def request(self, iq: ET.Element, timeout: float = ANSWER_DEADLINE) -> ET.Element:
        """Send an IQ of type get or set and return its result.

        Raises the typed error of the answer (:class:`~archipel.protocol.errors.CommandError`), :class:`NoAnswer` after
        ``timeout`` seconds, :class:`Disconnected` at once when there is no session or it ends meanwhile. While a broken
        connection may still be resumed, the request waits for that.
        """
        if not self.online and self.end_session_on_disconnect:
            raise Disconnected("not connected to the XMPP server")
        self._counter += 1
        key = f"{self.stream_id or ''}-{self._counter}"
        iq.set("id", key)
        future: asyncio.Future[ET.Element] = self.loop.create_future()
        self._pending[key] = (iq.get("to"), future)
        self.transmit(iq)
        try:
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError:
            raise NoAnswer(f"{iq.get('to') or 'the server'} did not answer within {timeout:g} s") from None
        finally:
            self._pending.pop(key, None)
        if answer.get("type") == "error":
            raise read_error(answer)
        return answer

    def take_stanza(self, element: ET.Element) -> None:
        """Hand a stanza to whoever waits for it."""
        if element.tag == stanzas.MESSAGE:
            self.on_message(element)
        elif element.tag == stanzas.PRESENCE:
            self.on_presence(element)
        elif element.get("type") in {"get", "set"}:
            self.on_request(element)
        else:
            self._take_answer(element)

    # -- inside ---------------------------------------------------------------------------------------------------------

    def _restrict_mechanisms(self, allow_plain: bool, *, encrypted: bool) -> None:
        mechanisms: Any = self.plugin["feature_mechanisms"]
        mechanisms.unencrypted_scram = not encrypted
        mechanisms.use_mechs = set(STRONG_MECHANISMS) | ({"PLAIN"} if allow_plain else set())

    def _follow_session(self) -> None:
        self.add_event_handler("session_start", lambda _event: self._finish_login(resumed=False))
        self.add_event_handler("session_resumed", lambda _event: self._finish_login(resumed=True))
        self.add_event_handler("session_bind", self._check_binding)
        self.add_event_handler("session_end", lambda _event: self._fail_pending(Disconnected("the session ended")))
        self.add_event_handler("disconnected", self._note_disconnected)
        self.add_event_handler("connection_failed", self._note_unreachable)
        self.add_event_handler("failed_all_auth", self._note_refused)
        self.add_event_handler("ssl_invalid_chain", self._note_untrusted)
        self.add_event_handler("stream_error", self._note_stream_error)

    async def _handle_stream_features(self, features: Any) -> bool | None:
        """Go on only as far as encryption and authentication have come: whoever is on the way could offer a session at once."""
        self._greeted = True
        offered = features["features"]
        if self.enable_starttls and "starttls" not in self.features and "starttls" not in offered:
            self._distrust("the XMPP server offers no encryption (STARTTLS)")
            return True
        encrypted = not self.enable_starttls or "starttls" in self.features
        if not self.enable_starttls and "starttls" in offered and "mechanisms" not in offered:
            self._distrust("the XMPP server demands encryption (STARTTLS), and this login was told to go without")
            return True
        if encrypted and not self.authenticated and "mechanisms" not in offered:
            self._distrust("the XMPP server asks for no authentication")
            return True
        return await super()._handle_stream_features(features)

    async def start_tls(self) -> bool:
        """Encrypt the connection; one that breaks meanwhile ends the login, of which slixmpp tells nobody."""
        encrypted = await super().start_tls()
        if not encrypted:
            self._fail_login(self._failure or LoginFailed("the connection broke during the login, while it was to be encrypted"))
        return encrypted

    def _distrust(self, why: str) -> None:
        self._failure = UntrustedServer(why)
        self._fail_login(self._failure)
        self.abort()

    def _finish_login(self, *, resumed: bool) -> None:
        if not self.authenticated or (self.enable_starttls and "starttls" not in self.features):
            self._distrust("the XMPP server began a session without encryption or authentication")
        elif self._login is not None and not self._login.done():
            self._login.set_result(resumed)

    def _check_binding(self, jid: JID) -> None:
        """Slixmpp takes a refused binding of the resource for one to an empty address."""
        if not jid.full:
            self._failure = LoginFailed("the XMPP server refused this account the resource; too many sessions, perhaps")
            self._fail_login(self._failure)

    def _fail_login(self, error: WireError) -> None:
        if self._login is not None and not self._login.done():
            self._login.set_exception(error)

    def _note_unreachable(self, reason: object) -> None:
        self.cancel_connection_attempt()
        self._fail_login(ServerUnreachable(f"cannot connect to the XMPP server: {reason}"))

    def _note_untrusted(self, reason: object) -> None:
        # A connection that is cut in the middle of the handshake ends in errors of TLS, too, and is as good as ever the next time.
        if isinstance(reason, ssl.SSLCertVerificationError):
            advice = "; name the authority that vouches for it (ca_file)" if reason.verify_code in _UNKNOWN_AUTHORITY else ""
            self._failure = UntrustedServer(f"the XMPP server's certificate is not trusted: {reason}{advice}")
        else:
            self._failure = LoginFailed(f"the XMPP server and this side do not agree on encryption: {reason}")
        self._fail_login(self._failure)
        self.abort()

    def _note_refused(self, _event: object) -> None:
        if "starttls" not in self.features and self.enable_starttls:
            self._failure = UntrustedServer("the XMPP server offers no encryption (STARTTLS)")
        else:
            self._failure = LoginRefused(self._why_refused())
        self._fail_login(self._failure)

    def _why_refused(self) -> str:
        mechanisms: Any = self.plugin["feature_mechanisms"]
        if mechanisms.mech_list and not mechanisms.mech_list & mechanisms.use_mechs:
            offered = ", ".join(sorted(mechanisms.mech_list))
            return f"the XMPP server offers this account no safe way to log in, only {offered}: have it offer SCRAM-SHA-256"
        return "the XMPP server does not accept this account and password (SCRAM)"

    def _note_stream_error(self, error: Any) -> None:
        self._conflict = error["condition"] == "conflict"
        self._failure = LoginFailed(f"the XMPP server ended the stream: {error['condition']} {error['text']}".strip())

    def _note_disconnected(self, reason: object) -> None:
        if isinstance(reason, ssl.SSLError):
            self._note_untrusted(reason)
        # Whoever accepts connections and says nothing is no server, but perhaps a proxy that has none behind it.
        failure = LoginFailed if self._greeted else ServerUnreachable
        self._fail_login(self._failure or failure(f"the connection broke during the login: {reason or 'closed'}"))
        if self.end_session_on_disconnect or self._conflict:  # who was replaced does not come back to this session
            self._fail_pending(Disconnected("the connection to the XMPP server broke"))
        if not self.lost.done():
            self.lost.set_result(Lost(str(self._failure or reason or "closed"), self._conflict))

    def _fail_pending(self, error: WireError) -> None:
        self.withdraw_requests()
        for _to, future in self._pending.values():
            if not future.done():
                future.set_exception(error)
        self._pending.clear()

    def _take_answer(self, iq: ET.Element) -> None:
        to, future = self._pending.get(iq.get("id", ""), (None, None))
        if future is not None and not future.done() and self._may_answer(to, iq.get("from")):
            future.set_result(iq)

    def _may_answer(self, asked: str | None, answering: str | None) -> bool:
        """Whether an answer comes from whom was asked (RFC 6120, 8.1.2.1 and RFC 6121 on the own server)."""
        try:
            if answering is None:
                return asked is None or JID(asked).bare in {self.boundjid.bare, self.boundjid.host}
            if asked is None:
                return answering in {self.boundjid.bare, self.boundjid.full, self.boundjid.host}
            return bool(asked == answering or JID(asked) == JID(answering))
        except InvalidJID:
            return False
