# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMU guest agent: its calls, for threads, and its answers, which are whatever the guest likes to say.

Every function blocks, at most about the time-outs below, and raises :data:`VirFailure` or :class:`MalformedGuestAnswer`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import libvirt
import libvirt_qemu

from archipel.agent.virt import binding, interfaces
from archipel.agent.virt.binding import VirDomain, VirFailure
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.interfaces import AddressSource, InterfaceAddresses

ANSWER_TIMEOUT: Final = 5  # seconds for one answer; libvirt waits as long for the guest agent to be there at all
BRIEF_TIMEOUT: Final = 2  # seconds for an answer where many guests are asked: as long one that is silent occupies a thread
SLOW_TIMEOUT: Final = 20  # seconds for what waits for the guest's disks
LONGEST: Final = 300  # characters of a word of the guest

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

_SYSTEM: Final[int] = libvirt.VIR_DOMAIN_GUEST_INFO_OS | libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME
NOT_RUNNING: Final[int] = libvirt.VIR_ERR_OPERATION_INVALID
NO_CHANNEL: Final[int] = libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED
SILENT: Final[frozenset[int]] = frozenset(
    found
    for name in ("VIR_ERR_AGENT_UNRESPONSIVE", "VIR_ERR_AGENT_UNSYNCED", "VIR_ERR_AGENT_COMMAND_TIMEOUT")
    if (found := getattr(libvirt, name, None)) is not None
)
"""How libvirt says that there is no guest agent, or that it does not answer."""
REFUSED: Final[frozenset[int]] = frozenset(
    found for name in ("VIR_ERR_INTERNAL_ERROR", "VIR_ERR_AGENT_COMMAND_FAILED") if (found := getattr(libvirt, name, None)) is not None
)
"""How libvirt says what the guest agent answered instead of doing what it was asked."""


class MalformedGuestAnswer(VirtError):
    """The guest agent answered what makes no sense."""

    def __init__(self, command: str) -> None:
        super().__init__(f"the guest's answer to {command} makes no sense: its agent is broken, or not to be trusted")


@dataclass(frozen=True)
class ProgramState:
    """A program in the guest, as far as its agent tells; ``truncated``: not all of its output is here."""

    exited: bool
    exitcode: int | None = None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_truncated: bool = False
    stderr_truncated: bool = False


_BLOCKED: Final = re.compile(r"[Cc]ommand (guest-[a-z-]+) has been disabled")
_UNKNOWN: Final = re.compile(r"[Cc]ommand (guest-[a-z-]+) has not been found")
_CONFINED: Final = re.compile(r"Permission denied|Operation not permitted")


def advise(text: str) -> str:
    """Return what helps against a refusal of the guest agent, beginning with a separator; nothing where that is not known."""
    if found := _BLOCKED.search(text):
        keys = "BLACKLIST_RPC, BLOCK_RPCS or --block-rpcs of FILTER_RPC_ARGS, or add it to --allow-rpcs there"
        return (
            f"; in the guest, take {found[1]} out of {keys} (/etc/sysconfig/qemu-ga, /etc/qemu/qemu-ga.conf), and restart qemu-guest-agent"
        )
    if found := _UNKNOWN.search(text):
        return f"; its qemu-guest-agent is too old for {found[1]}, or was made without it"
    if _CONFINED.search(text):
        return (
            "; it is the administrator there unless SELinux (setsebool -P virt_qemu_ga_run_unconfined 1, or semanage permissive -a "
            "virt_qemu_ga_t) or AppArmor confines it"
        )
    return ""


def clean(text: str) -> str:
    """Return a text of the guest as it may be shown: short, without control characters or changes of direction."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text[:LONGEST])


# -- raw calls ----------------------------------------------------------------------------------------------------------


def call(domain: VirDomain, command: str, arguments: dict[str, object] | None = None, timeout: int = ANSWER_TIMEOUT) -> Any:
    """Have the guest agent execute a command of its own protocol, and return what it returned."""
    question = json.dumps({"execute": command} | ({"arguments": arguments} if arguments else {}))
    with _doubting(command):
        return json.loads(libvirt_qemu.qemuAgentCommand(domain, question, timeout, 0))["return"]


@contextlib.contextmanager
def _doubting(command: str) -> Iterator[None]:
    """Turn whatever goes wrong with an answer's form into one error; what it holds is not repeated."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MalformedGuestAnswer(command) from None


