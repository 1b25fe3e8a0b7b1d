# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest agent is a stranger: whatever it answers, there is a sensible result or one plain error."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import libvirt
import libvirt_qemu
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archipel.agent.virt import guest_agent
from archipel.agent.virt.guest_agent import MalformedGuestAnswer, ProgramState, clean
from archipel.agent.virt.interfaces import AddressSource

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
NAMES = ("pid", "exited", "exitcode", "signal", "out-data", "err-data", "out-truncated", "buf-b64", "count", "eof")
ANSWERS = JSON | st.dictionaries(st.sampled_from(NAMES), JSON | st.sampled_from([True, 7, 0, "aGVsbG8=", "-"]), max_size=6)


class FakeAgent:
    """Answers each command with what is set for it: a value, or a function of its arguments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.raw: str | None = None
        monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", self.answer)

    def answer(self, _domain: object, question: str, timeout: int, flags: int) -> str:
        assert 0 < timeout <= 20
        assert flags == 0
        asked = json.loads(question)
        name, arguments = asked["execute"], asked.get("arguments", {})
        self.asked.append((name, arguments))
        if self.raw is not None:
            return self.raw
        found = self.answers[name]
        if isinstance(found, Exception):
            raise found
        return json.dumps({"return": found(arguments) if callable(found) else found})

    @property
    def commands(self) -> list[str]:
        return [name for name, _arguments in self.asked]


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> FakeAgent:
    return FakeAgent(monkeypatch)


class FakeDomain:
    """A virDomain as far as libvirt has calls of its own for guests."""

    def __init__(self) -> None:
        self.limit = 0
        self.time: dict[str, Any] = {"seconds": 0, "nseconds": 0}

    def agentSetResponseTimeout(self, timeout: int, _flags: int) -> None:
        self.limit = timeout

    def setTime(self, time: dict[str, int], _flags: int) -> None:
        self.time = time

    def getTime(self, _flags: int) -> dict[str, Any]:
        return self.time

    def fsFreeze(self) -> int:
        assert self.limit == guest_agent.SLOW_TIMEOUT
        return 2

    def fsThaw(self) -> int:
        return self.fsFreeze()

    def guestInfo(self, _types: int, _flags: int) -> dict[str, Any]:
        return {"hostname": "guest"}


def test_a_program_is_started_with_its_arguments_as_they_are(agent: FakeAgent) -> None:
    agent.answers["guest-exec"] = {"pid": 42}
    assert guest_agent.start_program(None, "/bin/echo", ["$HOME; reboot", '"'], b"in") == 42
    assert agent.asked == [
        ("guest-exec", {"path": "/bin/echo", "arg": ["$HOME; reboot", '"'], "capture-output": True, "input-data": "aW4="})
    ]


@pytest.mark.parametrize(
    "answer, state",
    [
        ({"exited": False}, ProgramState(exited=False)),
        ({"exited": True, "exitcode": 3}, ProgramState(exited=True, exitcode=3)),
        ({"exited": True, "signal": 9}, ProgramState(exited=True, signal=9)),
        (
            {"exited": True, "exitcode": 0, "out-data": "aGVsbG8="},
            ProgramState(exited=True, exitcode=0, stdout=b"hel", stdout_truncated=True),
        ),
        ({"exited": True, "err-data": "aGk=", "err-truncated": True}, ProgramState(exited=True, stderr=b"hi", stderr_truncated=True)),
    ],
)
def test_how_a_program_is(agent: FakeAgent, answer: dict[str, Any], state: ProgramState) -> None:
    agent.answers["guest-exec-status"] = answer
    assert guest_agent.read_program(None, 42, most=3) == state


def test_a_file_is_read_from_an_offset_and_closed(agent: FakeAgent) -> None:
    agent.answers = {
        "guest-file-open": 1000,
        "guest-file-seek": {"position": 5},
        "guest-file-read": {"count": 5, "buf-b64": "aGVsbG8=", "eof": True},
        "guest-file-close": {},
    }
    assert guest_agent.read_file(None, "/etc/motd", 5, 10) == (b"hello", True)
    assert agent.asked[0] == ("guest-file-open", {"path": "/etc/motd", "mode": "rb"})
    assert agent.commands[-1] == "guest-file-close"


def test_a_file_is_written_in_as_many_parts_as_the_guest_takes(agent: FakeAgent) -> None:
    taken = b""

    def take(arguments: dict[str, Any]) -> dict[str, int]:
        nonlocal taken
        part = base64.b64decode(arguments["buf-b64"])[:3]
        taken += part
        return {"count": len(part)}

    agent.answers = {"guest-file-open": 7, "guest-file-write": take, "guest-file-flush": {}, "guest-file-close": {}}
    assert guest_agent.write_file(None, "/tmp/x", b"whatever", append=True) == 8
    assert taken == b"whatever"
    assert agent.asked[0][1]["mode"] == "ab"


@pytest.mark.parametrize("count", [0, -1, 9, True, "8", None])
def test_a_guest_cannot_keep_a_writer_busy(agent: FakeAgent, count: object) -> None:
    agent.answers = {"guest-file-open": 7, "guest-file-write": {"count": count}, "guest-file-close": {}}
    with pytest.raises(MalformedGuestAnswer):
        guest_agent.write_file(None, "/tmp/x", b"whatever", append=False)
    assert agent.commands == ["guest-file-open", "guest-file-write", "guest-file-close"]


def test_a_file_is_closed_after_trouble_which_is_what_is_told(agent: FakeAgent) -> None:
    agent.answers = {
        "guest-file-open": 7,
        "guest-file-read": libvirt.libvirtError("no reading"),
        "guest-file-close": libvirt.libvirtError("no closing"),
    }
    with pytest.raises(libvirt.libvirtError, match="no reading"):
        guest_agent.read_file(None, "/x", 0, 10)


def test_more_than_was_asked_for_is_not_taken(agent: FakeAgent) -> None:
    agent.answers = {"guest-file-open": 7, "guest-file-read": {"buf-b64": "aGVsbG8="}, "guest-file-close": {}}
    with pytest.raises(MalformedGuestAnswer):
        guest_agent.read_file(None, "/x", 0, 4)


@pytest.mark.parametrize("raw", ["", "nothing", "[]", "{}", "7", '{"error": {}}', "[" * 100_000, '{"return": ' + "9" * 5000 + "}"])
def test_what_is_no_answer_is_told_without_repeating_it(agent: FakeAgent, raw: str) -> None:
    agent.raw = raw
    with pytest.raises(MalformedGuestAnswer) as error:
        guest_agent.start_program(None, "/bin/true", [], b"")
    assert len(str(error.value)) < 200


def ask_all() -> tuple[Callable[[], object], ...]:
    return (
        lambda: guest_agent.start_program(None, "/x", [], b""),
        lambda: guest_agent.read_program(None, 7, 100),
        lambda: guest_agent.read_file(None, "/x", 1, 100),
        lambda: guest_agent.write_file(None, "/x", b"abc", append=False),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=ANSWERS, which=st.integers(0, 3))
def test_every_answer_ends_well_or_in_one_error(agent: FakeAgent, answer: object, which: int) -> None:
    agent.raw = json.dumps({"return": answer})
    try:
        found = ask_all()[which]()
    except MalformedGuestAnswer:
        return
    if isinstance(found, ProgramState):
        assert len(found.stdout) <= 100
        assert len(found.stderr) <= 100
        assert found.exitcode is None or type(found.exitcode) is int


def test_the_clock_is_set_and_read_back() -> None:
    told, offset = guest_agent.set_time(FakeDomain(), lambda: 1000.5)
    assert (told, offset) == (1000.5, 0.0)


@pytest.mark.parametrize("time", [{}, {"seconds": "1", "nseconds": 0}, {"seconds": 1, "nseconds": None}, None])
def test_a_clock_without_time_is_left_out(time: Any) -> None:
    domain = FakeDomain()
    domain.time = time
    assert guest_agent.read_facts(domain) == ({"hostname": "guest"}, None)


def test_freezing_may_take_its_time() -> None:
    assert guest_agent.freeze(FakeDomain()) == guest_agent.thaw(FakeDomain()) == 2


@given(st.text())
def test_the_words_of_a_guest_fit_on_a_line(text: str) -> None:
    found = clean(text)
    assert len(found) <= guest_agent.LONGEST
    assert "\n" not in found
    assert "\x1b" not in found
    assert "\u202e" not in found


def test_a_part_of_a_file_is_written_over(agent: FakeAgent) -> None:
    agent.answers = {
        "guest-file-open": 7,
        "guest-file-seek": {},
        "guest-file-write": {"count": 3},
        "guest-file-flush": {},
        "guest-file-close": {},
    }
    assert guest_agent.write_file(None, "/tmp/x", b"abc", append=False, offset=9) == 3
    assert agent.asked[0] == ("guest-file-open", {"path": "/tmp/x", "mode": "r+b"})
    assert agent.asked[1] == ("guest-file-seek", {"handle": 7, "offset": 9, "whence": 0})


def test_neither_output_crowds_the_other_out(agent: FakeAgent) -> None:
    agent.answers["guest-exec-status"] = {"exited": True, "out-data": base64.b64encode(b"o" * 9).decode(), "err-data": "ZWVlZWVl"}
    state = guest_agent.read_program(None, 42, most=8)
    assert (state.stdout, state.stderr, state.stdout_truncated, state.stderr_truncated) == (b"oooo", b"eeee", True, True)
    agent.answers["guest-exec-status"] = {"exited": True, "out-data": base64.b64encode(b"o" * 9).decode(), "err-data": "ZQ=="}
    state = guest_agent.read_program(None, 42, most=8)
    assert (state.stdout, state.stderr, state.stderr_truncated) == (b"ooooooo", b"e", False)


@pytest.mark.parametrize("answer, frozen", [("frozen", True), ("thawed", False)])
def test_whether_a_guest_is_frozen(agent: FakeAgent, answer: str, frozen: bool) -> None:
    agent.answers["guest-fsfreeze-status"] = answer
    assert guest_agent.is_frozen(None) is frozen


@pytest.mark.parametrize("answer", ["melted", None, [], {"status": "frozen"}])
def test_a_guest_that_is_neither_frozen_nor_thawed_is_not_believed(agent: FakeAgent, answer: object) -> None:
    agent.answers["guest-fsfreeze-status"] = answer
    with pytest.raises(MalformedGuestAnswer):
        guest_agent.is_frozen(None)


def test_the_clock_is_compared_with_the_middle_of_the_question() -> None:
    domain = FakeDomain()
    domain.time = {"seconds": 1010, "nseconds": 0}
    times = iter([1000.0, 1002.0])
    assert guest_agent.read_clock(domain, lambda: next(times)) == (1010.0, 9.0)


@pytest.mark.parametrize(
    "text, advice",
    [
        ("The command guest-exec has been disabled for this instance", "take guest-exec out of BLACKLIST_RPC, BLOCK_RPCS"),
        ("Command guest-file-open has been disabled: the command is not allowed", "take guest-file-open out of"),
        ("The command guest-set-user-password has not been found", "too old for guest-set-user-password"),
        ("failed to open file '/etc/shadow' (mode: 'rb'): Permission denied", "setsebool -P virt_qemu_ga_run_unconfined 1"),
        ("No such file or directory", ""),
    ],
)
def test_a_refusal_names_the_setting_to_change(text: str, advice: str) -> None:
    found = guest_agent.advise(f"internal error: unable to execute QEMU agent command 'x': {text}")
    assert advice in found
    assert bool(advice) == bool(found)


# -- many guests --------------------------------------------------------------------------------------------------------


class ManyWords:
    """A domain whose sources of addresses are set, and which notes how long libvirt may wait."""

    def __init__(self, **sources: Any) -> None:
        self.sources = {AddressSource[name.upper()]: answer for name, answer in sources.items()}
        self.facts: dict[int, Any] = {}
        self.waits: list[int] = []

    def agentSetResponseTimeout(self, timeout: int, _flags: int) -> None:
        self.waits.append(timeout)

    def interfaceAddresses(self, source: int, _flags: int) -> Any:
        return raise_or_return(self.sources[AddressSource(source)])

    def guestInfo(self, types: int, _flags: int) -> Any:
        return raise_or_return(self.facts[types])


def raise_or_return(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def refusal(code: int) -> libvirt.libvirtError:
    error = libvirt.libvirtError("no")
    error.err = (code, 0, "no", 0, None, None, None, 0, 0)
    return error


CARD = {"eth0": {"hwaddr": "52:54:00:0a:0b:0c", "addrs": [{"addr": "192.0.2.7", "prefix": 24}]}}
NOBODY: dict[str, Any] = {"lo": {"hwaddr": None, "addrs": None}}
BRIEFLY = [guest_agent.BRIEF_TIMEOUT, guest_agent.ANSWER_TIMEOUT]


@pytest.mark.parametrize(
    "agent, arp, source",
    [
        (CARD, NOBODY, AddressSource.AGENT),
        (NOBODY, CARD, AddressSource.ARP),
        (refusal(libvirt.VIR_ERR_AGENT_UNRESPONSIVE), CARD, AddressSource.ARP),
        (refusal(libvirt.VIR_ERR_INTERNAL_ERROR), NOBODY, None),
        (NOBODY, refusal(libvirt.VIR_ERR_NO_SUPPORT), None),
    ],
    ids=["the guest", "the host, of a guest without", "the host, of a silent guest", "a guest that may not tell", "nobody"],
)
def test_addresses_are_the_guests_or_those_of_its_neighbours(agent: Any, arp: Any, source: AddressSource | None) -> None:
    domain = ManyWords(agent=agent, arp=arp)
    found = guest_agent.read_addresses(domain)  # type: ignore[arg-type] # stands for a virDomain
    assert {card.source for card in found} == ({source} if source is not None else set())
    assert domain.waits == BRIEFLY


def test_silence_is_no_lack_of_addresses() -> None:
    domain = ManyWords(agent=refusal(libvirt.VIR_ERR_AGENT_UNRESPONSIVE), arp=NOBODY)
    with pytest.raises(libvirt.libvirtError):
        guest_agent.read_addresses(domain)  # type: ignore[arg-type] # stands for a virDomain
    assert domain.waits == BRIEFLY


def test_the_system_is_asked_for_alone_and_of_older_guests_with_the_rest() -> None:
    domain = ManyWords()
    domain.facts = {guest_agent._SYSTEM: {"os.id": "debian"}}
    assert guest_agent.read_system(domain) == {"os.id": "debian"}  # type: ignore[arg-type] # stands for a virDomain
    assert domain.waits == BRIEFLY
    domain.facts = {guest_agent._SYSTEM: refusal(libvirt.VIR_ERR_OPERATION_UNSUPPORTED), 0: {"hostname": "web"}}
    assert guest_agent.read_system(domain) == {"hostname": "web"}  # type: ignore[arg-type] # stands for a virDomain
    domain.facts = {guest_agent._SYSTEM: refusal(libvirt.VIR_ERR_AGENT_UNRESPONSIVE)}
    with pytest.raises(libvirt.libvirtError):
        guest_agent.read_system(domain)  # type: ignore[arg-type] # stands for a virDomain
