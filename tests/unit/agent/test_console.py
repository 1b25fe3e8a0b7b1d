# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console proxy: links that work once, for one person; what is refused, what ends, and that nobody is outrun."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import posixpath
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from archipel.agent.capabilities import vnc as capability
from archipel.agent.console import consoles, listener, page, relay, tickets
from archipel.agent.console import proxy as proxy_module
from archipel.agent.console.displays import Displays
from archipel.agent.console.proxy import ConsoleProxy
from archipel.agent.console.settings import ConsoleSettings
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.lifecycle import DomainEvent, DomainState, LifecycleEvent, StoppedDetail
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, PermissionDenied
from testbed.certificates import Authority
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STUDENT, UUID, VM, FakeAudit, FakeHost
from tests.unit.agent.vnc_server import GREETING, FakeVncServer
from tests.wire.waiting import eventually

TOKEN = "<archipel action='token'/>"


@pytest.fixture
async def vnc() -> AsyncIterator[FakeVncServer]:
    async with FakeVncServer().listen() as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "WATCH_INTERVAL", 0.02)


@pytest.fixture
def settings(hypervisor: Hypervisor) -> ConsoleSettings:
    return hypervisor.services.settings.capabilities["vnc"]


@pytest.fixture
async def running(machine: VirtualMachine, host: FakeHost, vnc: FakeVncServer) -> VirtualMachine:
    """The machine, running, its display behind the fake server."""
    await go_online(machine)
    graphics = f"<graphics type='vnc' port='{vnc.port}' passwd='hidden'/>"
    host.add(UUID, "web", state=DomainState.RUNNING, devices=graphics)
    return machine


@contextlib.asynccontextmanager
async def serving(hypervisor: Hypervisor, settings: ConsoleSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ConsoleProxy]:
    proxy = ConsoleProxy(hypervisor, settings)
    displays = Displays(hypervisor, proxy)
    monkeypatch.setitem(proxy_module._proxies, hypervisor, proxy)
    monkeypatch.setitem(capability._displays, hypervisor, displays)
    task = asyncio.create_task(capability.serve(hypervisor))
    await eventually(lambda: proxy.trouble != "the console's listener is not up yet")
    try:
        yield proxy
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def proxy(
    hypervisor: Hypervisor, settings: ConsoleSettings, running: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ConsoleProxy]:
    async with serving(hypervisor, settings, monkeypatch) as proxy:
        yield proxy


async def get_link(machine: VirtualMachine, kind: str = "vnc", caller=OWNER) -> dict[str, str]:
    answer = await ask(machine, ns.VM_CONSOLE, f"<archipel action='token' kind='{kind}'/>", caller)
    return answer[0].attrib


def enter(link: dict[str, str], *, offered: tuple[str, ...] = ("binary",), **more) -> connect:
    return connect(link["websocket"], subprotocols=[*offered, f"archipel.token.{link['token']}"], **more)


async def refusal(link: dict[str, str], **more) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        async with enter(link, **more):
            pass
    response = refused.value.response
    return response.status_code, (response.body or b"").decode()


async def send_for_ever(viewer: ClientConnection) -> None:
    """Send what no buffer on the way could hold."""
    for _ in range(1000):
        await viewer.send(bytes(1 << 17))


