# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways out: each takes one letter to where it goes, and says what went wrong.

Mail servers and web services are spoken to in threads of their own, which nobody waits for at the end of the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import json
import logging
import smtplib
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Final

from archipel.agent.notifier.occurrences import Occurrence, plain
from archipel.agent.notifier.routes import Mail, Webhook

log = logging.getLogger(__name__)

TIMEOUT: Final = 10.0  # seconds without a byte
DEADLINE: Final = 30.0  # seconds for one letter
MOST_LINES: Final = 50  # of a letter
AGAIN: Final = frozenset({408, 425, 429})  # answers below 500 that ask to try again


class DeliveryFailed(Exception):
    """A letter did not arrive; says why, without any secret. ``lasting``: to try again is no use."""

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


@dataclass(frozen=True)
class Letter:
    """What one delivery carries: some occurrences of a host, and how many were left out. ``key`` is the same in each attempt."""

    host: str
    route: str
    occurrences: tuple[Occurrence, ...]
    left_out: int = 0
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def subject(self) -> str:
        """The letter in one line."""
        first = self.occurrences[0].text
        more = len(self.occurrences) + self.left_out - 1
        return plain(f"[{self.host}] {first}" if not more else f"[{self.host}] {more + 1} events: {first}")

    @property
    def text(self) -> str:
        """The letter for people, a line for each occurrence."""
        lines = [each.line() for each in self.occurrences[:MOST_LINES]]
        more = len(self.occurrences) - len(lines) + self.left_out
        return "\n".join([*lines, *([f"... and {more} more"] if more else [])])

    def document(self) -> dict[str, Any]:
        """Return the letter as JSON values."""
        events = [each.document() for each in self.occurrences]
        return {"host": self.host, "route": self.route, "id": self.key, "events": events, "left_out": self.left_out}


class Errand:
    """Work in a thread of its own; :meth:`run` ends it by ending its connection."""

    def __init__(self, work: Callable[[Errand], None]) -> None:
        self._work = work
        self._connection: Any = None

    def hold(self, connection: Any) -> None:
        """Say which connection the work waits for."""
        self._connection = connection

    async def run(self, deadline: float = DEADLINE) -> None:
        """Do the work. Raises what it raises, and :class:`DeliveryFailed` when the time is over."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def end(error: Exception | None) -> None:
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def run() -> None:
            failed: Exception | None = None
            try:
                self._work(self)
            except Exception as error:  # noqa: BLE001 - the work's own, whatever it is: it is raised again on the loop
                failed = error
            with contextlib.suppress(RuntimeError):  # a closed loop belongs to an agent that has stopped
                loop.call_soon_threadsafe(end, failed)

        threading.Thread(target=run, name="notifier", daemon=True).start()
        try:
            async with asyncio.timeout(deadline) as limit:
                await done
        except TimeoutError as error:  # of the limit, or of the work's own connection
            reason = f"nothing was finished within {deadline:g} s" if limit.expired() else f"no answer within {TIMEOUT:g} s"
            raise DeliveryFailed(reason) from error
        finally:
            self._break_off()

    def _break_off(self) -> None:
        sock = getattr(self._connection, "sock", None)
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


# -- mail -----------------------------------------------------------------------------------------------------------------


async def send_mail(way: Mail, letter: Letter) -> None:
    """Send a letter as mail. Raises :class:`DeliveryFailed`."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = way.sender, ", ".join(way.to), letter.subject
    message["Date"], message["Message-ID"] = formatdate(localtime=True), f"<{letter.key}@{way.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's machine shall answer
    message.set_content(letter.text)
    try:
        await Errand(lambda errand: _mail(errand, way, message)).run()
    except smtplib.SMTPResponseException as error:
        raise DeliveryFailed(
            f"{way.server} answers {error.smtp_code}: {_words(error.smtp_error)}", lasting=error.smtp_code >= 500
        ) from error
    except smtplib.SMTPRecipientsRefused as error:
        code, told = next(iter(error.recipients.values()))
        raise DeliveryFailed(f"{way.server} takes none of the recipients ({code}: {_words(told)})", lasting=code >= 500) from error
    except ssl.SSLCertVerificationError as error:
        raise DeliveryFailed(f"the certificate of {way.server} does not count ({error.verify_message})", lasting=True) from error
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryFailed(f"{way.server} does not do what is needed: {error}", lasting=True) from error
    except OSError as error:  # smtplib's other errors are OSErrors, too
        raise DeliveryFailed(f"{way.server} cannot be used: {_reason(error)}") from error


def _mail(errand: Errand, way: Mail, message: EmailMessage) -> None:
    server = _open_smtp(way)
    with server:
        errand.hold(server)
        if way.security == "starttls":
            server.starttls(context=way.tls)
        if way.password is not None:
            server.login(way.user, way.password.reveal())
        for who, (code, words) in server.send_message(message).items():
            log.warning("%s does not take mail for %s: %s %s", way.server, who, code, _words(words))


def _open_smtp(way: Mail) -> smtplib.SMTP:
    if way.security == "tls":
        return smtplib.SMTP_SSL(way.server, way.port, timeout=TIMEOUT, context=way.tls)
    return smtplib.SMTP(way.server, way.port, timeout=TIMEOUT)


def _words(text: bytes | str) -> str:
    return plain(text.decode(errors="replace") if isinstance(text, bytes) else text)


# -- webhook --------------------------------------------------------------------------------------------------------------


async def send_webhook(way: Webhook, letter: Letter) -> None:
    """Post a letter as JSON. Raises :class:`DeliveryFailed`; a redirection is a failure: the configuration says where it goes."""
    body = json.dumps(letter.document()).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Archipel", "X-Archipel-Delivery": letter.key}
    if way.secret is not None:
        headers |= sign(way.secret.reveal().encode(), body, int(time.time()))
    try:
        await Errand(lambda errand: _post(errand, way, body, headers)).run()
    except ssl.SSLCertVerificationError as error:
        raise DeliveryFailed(f"the certificate of {way.url.origin} does not count ({error.verify_message})", lasting=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryFailed(f"{way.url.origin} cannot be used: {_reason(error)}") from error


def sign(secret: bytes, body: bytes, moment: int) -> dict[str, str]:
    """Return the headers by which a receiver knows who posted ``body``, and when: HMAC-SHA256 of moment, a dot and body."""
    signature = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Archipel-Timestamp": str(moment), "X-Archipel-Signature": f"sha256={signature}"}


def _post(errand: Errand, way: Webhook, body: bytes, headers: dict[str, str]) -> None:
    url = way.url
    connection = _open_http(way)
    try:
        connection.connect()
        errand.hold(connection)
        connection.request("POST", url.path, body, headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise DeliveryFailed(f"{url.origin} answers {status}", lasting=status < 500 and status not in AGAIN)


def _open_http(way: Webhook) -> http.client.HTTPConnection:
    if way.tls is not None:
        return http.client.HTTPSConnection(way.url.host, way.url.port, timeout=TIMEOUT, context=way.tls)
    return http.client.HTTPConnection(way.url.host, way.url.port, timeout=TIMEOUT)


def _reason(error: Exception) -> str:
    return plain(str(getattr(error, "strerror", None) or error) or type(error).__name__)