def _hurry(domain: VirDomain, timeout: int) -> Any:
    """Return the domain with a limit on how long libvirt waits for the guest agent in calls of its own."""
    found = cast(Any, domain)
    try:
        found.agentSetResponseTimeout(timeout, 0)
    except VirFailure as failure:
        if binding.describe(failure).code not in binding.REFUSED_FLAGS:  # a driver without it does not wait either
            raise
    return found


def ping(domain: VirDomain) -> None:
    """Return if the guest agent answers."""
    call(domain, "guest-ping")


# -- programs -----------------------------------------------------------------------------------------------------------


def start_program(domain: VirDomain, path: str, arguments: list[str], data: bytes) -> int:
    """Start a program and return its number in the guest."""
    question: dict[str, object] = {"path": path, "arg": arguments, "capture-output": True}
    if data:
        question["input-data"] = base64.b64encode(data).decode()
    answer = call(domain, "guest-exec", question)
    with _doubting("guest-exec"):
        return _number(answer["pid"])


def read_program(domain: VirDomain, pid: int, most: int) -> ProgramState:
    """Return how a program is, with ``most`` bytes of what it wrote; the guest agent forgets one that has ended."""
    answer = call(domain, "guest-exec-status", {"pid": pid})
    with _doubting("guest-exec-status"):
        if answer["exited"] is not True:
            return ProgramState(exited=False)
        stdout, stderr = (_decode(answer.get(name, "")) for name in ("out-data", "err-data"))
        room = max(most - len(stderr), most // 2)  # neither stream crowds the other out
        left = most - min(len(stdout), room)
        return ProgramState(
            exited=True,
            exitcode=_optional_number(answer, "exitcode"),
            signal=_optional_number(answer, "signal"),
            stdout=stdout[:room],
            stderr=stderr[:left],
            stdout_truncated=len(stdout) > room or answer.get("out-truncated") is True,
            stderr_truncated=len(stderr) > left or answer.get("err-truncated") is True,
        )


# -- files --------------------------------------------------------------------------------------------------------------


def read_file(domain: VirDomain, path: str, offset: int, count: int) -> tuple[bytes, bool]:
    """Return up to ``count`` bytes of a file from ``offset`` on, and whether it ends there."""
    with _open_file(domain, path, "rb") as handle:
        if offset:
            call(domain, "guest-file-seek", {"handle": handle, "offset": offset, "whence": 0})
        answer = call(domain, "guest-file-read", {"handle": handle, "count": count})
    with _doubting("guest-file-read"):
        data = _decode(answer["buf-b64"])
        if len(data) > count:
            raise ValueError(data)
        return data, answer.get("eof") is True


def write_file(domain: VirDomain, path: str, data: bytes, *, append: bool, offset: int | None = None) -> int:
    """Write a file anew, behind its end, or from ``offset`` on, and return how many bytes the guest says it took."""
    mode = "r+b" if offset is not None else "ab" if append else "wb"
    with _open_file(domain, path, mode) as handle:
        if offset:
            call(domain, "guest-file-seek", {"handle": handle, "offset": offset, "whence": 0})
        written = 0
        while written < len(data):
            part = base64.b64encode(data[written:]).decode()
            answer = call(domain, "guest-file-write", {"handle": handle, "buf-b64": part})
            with _doubting("guest-file-write"):
                count = _number(answer["count"])
                if not 0 < count <= len(data) - written:
                    raise ValueError(count)
            written += count
        call(domain, "guest-file-flush", {"handle": handle})
    return written


@contextlib.contextmanager
def _open_file(domain: VirDomain, path: str, mode: str) -> Iterator[int]:
    handle = call(domain, "guest-file-open", {"path": path, "mode": mode})
    with _doubting("guest-file-open"):
        handle = _number(handle)
    try:
        yield handle
    finally:
        with contextlib.suppress(VirFailure, MalformedGuestAnswer):  # what went wrong before is what is told
            call(domain, "guest-file-close", {"handle": handle})


# -- what libvirt has calls for -------------------------------------------------------------------------------------------


def read_facts(domain: VirDomain) -> tuple[dict[str, Any], float | None]:
    """Return what the guest says of itself (virDomainGetGuestInfo's names and values), and its time if it tells that."""
    found = _hurry(domain, ANSWER_TIMEOUT)
    with _doubting("guest-get-osinfo"):
        facts = dict(found.guestInfo(0, 0))
    try:
        return facts, read_time(domain)
    except (VirFailure, MalformedGuestAnswer):
        return facts, None


def read_system(domain: VirDomain) -> dict[str, Any]:
    """Return what the guest says of its system alone, in the words of :func:`read_facts`; waits for it only briefly."""
    with _briefly(domain) as found, _doubting("guest-get-osinfo"):
        try:
            return dict(found.guestInfo(_SYSTEM, 0))
        except VirFailure as failure:
            if binding.describe(failure).code not in binding.REFUSED_FLAGS:
                raise
        return dict(found.guestInfo(0, 0))  # a guest agent that knows only one of the two


def read_addresses(domain: VirDomain) -> list[InterfaceAddresses]:
    """Return the addresses that the guest tells, or else the host's neighbours; waits for the guest only briefly.

    Raises its silence if nobody knows any; if it may not tell them it knows none.
    """
    silence: Exception | None = None
    with _briefly(domain):
        try:
            found = interfaces.read_source(domain, AddressSource.AGENT)
        except VirFailure as failure:
            found, silence = [], failure if binding.describe(failure).code in SILENT else None
    found = found or interfaces.read_addresses(domain, (AddressSource.ARP,))
    if silence is not None and not found:
        raise silence
    return found


@contextlib.contextmanager
def _briefly(domain: VirDomain) -> Iterator[Any]:
    """Have libvirt wait only briefly for the guest agent; whoever asks next has as long as ever."""
    found = _hurry(domain, BRIEF_TIMEOUT)
    try:
        yield found
    finally:
        with contextlib.suppress(VirFailure):
            _hurry(domain, ANSWER_TIMEOUT)


def read_time(domain: VirDomain) -> float:
    """Return the guest's time, in seconds since 1970."""
    with _doubting("guest-get-time"):
        answer = cast(Any, domain).getTime(0)
        return _number(answer["seconds"]) + _number(answer["nseconds"]) / 1e9


def read_clock(domain: VirDomain, now: Callable[[], float]) -> tuple[float, float]:
    """Return the guest's time, and how far it is from the host's."""
    _hurry(domain, ANSWER_TIMEOUT)
    asked = now()
    told = read_time(domain)
    return told, told - (asked + now()) / 2


def set_time(domain: VirDomain, now: Callable[[], float]) -> tuple[float, float]:
    """Set the guest's time; return what it says afterwards, and how far that is from the host's."""
    found, wanted = _hurry(domain, ANSWER_TIMEOUT), now()
    found.setTime({"seconds": int(wanted), "nseconds": int(wanted % 1 * 1e9)}, 0)
    told = read_time(domain)
    return told, told - now()


def set_password(domain: VirDomain, user: str, password: str, *, crypted: bool) -> None:
    """Set the password of an account in the guest."""
    flags = libvirt.VIR_DOMAIN_PASSWORD_ENCRYPTED if crypted else 0
    _hurry(domain, ANSWER_TIMEOUT).setUserPassword(user, password, flags)


def is_frozen(domain: VirDomain) -> bool:
    """Return whether the guest's file systems are frozen."""
    answer = call(domain, "guest-fsfreeze-status")
    with _doubting("guest-fsfreeze-status"):
        return {"frozen": True, "thawed": False}[answer]


def freeze(domain: VirDomain) -> int:
    """Freeze the guest's file systems; return how many."""
    return int(_hurry(domain, SLOW_TIMEOUT).fsFreeze())


def thaw(domain: VirDomain) -> int:
    """Thaw the guest's file systems; return how many."""
    return int(_hurry(domain, SLOW_TIMEOUT).fsThaw())


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise TypeError(value)
    return value


def _optional_number(answer: dict[str, object], name: str) -> int | None:
    return _number(answer[name]) if name in answer else None


def _decode(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError(value)
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError(value) from None