async def ending(viewer: ClientConnection) -> str:
    """Wait until the proxy closes a connection; return the reason it gave."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in viewer:
            pass
    return viewer.close_reason or ""


# -- links --------------------------------------------------------------------------------------------------------------


async def test_a_link_opens_the_display_once(proxy: ConsoleProxy, running: VirtualMachine, vnc: FakeVncServer) -> None:
    link = await get_link(running)
    async with enter(link) as viewer:
        assert viewer.subprotocol == "binary"
        assert await viewer.recv() == GREETING
        await viewer.send(b"hello")
        assert await viewer.recv() == b"HELLO"
    status, text = await refusal(link)
    assert (status, vnc.visits) == (403, 1)
    assert "ask for a new one" in text


async def test_a_link_is_for_a_page_with_the_token_where_no_server_sees_it(proxy: ConsoleProxy, running: VirtualMachine) -> None:
    link = await get_link(running)
    assert link["url"].endswith(f"/vnc.html#{link['token']}")
    assert link["token"] not in link["websocket"]
    assert link["lifetime"] == "60"


async def test_a_link_expires(proxy: ConsoleProxy, running: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    link = await get_link(running)
    monkeypatch.setattr(proxy.tickets, "_clock", lambda: float("inf"))
    assert (await refusal(link))[0] == 403


async def test_a_link_for_the_screen_does_not_open_the_terminal(proxy: ConsoleProxy, running: VirtualMachine) -> None:
    link = await get_link(running)
    assert (await refusal({**link, "websocket": link["websocket"].replace("/vnc", "/text")}))[0] == 403


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "../../etc"])
async def test_what_is_no_token_opens_nothing(proxy: ConsoleProxy, running: VirtualMachine, token: str, vnc: FakeVncServer) -> None:
    link = await get_link(running)
    assert (await refusal({**link, "token": token.replace("/", "_") or "-"}))[0] == 403
    assert vnc.visits == 0


async def test_who_lacks_the_right_gets_no_link(proxy: ConsoleProxy, running: VirtualMachine) -> None:
    await running.services.rights.grant(VM, STUDENT.bare, "info", granted_by=HYP)
    with pytest.raises(PermissionDenied, match="vnc_display"):
        await get_link(running, caller=STUDENT)


async def test_who_lost_the_right_cannot_use_his_link(proxy: ConsoleProxy, running: VirtualMachine, audit: FakeAudit) -> None:
    await running.services.rights.grant(VM, STUDENT.bare, "vnc_display", granted_by=HYP)
    link = await get_link(running, caller=STUDENT)
    await running.services.rights.revoke(VM, STUDENT.bare, "vnc_display")
    assert (await refusal(link))[0] == 403
    assert audit.entries[-1]["action"] == "open"
    assert audit.entries[-1]["outcome"].startswith("error")


async def test_the_audit_log_tells_who_looked(proxy: ConsoleProxy, running: VirtualMachine, audit: FakeAudit) -> None:
    link = await get_link(running)
    async with enter(link) as viewer:
        await viewer.recv()
    entry = audit.entries[-1]
    assert (entry["caller"], entry["entity"], entry["outcome"]) == (OWNER.bare, VM, "ok")
    assert link["token"] not in str(audit.entries)


@pytest.mark.parametrize(
    "state, devices, says",
    [
        (DomainState.SHUTOFF, "<graphics type='vnc' port='5900'/>", "start it first"),
        (DomainState.RUNNING, "", "has no VNC display"),
        (DomainState.RUNNING, "<graphics type='spice' port='5900'/>", "has no VNC display"),
    ],
)
async def test_there_is_no_link_to_what_is_not_there(
    proxy: ConsoleProxy, running: VirtualMachine, host: FakeHost, state: DomainState, devices: str, says: str
) -> None:
    host.add(UUID, "web", state=state, devices=devices)
    with pytest.raises(CommandError, match=says):
        await get_link(running)
    with pytest.raises(CommandError, match="start it first" if state is DomainState.SHUTOFF else "no serial console"):
        await get_link(running, "text")


async def test_a_display_behind_a_unix_socket_is_reached(
    proxy: ConsoleProxy, running: VirtualMachine, host: FakeHost, agent_folder: Path
) -> None:
    path = agent_folder / "vnc.sock"
    async with FakeVncServer().listen(path):
        host.add(UUID, "web", state=DomainState.RUNNING, devices=f"<graphics type='vnc' socket='{path}'/>")
        async with enter(await get_link(running)) as viewer:
            assert await viewer.recv() == GREETING


async def test_a_display_that_does_not_answer_is_told(proxy: ConsoleProxy, running: VirtualMachine, host: FakeHost) -> None:
    host.add(UUID, "web", state=DomainState.RUNNING, devices="<graphics type='vnc' port='1'/>")
    async with enter(await get_link(running)) as viewer:
        assert "cannot be opened" in await ending(viewer)


# -- what is refused ----------------------------------------------------------------------------------------------------


async def test_a_page_of_another_origin_opens_nothing(proxy: ConsoleProxy, running: VirtualMachine, vnc: FakeVncServer) -> None:
    link = await get_link(running)
    status, text = await refusal(link, origin="https://evil.example")
    assert (status, vnc.visits) == (403, 0)
    assert "origin" in text


async def test_the_own_page_may_open_a_console(proxy: ConsoleProxy, running: VirtualMachine) -> None:
    link = await get_link(running)
    origin = link["url"].rpartition("/")[0]
    async with enter(link, origin=origin) as viewer:
        assert await viewer.recv() == GREETING


async def test_base64_is_refused_in_words(proxy: ConsoleProxy, running: VirtualMachine) -> None:
    status, text = await refusal(await get_link(running), offered=("base64",))
    assert status == 400
    assert "binary" in text


async def test_a_message_that_is_too_large_ends_the_connection(proxy: ConsoleProxy, running: VirtualMachine) -> None:
    async with enter(await get_link(running)) as viewer:
        await viewer.recv()
        await viewer.send(bytes((1 << 20) + 1))
        await viewer.wait_closed()
        assert viewer.close_code == 1009


@pytest.mark.parametrize(
    "limit, says", [("viewers", "console_viewers"), ("viewers_per_person", "you have"), ("viewers_per_machine", "of this machine")]
)
async def test_there_are_limits(
    hypervisor: Hypervisor, running: VirtualMachine, settings: ConsoleSettings, monkeypatch: pytest.MonkeyPatch, limit: str, says: str
) -> None:
    async with serving(hypervisor, dataclasses.replace(settings, **{limit: 1}), monkeypatch):
        async with enter(await get_link(running)) as viewer:
            await viewer.recv()
            status, text = await refusal(await get_link(running))
            assert status == 503
            assert says in text
        await eventually(lambda: not proxy_module.proxy_of(hypervisor)._viewers)
        async with enter(await get_link(running)) as viewer:
            assert await viewer.recv() == GREETING


# -- what ends a console ------------------------------------------------------------------------------------------------


async def test_it_ends_when_the_right_is_revoked(proxy: ConsoleProxy, running: VirtualMachine) -> None:
    await running.services.rights.grant(VM, STUDENT.bare, "vnc_display", granted_by=HYP)
    async with enter(await get_link(running, caller=STUDENT)) as viewer:
        await viewer.recv()
        await running.services.rights.revoke(VM, STUDENT.bare, "vnc_display")
        assert "lacks the right" in await ending(viewer)


async def test_it_ends_when_the_machine_stops(proxy: ConsoleProxy, running: VirtualMachine, host: FakeHost) -> None:
    async with enter(await get_link(running)) as viewer:
        await viewer.recv()
        host.known[UUID].state_now = DomainState.SHUTOFF
        running.take_event(DomainEvent(UUID, "web", LifecycleEvent.STOPPED, StoppedDetail.DESTROYED))
        assert "has stopped" in await ending(viewer)


class Terminal:
    """A serial console that says what is typed; ``fault`` is a fault of ours."""

    def __init__(self, fault: Exception | None = None) -> None:
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        self._fault = fault

    async def read(self) -> bytes:
        if self._fault is not None:
            raise self._fault
        return await self._typed.get()

    async def write(self, data: bytes) -> None:
        await self._typed.put(data)

    async def close(self) -> None:
        await self._typed.put(b"")


@pytest.fixture
def terminal(host: FakeHost, running: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> VirtualMachine:
    """The machine without a screen, with a serial console."""
    host.add(UUID, "web", state=DomainState.RUNNING, devices="<serial type='pty'/>")

    async def start(_stream: object) -> Terminal:
        return Terminal()

    async def read(_call: str, _function: object) -> None:
        return None

    monkeypatch.setattr(consoles.TextConsole, "start", start)
    monkeypatch.setattr(host.known[UUID], "read", read, raising=False)
    return running


async def test_a_terminal_needs_no_screen_and_outlives_what_happens_to_the_machine(
    proxy: ConsoleProxy, terminal: VirtualMachine, host: FakeHost
) -> None:
    async with enter(await get_link(terminal, "text")) as viewer:
        for event in (LifecycleEvent.SUSPENDED, LifecycleEvent.DEFINED):
            await capability.follow(terminal, DomainEvent.decode(UUID, "web", event, 0))
        await viewer.send("typed")
        assert await viewer.recv() == b"typed"
        host.known[UUID].state_now = DomainState.SHUTOFF
        await capability.follow(terminal, DomainEvent.decode(UUID, "web", LifecycleEvent.STOPPED, 0))
        assert await ending(viewer) == "the machine has stopped"


async def test_a_screen_that_is_taken_out_ends_but_not_the_terminal(proxy: ConsoleProxy, running: VirtualMachine, host: FakeHost) -> None:
    async with enter(await get_link(running)) as viewer:
        await viewer.recv()
        host.add(UUID, "web", state=DomainState.RUNNING)
        await capability.follow(running, DomainEvent.decode(UUID, "web", LifecycleEvent.DEFINED, 0))
        assert await ending(viewer) == "the machine has no display now"


async def test_a_fault_of_ours_is_logged_and_ends_one_console(
    proxy: ConsoleProxy, terminal: VirtualMachine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def start(_stream: object) -> Terminal:
        return Terminal(ZeroDivisionError("ours"))

    monkeypatch.setattr(consoles.TextConsole, "start", start)
    async with enter(await get_link(terminal, "text")) as viewer:
        assert await ending(viewer) == "internal error"
    assert "ZeroDivisionError" in caplog.text


async def test_it_ends_when_the_display_hangs_up(proxy: ConsoleProxy, running: VirtualMachine, vnc: FakeVncServer) -> None:
    async with enter(await get_link(running)) as viewer:
        await viewer.recv()
        vnc.hang_up()
        assert await ending(viewer) == "the console has ended"


async def test_it_ends_when_nothing_passes(
    hypervisor: Hypervisor, running: VirtualMachine, settings: ConsoleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        serving(hypervisor, dataclasses.replace(settings, idle_timeout=0.05), monkeypatch),
        enter(await get_link(running)) as viewer,
    ):
        assert "nothing passed" in await ending(viewer)


async def test_it_ends_with_the_agent(
    hypervisor: Hypervisor, running: VirtualMachine, settings: ConsoleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(hypervisor, settings, monkeypatch):
        viewer = await enter(await get_link(running))
        await viewer.recv()
    await viewer.wait_closed()


async def test_a_machine_that_leaves_takes_its_links_along(proxy: ConsoleProxy, running: VirtualMachine) -> None:
    link = await get_link(running)
    await capability.leave(running)
    assert (await refusal(link))[0] == 403


# -- neither end is outrun ----------------------------------------------------------------------------------------------


async def test_a_display_waits_for_a_slow_viewer(proxy: ConsoleProxy, running: VirtualMachine, vnc: FakeVncServer) -> None:
    vnc.flood = 1 << 30
    async with enter(await get_link(running), max_queue=1) as viewer:
        await viewer.recv()

        async def rests() -> bool:
            before = vnc.sent
            await asyncio.sleep(0.2)
            return vnc.sent == before

        await eventually(rests, "a display that waits")
        assert 0 < vnc.sent < vnc.flood
        viewer.transport.abort()


async def test_a_viewer_waits_for_a_slow_display(proxy: ConsoleProxy, running: VirtualMachine, vnc: FakeVncServer) -> None:
    vnc.reading.clear()
    async with enter(await get_link(running)) as viewer:
        await viewer.recv()
        sending = asyncio.create_task(send_for_ever(viewer))
        done, _pending = await asyncio.wait([sending], timeout=0.5)
        assert not done
        assert len(vnc.taken) == 0
        sending.cancel()
        viewer.transport.abort()


# -- the listener -------------------------------------------------------------------------------------------------------


async def fetch(proxy: ConsoleProxy, path: str) -> tuple[str, dict[str, str], bytes]:
    """Fetch a page as a browser would."""
    host, _, port = proxy._base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("path", ["/vnc.html", "/text.html", "/vnc.js", "/link.js", "/console.css", "/novnc/core/rfb.js"])
async def test_the_page_is_served_whole_and_protected(proxy: ConsoleProxy, path: str) -> None:
    status, headers, body = await fetch(proxy, path)
    assert status == "HTTP/1.1 200 OK"
    assert int(headers["Content-Length"]) == len(body) > 100
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_who_knocks_without_end_is_hung_up_on(proxy: ConsoleProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 2)
    host, _, port = proxy._base.removeprefix("http://").partition(":")
    knocking = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
    with contextlib.suppress(ConnectionError):
        assert await knocking[2][0].read() == b""
    assert not knocking[0][0].at_eof()
    for _reader, writer in knocking:
        writer.close()
    await eventually(lambda: not proxy._server.handler_tasks)
    assert (await fetch(proxy, "/vnc.html"))[0] == "HTTP/1.1 200 OK"


async def test_every_part_of_the_pages_is_served() -> None:
    """What a page or a script names, relative to itself, is among the files."""
    files = page.load_files()
    named = re.compile(r"""(?:from|import)\s+["'](\.[^"']+)["']|(?:src|href)="([^"]+)\"""")
    missing = [
        (path, word)
        for path, (_kind, body) in files.items()
        for found in named.finditer(body.decode())
        if posixpath.normpath(posixpath.join(posixpath.dirname(path), word := found[1] or found[2])) not in files
    ]
    assert missing == []
    assert len(files) > 50


@pytest.mark.parametrize("path", ["/", "/../proxy.py", "/novnc/../../proxy.py", "/%2e%2e/proxy.py", "//etc/passwd", "/novnc/LICENSE.txt"])
async def test_nothing_else_is_served(proxy: ConsoleProxy, path: str) -> None:
    status, _headers, body = await fetch(proxy, path)
    assert status == "HTTP/1.1 404 Not Found"
    assert b"there is no such page" in body


async def test_it_speaks_tls_where_there_is_a_certificate(
    hypervisor: Hypervisor,
    running: VirtualMachine,
    settings: ConsoleSettings,
    monkeypatch: pytest.MonkeyPatch,
    authority: Authority,
    tmp_path: Path,
) -> None:
    certificate = authority.issue("lab.example", tmp_path)
    async with serving(hypervisor, dataclasses.replace(settings, certificate=certificate), monkeypatch):
        link = await get_link(running)
        assert link["url"].startswith("https://")
        context = ssl.create_default_context(cafile=str(authority.certificate))
        async with enter(link, ssl=context) as viewer:
            assert await viewer.recv() == GREETING
        answer = await ask(running, ns.VM_VNC, "<archipel action='display'/>")
        assert (answer[0].get("onlyssl"), answer[0].get("supportssl")) == ("True", "True")


@pytest.mark.parametrize(
    "change, says",
    [({"listen": "::"}, "vnc_certificate_file"), ({"certificate": Path("/etc/hostname")}, "no key"), ({"listen": "192.0.2.1"}, "")],
)
async def test_it_does_not_listen_where_it_must_not_and_says_why(
    hypervisor: Hypervisor, running: VirtualMachine, settings: ConsoleSettings, monkeypatch: pytest.MonkeyPatch, change: dict, says: str
) -> None:
    async with serving(hypervisor, dataclasses.replace(settings, **change), monkeypatch):
        with pytest.raises(CommandError, match="(?i)console.*" + says):
            await get_link(running)


# -- the display action, and founding clients ---------------------------------------------------------------------------


async def read_display(machine: VirtualMachine) -> dict[str, str]:
    answer = await ask(machine, ns.VM_VNC, "<archipel action='display'/>")
    assert "hidden" not in ET.tostring(answer, "unicode")
    return answer[0].attrib


async def test_the_display_is_told_with_a_proxy_only_where_there_is_one(
    proxy: ConsoleProxy, running: VirtualMachine, vnc: FakeVncServer, host: FakeHost
) -> None:
    told = {"type": "vnc", "port": str(vnc.port), "proxy": "-1", "host": "192.0.2.7", "onlyssl": "False", "supportssl": "False"}
    assert await read_display(running) == told
    host.add(UUID, "web", devices="<graphics type='vnc' port='5900'/>")
    assert await read_display(running) == {**told, "port": "-1"}
    host.add(UUID, "web", state=DomainState.RUNNING, devices="<graphics type='spice' port='5901' passwd='hidden'/>")
    assert await read_display(running) == {**told, "type": "spice", "port": "5901"}
    host.add(UUID, "web")
    assert await read_display(running) == {}
    host.known[UUID].stored = None
    assert await read_display(running) == {}


async def test_founding_clients_are_served_only_where_the_settings_say_so(
    hypervisor: Hypervisor,
    running: VirtualMachine,
    vnc: FakeVncServer,
    settings: ConsoleSettings,
    monkeypatch: pytest.MonkeyPatch,
    host: FakeHost,
) -> None:
    async with serving(hypervisor, dataclasses.replace(settings, founding_ports=True), monkeypatch):
        await capability.displays_of(hypervisor).follow(running)
        port = (await read_display(running))["proxy"]
        assert port == str(vnc.port + 1000)
        async with connect(f"ws://127.0.0.1:{port}", subprotocols=["binary", "base64"]) as viewer:
            assert await viewer.recv() == GREETING
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{port}", origin="https://evil.example")
        host.known[UUID].state_now = DomainState.SHUTOFF
        await capability.displays_of(hypervisor).follow(running)
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            await connect(f"ws://127.0.0.1:{port}")


async def test_it_is_pushed_when_a_display_comes_and_goes(proxy: ConsoleProxy, running: VirtualMachine, host: FakeHost) -> None:
    pushed: list[tuple[str, str]] = []
    running.push = lambda topic, change: pushed.append((topic, change))
    displays = capability.displays_of(running.hypervisor)
    displays._known.clear()
    for state in (DomainState.RUNNING, DomainState.PAUSED, DomainState.SHUTOFF, DomainState.SHUTOFF):
        host.known[UUID].state_now = state
        await displays.follow(running)
    assert pushed == [("virtualmachine:vnc", "websocketvncstart"), ("virtualmachine:vnc", "websocketvncstop")]


# -- tokens -------------------------------------------------------------------------------------------------------------


def test_tokens_are_not_kept_and_end_in_time() -> None:
    now = [0.0]
    kept = tickets.Tickets(lambda: now[0])
    token = kept.issue(ADMIN.bare, UUID, proxy_module.ConsoleKind.VNC)
    assert token not in str(vars(kept))
    now[0] = 59.9
    other = kept.issue(ADMIN.bare, UUID, proxy_module.ConsoleKind.VNC)
    assert token != other
    now[0] = 60.0
    assert kept.redeem(token) is None
    assert kept.redeem(other) is not None
    assert kept.redeem(other) is None


def test_nobody_fills_the_memory_with_tokens() -> None:
    kept = tickets.Tickets()
    first, *rest = [kept.issue(ADMIN.bare, UUID, proxy_module.ConsoleKind.VNC) for _ in range(tickets.MOST_OF_PERSON + 1)]
    assert kept.redeem(first) is None
    assert all(kept.redeem(token) for token in rest)
